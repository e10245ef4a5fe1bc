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

# open_in_create_files: how many it opened, by pprof -top, which has a line "Showing" whatever it finds.
open_in_create_files() {
	toolbox 'pprof -top http://localhost:6060/debug/pprof/fd 2>&1' |
		awk '/^Showing nodes/ { is_profile = 1 } $6 == "create_files" { count = $1 } END { if (!is_profile) exit 1; print count + 0 }'
}

test_fd_leak_fd_profile_names_the_line() { # STEP
	local line seen count made=0
	line=$(awk '/ = mkostemp\(/ { print NR; exit }' services/app/faults/fd_leak.c)
	goto_step "$1"
	for count in 1 4; do
		hello $((count - made))
		made=$count
		seen=$(get '/debug/pprof/fd?debug=1' | grep -B 3 '	create_files+0x')
		expect_match "$seen" "^$((5 * count)) @ 0x" "the group after $count requests"
		expect_match "$seen" '^# labels: \{"kind":"file"\}$' 'the group'
		expect_match "$seen" "	/src/sickbay/services/app/faults/fd_leak\\.c:$line\$" 'the group'
		expect_equal "$(open_in_create_files)" $((5 * count)) "files open by pprof after $count requests"
	done
	expect_match "$(toolbox 'pprof -list create_files http://localhost:6060/debug/pprof/fd 2>&1')" \
		"^ +20 +20 +$line:.* = mkostemp\\(" 'the listing'
	expect_equal "$(get '/debug/pprof/fd?debug=2' | grep -c '^fd [0-9]* \[file, .*: "/tmp/sickbay-.*/sickbay-file-')" 20 'files in the list'
	goto_step 0
	expect_no_match "$(get '/debug/pprof/fd?debug=1')" create_files 'the profile after leaving'
	expect_equal "$(open_in_create_files)" 0 'files open by pprof after leaving'
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
