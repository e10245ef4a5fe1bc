# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 7: ss and lsof count the connections, the profile names who opened them, the dump groups the
# threads that wait for the rest of each answer.

plausible_connection_leak='^#	.*program_await_end'
sign_connection_leak='^#	.*	recv_response\+0x[0-9a-f]+	/src/sickbay/services/client/response\.c:[0-9]+$'

provoke_connection_leak() { hello 3; }
observe_connection_leak() { get '/debug/pprof/threads?debug=1'; }

# upstream_connections: how many the patient has to port 8080, by ss and by lsof.
upstream_connections() {
	toolbox '
		ss -Htnp state established "dport = :8080" | grep -c "\"sickbay-app\"" || true
		lsof -nP -i :8080 | grep -c "^sickbay.*ESTABLISHED" || true'
}
are_upstream_connections() { [ "$(upstream_connections | sort -u)" = "$1" ]; }

# group_of FUNCTION: how many threads the group has that stands in it.
group_of() { get '/debug/pprof/threads?debug=1' | awk -v name="$1" '/^[0-9]+ @/ { count = $1 } index($0, "\t" name "+0x") { print count }'; }

test_connection_leak_grows_by_one_a_request() { # STEP
	local fds threads count made=0
	goto_step 0
	fds=$(vars .fds)
	threads=$(vars .threads)
	goto_step "$1"
	for count in 1 5; do
		hello $((count - made))
		made=$count
		expect_equal "$(upstream_connections | sort -u)" "$count" "connections after $count requests, by ss and lsof"
		expect_equal "$(group_of recv_response)" "$count" 'threads in recv_response'
	done
	expect_between "$(vars .fds)" $((fds + 15)) $((fds + 17)) 'descriptors: the socket and a pair each'
	expect_between "$(vars .threads)" $((threads + 5)) $((threads + 6)) 'threads'
	goto_step 0
	within 1 are_upstream_connections 0 || fail "$(upstream_connections | tr '\n' ' ')connections after leaving"
	expect_between "$(vars .threads)" "$threads" $((threads + 1)) 'threads after leaving'
}

test_connection_leak_fixed_stays_at_one() { # STEP
	goto_step "$1" fixed
	hello 20
	expect_equal "$(upstream_connections | sort -u)" 1 'connections after 20 requests, by ss and lsof'
	expect_equal "$(group_of recv_response)" '' 'threads in recv_response'
	goto_step 0
	within 1 are_upstream_connections 0 || fail "$(upstream_connections | tr '\n' ' ')connections after leaving"
}

test_connection_leak_is_named_by_the_profiles() { # STEP
	local seen line
	goto_step "$1"
	hello 4
	line=$(awk '/client_open\(/ { print NR; exit }' services/app/faults/connection_leak.c)
	seen=$(get '/debug/pprof/connections?debug=1')
	expect_match "$seen" '^4 @ 0x' 'the connections'
	expect_match "$seen" "	call_upstream\\+0x[0-9a-f]+	/src/sickbay/services/app/faults/connection_leak\\.c:$line\$" 'the connections'
	seen=$(toolbox 'pprof -top -cum http://localhost:6060/debug/pprof/connections 2>&1')
	expect_match "$seen" '^ +0 +0% .* 4 +[0-9.]+% +call_upstream$' 'pprof of the connections'
	seen=$(toolbox 'pprof -top -cum http://localhost:6060/debug/pprof/fd 2>&1')
	expect_match "$seen" '^ +0 +0% .* 12 +[0-9.]+% +call_upstream$' 'pprof of the descriptors'
	seen=$(toolbox 'pprof -top -cum http://localhost:6060/debug/pprof/threadcreate 2>&1')
	expect_match "$seen" '^ +0 +0% .* 4 +[0-9.]+% +call_upstream$' 'pprof of threadcreate'
	seen=$(see_dump)
	expect_match "$seen" '^thread [0-9]+ "recv-[0-9]+" \[poll, [0-9]+ (ms|seconds?|minutes?)\]:$' 'the dump'
	expect_equal "$(grep -c '^call_upstream$' <<<"$seen")" 4 'threads that call_upstream created'
	goto_step 0
	expect_no_match "$(get '/debug/pprof/fd?debug=1')" 'call_upstream' 'the descriptors after leaving'
}

# reason_of_failure: a request that must fail; prints what the log says of it.
reason_of_failure() {
	local before
	before=$(log_length)
	expect_match "$(toolbox 'curl -sS --max-time 20 localhost:6060/ 2>&1' || true)" '^curl: \(52\) Empty reply' 'what curl said'
	app_log | tail -n +"$((before + 1))" | sed -n 's/.*http: panic serving [^ ]* GET //p'
}

test_connection_leak_survives_an_upstream_that_is_down() { # STEP
	local upstream variant
	upstream=$(container upstream)
	# shellcheck disable=SC2064 # as it is named now
	trap "docker start $upstream >/dev/null" EXIT # also where this test ends early
	for variant in '' fixed; do
		goto_step "$1" $variant
		docker stop --time 1 "$upstream" >/dev/null
		expect_match "$(reason_of_failure)" '^http://upstream:8080/events[^ ]*: (no such device or address|connection refused|connection timed out|no route to host)$' 'the reason'
		docker start "$upstream" >/dev/null
		within 15 serves_again || fail 'the patient does not find upstream again'
		goto_step 0
	done
}
serves_again() { toolbox 'curl -sf --max-time 10 -o /dev/null localhost:6060/'; }

# It is asked, and never answers; who waits for it is let go with the step.
test_connection_leak_survives_an_upstream_that_is_silent() { # STEP
	local upstream begun
	upstream=$(container upstream)
	goto_step "$1"
	hello 1
	docker pause "$upstream" >/dev/null
	# shellcheck disable=SC2064
	trap "docker unpause $upstream >/dev/null" EXIT
	expect_match "$(reason_of_failure)" '^http://upstream:8080/events: connection timed out$' 'the reason'
	toolbox_background 'curl -sS --max-time 20 -o /tmp/let_go localhost:6060/'
	within 5 are_upstream_connections 2 || fail 'no request waits'
	begun=$(now_ms)
	goto_step 0
	expect_between $(($(now_ms) - begun)) 0 1500 'ms to leave'
	within 1 toolbox 'grep -qx "hello world" /tmp/let_go' || fail 'the request that waited was not answered'
}

# nofile SOFT: changes the limit of the running patient, as its own user may.
nofile() { docker exec -u 10001:10001 "$(container toolbox)" bash -c 'prlimit --pid $APP_PID --nofile="$1":' nofile "$1"; }

test_connection_leak_ends_at_the_limit() { # STEP
	local reason
	goto_step "$1"
	nofile 64
	toolbox 'for i in $(seq 40); do curl -sS --max-time 10 -o /dev/null localhost:6060/ 2>/dev/null || exit 0; done; exit 1' ||
		fail '40 requests were answered with 64 descriptors'
	reason=$(reason_of_failure)
	nofile 1024
	expect_equal "$reason" 'http://upstream:8080/events: too many open files' 'the reason'
	hello 1
	goto_step 0
	within 1 are_upstream_connections 0 || fail "$(upstream_connections | tr '\n' ' ')connections after leaving"
}
