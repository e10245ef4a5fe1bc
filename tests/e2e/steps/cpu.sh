# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 2: the CPU profile names the function and its lines; the request takes five seconds.

plausible_cpu='^Type: cpu'
sign_cpu='[0-9]m?s +.* eat_cpu$'

provoke_cpu() { toolbox_background 'for i in 1 2; do curl -s --max-time 10 localhost:6060/ >/dev/null; done'; }
observe_cpu() {
	local seconds=${1:+3}
	toolbox "pprof -top 'http://localhost:6060/debug/pprof/profile?seconds=${seconds:-7}' 2>&1"
}

test_cpu_list_shows_the_lines_and_the_log_five_seconds() { # STEP
	local seen line
	goto_step "$1"
	provoke_cpu
	toolbox 'curl -sS -o /tmp/cpu.pb.gz "localhost:6060/debug/pprof/profile?seconds=6"'
	seen=$(toolbox 'pprof -list "^eat_cpu$" /tmp/cpu.pb.gz 2>&1')
	expect_match "$seen" 'ROUTINE =+ eat_cpu in .*services/app/faults/cpu\.c'
	# The multiplication is what burns; its number in the listing is its line in the source.
	line=$(awk '/result = result \*/ { print NR }' services/app/faults/cpu.c)
	expect_match "$seen" "[0-9]m?s +[0-9.]+m?s +$line:.*result = result \\*" 'the listing'
	seen=$(toolbox 'pprof -top /tmp/cpu.pb.gz 2>&1')
	expect_between "$(awk '$6 == "eat_cpu" { print int($5) }' <<<"$seen")" 95 100 'percent of the CPU under eat_cpu'
	within 7 logged 'Request processed in 5\.0[0-9]*s$' || fail 'no request took 5.0 s'
	goto_step 0
}

logged() { matches "$(app_log)" "$1"; }

test_cpu_leaving_ends_the_spin() { # STEP
	local begun
	goto_step "$1"
	toolbox_background 'rm -f /tmp/spun; curl -s --max-time 10 localhost:6060/ >/tmp/spun; echo end >>/tmp/spun'
	within 3 spins || fail 'no request burns CPU'
	begun=$(now_ms)
	goto_step 0
	within 1 toolbox 'grep -qx "hello world" /tmp/spun' || fail 'the request did not answer within 1 s'
	expect_between "$(($(now_ms) - begun))" 0 2000 'ms until it did'
}

spins() {
	local before
	before=$(cpu_ticks)
	sleep 0.2
	[ "$(($(cpu_ticks) - before))" -gt 10 ]
}
