# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 1: who waits, for which mutex, since when, and who has it: by the dump, pprof, a debugger and
# a signal; and the profiles of waiting, beside a CPU profile that shows nothing.

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
observe_mutex() { see_gdb; }

# source_line TEXT: its number, within the function that begins with FUNCTION.
source_line() { # FUNCTION TEXT
	awk -v begin="$1" -v text="$2" 'index($0, begin) == 1 { inside = 1 } inside && index($0, text) { print NR; exit }' services/app/faults/mutex.c
}

# The sentence that solves the step.
held() {
	echo "^waits for mutex shared_state_lock \\(0x[0-9a-f]+\\), held by thread [0-9]+ \"holder\", which locked it in forget_to_unlock at /src/sickbay/services/app/faults/mutex\\.c:$(source_line 'static void *forget_to_unlock' pthread_mutex_lock)\$"
}

test_mutex_is_solved_by_four_routes() { # STEP
	local route sign seen
	for route in dump pprof gdb usr1; do
		case $route in
		dump | usr1) sign=$(held) ;;
		pprof) sign=" update_shared_state .*services/app/faults/mutex\\.c:$(source_line 'static int update_shared_state' pthread_mutex_lock)\$" ;;
		gdb) sign=$sign_mutex ;;
		esac
		goto_step "$1"
		hang 3
		seen=$("see_$route")
		expect_match "$seen" "$sign" "what $route shows"
		goto_step 0
		within 2 hung_answered 3 || fail 'not all of 3 requests were answered'
		expect_no_match "$("see_$route")" 'update_shared_state|shared_state_lock' "what $route shows after leaving"
	done
}

test_mutex_dump_says_since_when() { # STEP
	local first second begun
	goto_step "$1"
	hang 1
	waited() { see_dump | sed -n '/^thread .* \[futex wait, \([0-9]*\) seconds\?\]:$/ { s//\1/; N; s/\n.*shared_state_lock.*//p }'; }
	within 5 has_waited 1 || fail 'the dump does not say that the request waits'
	first=$(waited)
	begun=$(now_ms)
	within 5 has_waited $((first + 2)) || fail 'the wait does not grow'
	second=$(waited)
	expect_between $((second - first - ($(now_ms) - begun) / 1000)) -1 1 'seconds between the dump and the clock'
	goto_step 0
}
has_waited() { [ "$(waited)" -ge "$1" ] 2>/dev/null; }

# top PROFILE: as pprof lists it.
top() { toolbox 'pprof -top -cum -nodefraction=0 "http://localhost:6060/debug/pprof/$1" 2>&1' "$1"; }

test_mutex_profiles_of_waiting_name_waiter_and_holder() { # STEP
	local seen
	goto_step "$1"
	hang 3
	seen=$(top 'profile?seconds=2')
	expect_no_match "$seen" 'update_shared_state|forget_to_unlock' 'the CPU profile'
	expect_match "$seen" 'Total samples = (0|[0-9]{1,2}ms)( |$)' 'the CPU profile'
	seen=$(top 'wall?seconds=2')
	expect_match "$seen" ' update_shared_state$' 'the wall profile'
	# Three requests, two seconds.
	expect_between "$(awk '$6 == "update_shared_state" { print int($4) }' <<<"$seen")" 5 7 'seconds under update_shared_state'
	expect_match "$(top block)" ' update_shared_state$' 'the block profile'
	expect_match "$(top mutex)" ' forget_to_unlock$' 'the mutex profile'
	expect_no_match "$(top mutex)" ' wait_for_job' 'the mutex profile'
	goto_step 0
}

# The whole plane, while the business is dead.
test_mutex_debug_plane_answers_within_a_second_while_50_hang() { # STEP
	local path
	goto_step "$1"
	hang 50
	while read -r path; do
		expect_equal "$(status "$path" --max-time 1)" 200 "status of $path"
	done < <(every_path)
	goto_step 0
	within 2 hung_answered 50 || fail 'not all of 50 requests were answered'
}

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
