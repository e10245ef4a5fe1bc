# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 6: lsof counts the files, strace shows who opens them.

plausible_fd_leak='TCP .*6060 \(LISTEN\)|TCP .*:x11.*\(LISTEN\)'
sign_fd_leak='REG .*/sickbay-file-[A-Za-z0-9]{6}$'

provoke_fd_leak() { hello 2; }
observe_fd_leak() { toolbox 'lsof -P -p $APP_PID'; }

file_count() { observe_fd_leak | grep -c '/sickbay-file-' || true; }

# strace_of_a_request: what strace -f -k says of the opens and closes of one request.
strace_of_a_request() {
	toolbox '
		strace -f -k -p $APP_PID -e trace=openat,close -o /tmp/strace.out 2>/tmp/strace.err &
		strace=$!
		for try in $(seq 100); do
			[ -n "$(grep -L "^TracerPid:.[1-9]" /proc/$APP_PID/task/*/status)" ] || break
			sleep 0.1
		done
		curl -sS --max-time 20 localhost:6060/ >/dev/null
		kill -INT $strace
		wait $strace
		cat /tmp/strace.out'
}

test_fd_leak_lsof_grows_by_five_a_request() { # STEP
	local before count made=0
	goto_step 0
	before=$(vars .fds)
	goto_step "$1"
	for count in 1 4; do
		hello $((count - made))
		made=$count
		expect_equal "$(file_count)" $((5 * count)) "files after $count requests, by lsof"
	done
	expect_between "$(vars .fds)" $((before + 20)) $((before + 22)) 'descriptors by /debug/vars'
	expect_match "$(docker exec "$(container app)" sh -c 'ls /tmp')" '^sickbay-[A-Za-z0-9]{6}$' 'the temporary directory'
	goto_step 0
	expect_equal "$(file_count)" 0 'files after leaving, by lsof'
	expect_equal "$(docker exec "$(container app)" sh -c 'ls /tmp')" '' 'what is left in the temporary directory'
}

test_fd_leak_strace_shows_who_opens_and_nobody_closes() { # STEP
	local seen opened
	goto_step "$1"
	seen=$(strace_of_a_request)
	# The stack of each open, up to the function.
	opened=$(awk '/openat\(.*sickbay-file-/ { inside = 1; next } inside && /create_files\+0x/ { n++ } !/^ >/ { inside = 0 } END { print n + 0 }' <<<"$seen")
	expect_equal "$opened" 5 'opens of sickbay-file- that have create_files in their stack'
	expect_equal "$(closed_files "$seen")" 0 'of these, closed'
	goto_step "$1" fixed
	seen=$(strace_of_a_request)
	expect_equal "$(closed_files "$seen")" 5 'files closed by the fixed variant'
	goto_step 0
}

# closed_files TRACE: how many of the files it shows opened it also shows closed.
closed_files() {
	awk '
		match($0, /openat\(.*sickbay-file-.* = [0-9]+$/) { open[$NF] = 1; next }
		match($0, /close\([0-9]+/) {
			fd = substr($0, RSTART + 6, RLENGTH - 6)
			if (open[fd]) { closed++; delete open[fd] }
		}
		END { print closed + 0 }' <<<"$1"
}
