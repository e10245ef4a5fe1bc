# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# workshop/core-files.md: gdb on the living patient, its cores, and gdb on these. Each row of its
# tables is a test as those of 50_parity.sh are. No test leaves a core behind.
#
#   CORE_PATTERN=text  as if this machine's core_pattern were that
CORE_FILES=workshop/core-files.md

# Tests' own output is shown only when they fail; that one was skipped must be seen.
exec {suite_output}>&1

core_pattern() { echo "${CORE_PATTERN-$(toolbox 'cat /proc/sys/kernel/core_pattern')}"; }

# cores_arrive: what the kernel writes of the patient is found in /cores; says so when it is not.
cores_arrive() {
	local pattern
	pattern=$(core_pattern)
	case $pattern in
	/cores/*) return 0 ;;
	[\|@]* | */*) ;;
	*) return 0 ;;
	esac
	echo "skipped: this machine's core_pattern is '$pattern', no core reaches /cores; gcore is tried all the same" >&"$suite_output"
	return 1
}

remove_cores() { toolbox 'rm -f /cores/*'; }

# mb_on_disk FILE
mb_on_disk() { toolbox 'du -m "$1" | cut -f 1' "$1"; }

# Nothing that a reader would have to ask about.
COMPLAINTS='[Ww]arning|auto-load|debuginfod|No symbol|not match|--Type <RET>|\(y or n\)'

test_core_gdb_asks_and_complains_of_nothing() {
	local seen
	# As typed by a person: in a terminal of 24 lines, where gdb would stop at each page, for ever.
	seen=$(toolbox 'TERM=xterm timeout -k 2 20 script -qec "stty rows 24 cols 80; gdb -p $APP_PID -ex \"thread apply all bt\" -ex quit" /dev/null </dev/null' || true)
	expect_match "$seen" 'clone' 'what it prints'
	expect_no_match "$seen" "$COMPLAINTS" 'what it prints'
	expect_no_match "$seen" '^\[New LWP' 'what it prints'
	healthy || fail 'the patient does not answer after gdb'
}

# holder_in_gdb COMMAND...: the number of the thread that shared_state_lock says holds it.
holder_in_gdb() {
	toolbox '"$@" -batch -ex "eval \"thread find LWP %d)\", shared_state_lock.__data.__owner" 2>/dev/null' "$@" |
		sed -n 's/^Thread \([0-9]*\) has target id .*/\1/p'
}

# stack_of NUMBER TEXT: that thread's part of 'thread apply all bt'.
stack_of() { awk -v number="$1" '/^Thread / { inside = $2 == number } inside' <<<"$2"; }

# expect_hung_stacks STACKS COMMAND...: two threads wait, and the lock's owner is the one that forgot.
expect_hung_stacks() {
	local holder
	expect_equal "$(grep -c ' in update_shared_state (.*at services/app/faults/mutex\.c:' <<<"$1")" 2 'threads that wait'
	holder=$(holder_in_gdb "${@:2}")
	expect_match "$holder" '^[0-9]+$' "the holder's number"
	expect_match "$(stack_of "$holder" "$1")" ' forget_to_unlock \(.*at services/app/faults/mutex\.c:[0-9]+$' "the holder's stack"
}

test_core_of_abrt_opens_with_holder_and_sources() {
	local pid begun file seen
	cores_arrive || return 0
	remove_cores
	goto_step 1
	hang 2
	pid=$(toolbox 'echo $APP_PID')
	begun=$(now_ms)
	toolbox 'kill -s ABRT $APP_PID'
	within 5 is_back_and_not "$pid" || fail 'the patient is not back after 5 s'
	echo "ms until it is back: $(($(now_ms) - begun))"
	expect_match "$(app_log)" ' SIGABRT: [0-9]+ threads$' 'the log'
	expect_match "$(app_log)" '^waits for mutex shared_state_lock .* held by thread [0-9]+ "holder"' 'the dump in the log'
	file=$(toolbox 'ls /cores')
	expect_match "/cores/$file" '^/cores/[^ ]+$' 'the only file there'
	# The kernel leaves out what was never touched.
	expect_between "$(mb_on_disk "/cores/$file")" 1 200 'MB on disk'
	seen=$(toolbox 'open-core -batch -ex "thread apply all bt" -ex "list forget_to_unlock" 2>&1')
	expect_match "$seen" '^Program terminated with signal SIGABRT'
	expect_match "$seen" '^[0-9]+.*wait_for\(&may_unlock\); /\* FAULT' 'the source'
	expect_no_match "$seen" "$COMPLAINTS" 'what gdb prints'
	expect_hung_stacks "$seen" open-core
	# Without the helper as well: the core names its executable.
	expect_match "$(toolbox 'gdb -batch -ex "thread apply all bt" -c "$1" 2>&1' "/cores/$file")" ' main \(.*at services/app/main\.c:[0-9]+$' 'gdb -c'
	remove_cores
}

test_core_by_gcore_opens_and_the_patient_runs_on() {
	local pid said seen
	remove_cores
	goto_step 1
	hang 2
	pid=$(toolbox 'echo $APP_PID')
	said=$(toolbox 'gcore -o /cores/held $APP_PID 2>&1')
	expect_match "$said" "^Saved corefile /cores/held\\.$pid \\([0-9]+ MB on disk\\)\$"
	expect_no_match "$said" "$COMPLAINTS" 'what gcore prints'
	expect_equal "$(toolbox 'echo $APP_PID')" "$pid" 'the PID afterwards'
	goto_step 0
	within 2 hung_answered 2 || fail 'the hung requests were not answered afterwards'
	# Its stacks are mapped, 8 MB each, and hardly touched.
	expect_between "$(mb_on_disk "/cores/held.$pid")" 1 200 'MB on disk'
	seen=$(toolbox 'open-core -batch -ex "thread apply all bt" 2>&1')
	expect_no_match "$seen" "$COMPLAINTS" 'what gdb prints'
	expect_hung_stacks "$seen" open-core "/cores/held.$pid"
	remove_cores
}

test_core_newest_is_opened_and_none_is_explained() {
	local said
	remove_cores
	said=$(toolbox 'open-core 2>&1') && fail 'it found a core'
	expect_match "$said" '^open-core: there is no core in /cores\.$'
	expect_match "$said" 'gcore -o /cores/core \$APP_PID$'
	expect_match "$(toolbox 'CORE_PATTERN="|/x %p" open-core 2>&1' || true)" "program of its own \\(core_pattern is '\\|/x %p'\\)\\.\$"
	toolbox 'gcore -o /cores/new $APP_PID && touch -d "1 hour ago" /cores/old'
	expect_match "$(toolbox 'open-core -batch 2>&1')" '^open-core: /cores/new\.[0-9]+, '
	said=$(toolbox 'gcore -o /nowhere/x $APP_PID 2>&1') && fail 'gcore says all is well'
	expect_match "$said" '^gcore: failed to create /nowhere/x\.'
	remove_cores
}

# doctor_says PATTERN: its rows about it. (The ports that it finds in use are ours.)
doctor_says() { { CORE_PATTERN=$1 workshop/instructor/doctor.sh || true; } | grep -A 2 ' core_pattern '; }

test_core_doctor_tells_where_they_go() {
	local said
	expect_match "$(doctor_says core.%p)" '^ok +core_pattern +core\.%p, found in /cores'
	said=$(doctor_says '|/usr/bin/x %p')
	expect_match "$said" '^warn +core_pattern +\|/usr/bin/x %p$'
	expect_match "$said" 'not to /cores; gcore in the toolbox works, see workshop/core-files\.md'
	expect_match "$(doctor_says /var/crash/core)" 'cores are lost: .*; gcore in the toolbox works'
}

while IFS= read -r ours && IFS= read -r expected; do
	add "core-files: $ours" parity_row "$ours" "$expected"
done < <(parity_rows "$CORE_FILES")

test_core_none_is_left_behind() {
	expect_equal "$(toolbox 'ls /cores')" '' 'what is in /cores'
	goto_step 0
}
