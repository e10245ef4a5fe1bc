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

test_low_descriptor_limit() {
	local log seen before line path
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
	for path in /healthz /debug/vars /debug/pprof/ /debug/pprof/heap '/debug/pprof/profile?seconds=1'; do
		expect_equal "$(status "$path" --max-time 5)" 200 "status of $path"
	done
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
