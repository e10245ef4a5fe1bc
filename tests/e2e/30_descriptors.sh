# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# Step 6 at a low limit: the request fails as in the seeds, and everything else goes on.

# until_empty_reply: requests until one gets no answer; prints what curl said of it.
until_empty_reply() {
	toolbox 'for i in $(seq 40); do
			curl -sS --max-time 10 localhost:6060/ 2>&1 | grep -v "^hello world$" && exit 0
		done
		echo "all of 40 requests were answered"; exit 1'
}

accepts_20() {
	toolbox 'for i in $(seq 20); do (exec 3<>/dev/tcp/localhost/6060 && printf "GET /healthz HTTP/1.0\r\n\r\n" >&3 && timeout 5 head -n 1 <&3) & done; wait' |
		grep -c '^HTTP/1\.[01] 200 OK'
}

plane_answers() {
	local path
	for path in /healthz /goto /debug/vars /debug/pprof/ /debug/pprof/heap /debug/pprof/fd '/debug/pprof/fd?debug=2' '/debug/pprof/profile?seconds=1'; do
		expect_equal "$(status "$path" --max-time 5)" 200 "status of $path"
	done
}

test_low_descriptor_limit() {
	local log seen before line
	stack_up low APP_NOFILE=64
	expect_match "$(toolbox 'cat /proc/$APP_PID/limits')" '^Max open files +64 ' 'the limits of the patient'
	goto_step 6
	expect_match "$(until_empty_reply)" '^curl: \(52\) Empty reply from server$' 'what curl said'

	echo '--- the log has the reason and the stack'
	log=$(app_log)
	expect_match "$log" '^[0-9/]{10} [0-9:]{8} http: panic serving [0-9.]+:[0-9]+: open /tmp/sickbay-[A-Za-z0-9]+/sickbay-file-[A-Za-z0-9]*: too many open files$'
	expect_match "$log" '^thread [0-9]+ "worker-[0-9]+" \[running\]:$'
	seen=$(grep -A 1 '^create_files' <<<"$log" | sed -n 2p)
	line=$(awk '/return fault_fail\(call, -errno/ { print NR; exit }' services/app/faults/fd_leak.c)
	expect_match "$seen" "^	/src/sickbay/services/app/faults/fd_leak\\.c:$line " 'the line below create_files'
	expect_match "$log" '^do_some_business_logic' 'the stack'
	expect_no_match "$log" '^fault_fail' 'the stack'

	echo '--- the plane answers'
	plane_answers
	expect_match "$(toolbox 'pprof -top http://localhost:6060/debug/pprof/heap 2>&1')" '^Type: inuse_space' 'the heap profile'
	expect_between "$(vars .fds)" 60 70 'open descriptors'
	expect_equal "$(accepts_20)" 20 'connections accepted'

	echo '--- and nothing spins'
	before=$(cpu_ticks)
	sleep 2 # a span of time is what is measured
	expect_between "$(($(cpu_ticks) - before))" 0 10 'hundredths of a second of CPU in 2 s'

	echo '--- the error is the kernel'"'"'s'
	seen=$(strace_of_a_request)
	expect_match "$seen" 'openat\(.*sickbay-file-.*= -1 EMFILE \(Too many open files\)' 'strace'
	expect_match "$(toolbox 'cat /proc/$APP_PID/limits')" '^Max open files +64 ' 'the limits of the patient'

	echo '--- well again'
	goto_step 0
	hello 10
	expect_equal "$(file_count)" 0 'files after leaving'
	stack_down
}

# limit [NOFILE]: as a person types it; what it says, also when it refuses.
limit() { COMPOSE_PROJECT_NAME=$STACK make --no-print-directory limit ${1:+"NOFILE=$1"} 2>&1; }
has_limits() { expect_match "$(toolbox 'cat /proc/$APP_PID/limits')" "^Max open files +$1 +$2 " 'the limits of the patient'; }

refused() { # NOFILE SENTENCE
	local said
	! said=$(limit "$1") || fail "make limit NOFILE=$1 was done: $said"
	expect_match "$said" "^sickbay: $2" "what make limit NOFILE=$1 said"
}

test_live_descriptor_limit() {
	local value
	stack_up limit
	expect_match "$(limit)" '^sickbay: the patient may have 1024 files open \(hard limit 8192\), and has [0-9]+$' 'make limit'
	for value in 15 8193 64k -1 0 1e3 99999999999999999999; do
		refused "$value" "NOFILE is '$value'; it must be a whole number from 32 to the hard limit, 8192, as in: make limit NOFILE=64\$"
	done
	has_limits 1024 8192

	echo '--- lower, while it runs'
	goto_step 6
	expect_match "$(limit 64)" '^sickbay: the patient may have 64 files open now; it could have 1024 before \(hard limit 8192\), and has [0-9]+$' 'make limit NOFILE=64'
	has_limits 64 8192
	expect_match "$(until_empty_reply)" '^curl: \(52\) Empty reply from server$' 'what curl said'
	expect_match "$(app_log)" '^[0-9/]{10} [0-9:]{8} http: panic serving .*/sickbay-file-[A-Za-z0-9]*: too many open files$' 'the log'
	plane_answers
	expect_between "$(open_in_create_files)" 10 60 'files open by pprof'
	refused 40 'the patient has [0-9]+ files open already, and could open none with a limit of 40;'

	echo '--- well again'
	COMPOSE_PROJECT_NAME=$STACK make --no-print-directory reset
	has_limits 1024 8192
	hello 10
	expect_equal "$(file_count)" 0 'files after leaving'

	echo '--- and when it is down'
	docker stop --time 2 "$(container app)" >/dev/null
	refused 64 'the patient is not running; look at: make logs$'
	stack_down
	refused 64 'the stack is not up. Type: make up$'
}

# The hard limit is the end for all: only who gets the last descriptor is heard.
test_hard_descriptor_limit() {
	local seen
	stack_up hard
	goto_step 6
	# What has names once has them without a descriptor.
	expect_match "$(get '/debug/pprof/fd?debug=1')" '^fd profile: total [0-9]+$' 'the profile'
	docker exec -u 10001:10001 "$(container toolbox)" bash -c 'prlimit --pid $APP_PID --nofile=64:64'
	expect_match "$(until_empty_reply)" '^curl: \(52\) Empty reply from server$' 'what curl said'
	seen=$(get '/debug/pprof/fd?debug=1' --retry 5 --retry-all-errors)
	expect_match "$seen" '^fd profile: total 6[0-4]$' 'the profile'
	expect_match "$seen" '	create_files\+0x' 'the profile'
	expect_match "$seen" '#	0x0	\([0-9]+ untracked: ' 'the profile'
	goto_step 0
	hello 10
	stack_down
}
