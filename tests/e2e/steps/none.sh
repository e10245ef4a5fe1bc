# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 0: nothing to recognise; the log is the seeds'.

test_none_answers_at_once_and_logs_as_in_the_seeds() { # STEP
	local log
	goto_step "$1"
	hello 3
	log=$(app_log)
	expect_match "$log" '^20[0-9]{2}/[0-9]{2}/[0-9]{2} [0-9:]{8} Application started with PID [0-9]+$'
	expect_match "$log" '^[0-9/]{10} [0-9:]{8} HTTP server started on :6060$'
	expect_match "$log" '^[0-9/]{10} [0-9:]{8} Starting processing request\.\.\.$'
	# One of the three, wherever the machine is busy with something else.
	expect_match "$(tail -n 6 <<<"$log")" '^[0-9/]{10} [0-9:]{8} Request processed in [0-9.]+µs$'
}
