# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 5: threads that wait, and who created them: by the dump, pprof, a debugger and a signal; their
# number, everywhere.

plausible_thread_leak='^Thread 1 .*"sickbay-app"'
sign_thread_leak='wait_for_signal \(.*at services/app/faults/thread_leak\.c:[0-9]+'

provoke_thread_leak() { hello 2; }
observe_thread_leak() { see_gdb; }

test_thread_leak_is_solved_by_four_routes() { # STEP
	local route sign seen
	for route in dump pprof gdb usr1; do
		case $route in
		dump | usr1) sign='^thread [0-9]+ "leaked-[0-9]+" \[futex wait, [0-9]+ (ms|seconds?|minutes?)\]:$' ;;
		pprof) sign=' 10 +[0-9.]+% +wait_for_signal .*services/app/faults/thread_leak\.c:[0-9]+$' ;;
		gdb) sign=$sign_thread_leak ;;
		esac
		goto_step "$1"
		hello 2
		seen=$("see_$route")
		expect_match "$seen" "$sign" "what $route shows"
		[[ $route != @(dump|usr1) ]] ||
			expect_equal "$(grep -c '^created by start_threads$' <<<"$seen")" 10 'threads that start_threads created'
		goto_step 0
		expect_no_match "$("see_$route")" 'wait_for_signal|start_threads' "what $route shows after leaving"
	done
}

test_thread_leak_threadcreate_and_wall_name_the_functions() { # STEP
	local seen
	goto_step "$1"
	hello 4
	seen=$(toolbox 'pprof -top -cum http://localhost:6060/debug/pprof/threadcreate 2>&1')
	expect_match "$seen" '^ +[0-9]+ .* 20 +[0-9.]+% +start_threads$' 'threadcreate'
	seen=$(toolbox 'pprof -top -cum "http://localhost:6060/debug/pprof/wall?seconds=1" 2>&1')
	expect_match "$seen" ' wait_for_signal$' 'the wall profile'
	seen=$(toolbox 'curl -sS "localhost:6060/debug/pprof/goroutine?debug=1"')
	expect_match "$seen" '^20 @ 0x[0-9a-f]+( 0x[0-9a-f]+)+$' 'the groups'
	expect_match "$seen" "^thread profile: total $(vars .threads)\$" 'the head of the groups'
	toolbox 'curl -sS -o /tmp/sched.pb.gz "localhost:6060/debug/pprof/sched?seconds=1" && pprof -raw /tmp/sched.pb.gz >/tmp/sched.txt 2>&1'
	expect_match "$(toolbox 'grep -A 1 "^Samples:" /tmp/sched.txt')" 'delay/nanoseconds' 'the scheduler profile'
	expect_match "$(toolbox 'cat /tmp/sched.txt')" ' start_threads ' 'the scheduler profile'
	goto_step 0
}

# The plane must answer while the patient is full of threads.
test_thread_leak_debug_plane_answers_within_a_second_beside_5000() { # STEP
	local path
	goto_step "$1"
	toolbox 'curl -sS --max-time 50 -o /dev/null "localhost:6060/?[1-1000]"'
	expect_between "$(vars .threads)" 5000 5100 threads
	while read -r path; do
		expect_equal "$(status "$path" --max-time 1)" 200 "status of $path"
	done < <(every_path)
	expect_equal "$(get '/debug/pprof/goroutine?debug=2' | grep -c '^thread [0-9]* "leaked-')" 5000 'leaked threads in the dump'
	goto_step 0
}

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
