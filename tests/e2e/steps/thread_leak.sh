# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 5: threads that wait, in the debugger; their number, everywhere.

plausible_thread_leak='^Thread 1 .*"sickbay-app"'
sign_thread_leak='wait_for_signal \(.*at services/app/faults/thread_leak\.c:[0-9]+'

provoke_thread_leak() { hello 2; }
observe_thread_leak() { toolbox 'gdb -p $APP_PID -batch -ex "thread apply all bt" 2>&1'; }

# thread_counts: by /debug/vars, /proc and ps.
thread_counts() {
	vars .threads
	toolbox 'ls /proc/$APP_PID/task | wc -l; ps -L --no-headers -p $APP_PID | wc -l'
}

test_thread_leak_grows_by_five_a_request() { # STEP
	local before count made=0
	goto_step 0
	before=$(vars .threads)
	goto_step "$1"
	for count in 1 4; do
		hello $((count - made))
		made=$count
		expect_equal "$(thread_counts | sort -u)" $((before + 5 * count)) "threads after $count requests"
	done
	expect_match "$(toolbox 'ps -L -o comm= -p $APP_PID')" '^leaked-19$' 'the names of the threads'
	goto_step 0
	within 1 is_thread_count "$before" || fail "$(thread_counts | tr '\n' ' ')threads after leaving, $before before"
}

is_thread_count() { [ "$(thread_counts | sort -u)" = "$1" ]; }
