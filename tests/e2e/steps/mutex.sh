# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 1: a debugger sees the workers in pthread_mutex_lock, under the function that took it.

plausible_mutex='^Thread 1 .*"sickbay-app"'
sign_mutex='update_shared_state \(.*at services/app/faults/mutex\.c:[0-9]+'

hang() { # COUNT: that many requests, in the background; their answers in /tmp/hung
	local before
	before=$(began_count)
	toolbox_background "rm -f /tmp/hung; for i in \$(seq $1); do curl -s --max-time 60 localhost:6060/ >>/tmp/hung & done; wait; echo end >>/tmp/hung"
	# Sixteen workers: what is beyond waits in the queue.
	within 5 began "$((before + ($1 < 16 ? $1 : 16)))" || fail "the requests did not begin"
}

began_count() { app_log | grep -c 'Starting processing request' || true; }
began() { [ "$(began_count)" -ge "$1" ]; }
hung_answered() { toolbox "[ \$(grep -c '^hello world\$' /tmp/hung) -eq $1 ]"; }

provoke_mutex() { hang 3; }
observe_mutex() { toolbox 'gdb -p $APP_PID -batch -ex "thread apply all bt" 2>&1'; }

test_mutex_gdb_names_line_and_owner() { # STEP
	local seen owner
	goto_step "$1"
	hang 2
	seen=$(toolbox 'gdb -p $APP_PID -batch -ex "thread apply all bt" -ex "print shared_state_lock.__data.__owner" 2>&1')
	# The lock is right above the business function, and its line is the source's.
	expect_match "$(grep -A 1 'pthread_mutex_lock (mutex=.*<shared_state_lock>' <<<"$seen")" \
		"update_shared_state .*mutex\\.c:$(awk '/^static int update_shared_state/ { inside = 1 } inside && /pthread_mutex_lock/ { print NR; exit }' services/app/faults/mutex.c)\$" 'the caller of pthread_mutex_lock'
	expect_match "$seen" 'do_some_business_logic \(.*at services/app/hello\.c:[0-9]+'
	owner=$(sed -n 's/^\$1 = //p' <<<"$seen")
	expect_match "$seen" "\\(LWP $owner\\) \"holder\"" 'the list of threads'
	goto_step 0
}

test_mutex_hung_requests_answer_within_a_second_of_leaving() { # STEP
	goto_step "$1"
	hang 5
	expect_equal "$(toolbox 'wc -c </tmp/hung')" 0 'what was answered while the step is on'
	goto_step 0
	within 1 hung_answered 5 || fail 'not all of 5 requests were answered within 1 s'
}

test_mutex_debug_plane_answers_while_20_requests_hang() { # STEP
	local path
	goto_step "$1"
	hang 20
	for path in /healthz /debug/pprof/ /debug/vars /debug/pprof/heap '/debug/pprof/heap?debug=1' \
		/debug/pprof/allocs /debug/pprof/cmdline /debug/pprof/symbol '/debug/pprof/profile?seconds=1' /goto; do
		expect_equal "$(status "$path" --max-time 3)" 200 "status of $path"
	done
	expect_equal "$(toolbox 'wc -c </tmp/hung')" 0 'what was answered meanwhile'
	goto_step 0
	within 2 hung_answered 20 || fail 'not all of 20 requests were answered'
}
