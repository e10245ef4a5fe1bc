# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154 # expanded in the toolbox; shared with run.sh and lib.sh
# What takes long and disturbs nobody: begun before the first test, on a stack of its own, and
# looked at here, at the end.

# wanted TEST: it is among those that will run.
wanted() { matches "${tests[*]}" "(^| )$1 "; }

before_all() {
	wanted test_profile_of_90_seconds_is_cut_by_nobody || wanted test_profile_by_sigusr2_is_in_a_file || return 0
	(
		stack_up long
		goto_step 2
		toolbox_background 'for i in $(seq 6); do curl -s localhost:6060/; sleep 15; done'
		toolbox 'kill -USR2 $APP_PID'
		# One CPU profile at a time.
		toolbox_background 'until ls /proc/$APP_PID/root/tmp/cpu-profile-*.pb.gz; do sleep 1; done; curl -sS --max-time 120 -o /tmp/90.part -w "%{http_code} %{time_total}\n" "localhost:6060/debug/pprof/profile?seconds=90" >/tmp/90.said 2>&1; echo end >>/tmp/90.said'
	) >"$OUT/long.log" 2>&1 || say "the stack 'long' did not start, see $OUT/long.log"
}

test_profile_of_90_seconds_is_cut_by_nobody() {
	STACK=$E2E_PROJECT-long
	within 140 toolbox 'grep -q "^end$" /tmp/90.said' || fail 'it is not over'
	expect_match "$(toolbox 'cat /tmp/90.said')" '^200 9[0-2]\.' 'what curl said'
	expect_match "$(toolbox 'pprof -top /tmp/90.part 2>&1')" '^Duration: (90|89\.9|1\.50mins|1\.5mins)' 'the profile'
	expect_match "$(toolbox 'pprof -top /tmp/90.part 2>&1')" ' eat_cpu$' 'the profile'
}

test_profile_by_sigusr2_is_in_a_file() {
	local path seen
	STACK=$E2E_PROJECT-long
	path=$(app_log | sed -n 's/.* SIGUSR2: CPU profile written to //p')
	expect_match "$path" '^/tmp/cpu-profile-[A-Za-z0-9]{6}\.pb\.gz$' 'the path in the log'
	seen=$(toolbox 'pprof -top "/proc/$APP_PID/root$1" 2>&1' "$path")
	expect_match "$seen" '^Duration: (29\.9|3[0-9])' 'the profile'
	expect_match "$seen" ' eat_cpu$' 'the profile'
	stack_down
}
