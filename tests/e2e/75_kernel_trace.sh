# shellcheck shell=bash
# make trace, and the kernel's side of it, also by the desk: docker/trace.sh, docker/recorder/. What is in the
# trace is asked by the words of 70_trace.sh.

# Tests' own output is shown only when they fail; that one was skipped must be seen.
exec {kernel_output}>&1

NOT_RECORDED='^sickbay: the kernel (is not|cannot be) recorded[:,] '
CAPTURE=profiles/captures/e2e-kernel.pftrace

# make_trace SECONDS [KERNEL]: what it says; the trace is $TRACE then.
make_trace() {
	rm -f "$CAPTURE"
	COMPOSE_PROJECT_NAME=$STACK docker/trace.sh "$1" e2e-kernel "${2:-}" 2>&1
	mv "$CAPTURE" "$TRACE"
}

# trace_of_a_request SECONDS: with the kernel; one request is made as soon as the patient is traced.
trace_of_a_request() {
	make_trace "$1" 1 >"$OUT/make-trace" &
	within 60 grep -q 'tracing the patient' "$OUT/make-trace" || fail 'the trace did not begin'
	within 5 trace_is_asked_for || fail 'the patient was asked for no trace'
	hello 1
	wait "$!" || fail 'make trace failed'
	cat "$OUT/make-trace"
}
# Whoever asks the patient instead takes a trace.
trace_is_asked_for() { toolbox 'pgrep -f "pprof/[t]race" >/dev/null'; }

# recorded SENTENCES: the kernel is in the trace; says so when it is not.
recorded() {
	matches "$1" "$NOT_RECORDED" || return 0
	echo "skipped: the kernel's side of a trace: $(grep -E "$NOT_RECORDED" <<<"$1")" >&"$kernel_output"
	return 1
}

# A process of this machine that is none of the stack's; ends by itself.
foreigner() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	timeout 60 bash -c 'echo e2e-foreigner >/proc/$$/comm
		while :; do for ((i = 0; i < 2000; i++)); do :; done; read -r -t 0.02; done' < <(exec sleep 60) &
}

REQUEST="select count(*) from slice where name = 'create_files'"
# inside NUMBER: what is within that one of them, from 0.
inside() {
	echo "with recursive inside(id, track_id) as (select * from (select id, track_id from slice
		where name = 'create_files' order by ts limit 1 offset $1)
	union all select s.id, s.track_id from slice s join inside on s.parent_id = inside.id)"
}

# expect_both_sides NUMBER: of that request in $TRACE, from 0.
expect_both_sides() {
	local seen
	seen=$(ask_both "$(inside "$1") select count(*) > 0 from inside" \
		"$(inside "$1") select count(*), count(distinct track_id) from slice join inside using (id, track_id)
			where name = 'sys_openat'" \
		"select count(*) > 0 from slice s join thread_track tt on s.track_id = tt.id join sched using (utid)
			where s.name = 'create_files' and sched.ts < s.ts + s.dur and sched.ts + sched.dur > s.ts" \
		"select count(*) from thread where tid >= 8388608" \
		"select count(*) > 0 from sched join thread using (utid) where name = 'other'" \
		"select count(*) from thread where name like 'e2e-foreigner%'" \
		"select count(*) from process where name like '%foreigner%' or cmdline like '%foreigner%'" \
		"select count(*) from slice s join thread_track tt on s.track_id = tt.id join thread t using (utid)
			where s.name like 'sys_%' and t.name = 'other'")
	expect_equal "$(head -n 4 <<<"$seen")" $'1\n5\t1\n1\n0' \
		'whether it is there; system calls within them, their tracks; whether it ran on a CPU; threads of unknown number'
	expect_equal "$(tail -n +5 <<<"$seen")" $'1\n0\n0\n0' 'whether there are others; their names, their system calls'
}

test_kernel_trace_has_syscalls_within_the_business() {
	local said
	COMPOSE_PROJECT_NAME=$STACK docker/recorder-image.sh || true
	goto_step 6
	foreigner
	said=$(trace_of_a_request 4)
	goto_step 0
	expect_match "$said" 'every process of the machine' 'the warning'
	expect_match "$said" '^sickbay: open http://localhost:[0-9]+/viewer/\?url=/captures/e2e-kernel\.pftrace$' 'the address'
	if ! recorded "$said"; then
		expect_equal "$(ask_both "$REQUEST")" 1 'the request'
		return
	fi
	expect_equal "$(ask_both "$REQUEST")" 1 'requests'
	expect_both_sides 0
}

# ---- by the desk ---------------------------------------------------------------------------------

# stand_recorder: as 'make up' does where its profile is on; false, and says so, where it cannot.
stand_recorder() {
	local said
	said=$(COMPOSE_PROJECT_NAME=$STACK docker/recorder-image.sh 2>&1) && recorded "$said" || return 1
	compose --profile kernel-trace up --detach --no-deps --no-build recorder
	within 10 desk_offers_kernel || fail 'the desk does not offer it'
}
remove_recorder() { compose --profile kernel-trace rm --stop --force recorder; }
desk_offers_kernel() { matches "$(from_host "$(published 8000 desk)" /capture/kinds)" '"kind":"kernel"'; }

in_recorder() { docker exec "$(container recorder)" sh -c "$1"; }
kernel_is_recorded() { in_recorder 'test -e /tmp/*/patient.pftrace'; }
# shellcheck disable=SC2016 # expanded in the recorder
recorder_is_idle() {
	in_recorder '! test -e "/sys/kernel/tracing/instances/sickbay-$(hostname)" && ! ls -d /tmp/*/ >/dev/null 2>&1'
}

# take_kernel SECONDS: its id and its name, once the kernel is recorded.
take_kernel() {
	local answer
	answer=$(desk_post /capture/take "kind=kernel&seconds=$1&name=e2e")
	within 60 kernel_is_recorded || fail "the kernel is not recorded: $answer"
	sed -E 's/^\{"id":([0-9]+),"name":"([^"]*)"\}$/\1 \2/' <<<"$answer"
}

test_kernel_trace_by_the_desk_has_both_sides() {
	local name
	stand_recorder || return 0
	chmod 1777 profiles/captures
	goto_step 6
	foreigner
	# When exactly the patient is traced is not seen from here: requests go on for 90 s.
	toolbox_background "curl -sS --rate 120/m -o /dev/null 'localhost:6060/?[1-180]'"
	name=$(take_kernel 3)
	name=profiles/captures/${name#* }
	within 60 test -f "$name" || fail "there is no $name"
	cat "$name" >"$TRACE"
	expect_match "$(desk_post /capture/delete "name=${name##*/}")" '^Done' 'deleting it'
	toolbox 'pkill -x curl' || true
	goto_step 0
	expect_both_sides 1
	within 10 recorder_is_idle || fail 'something of it is left'
	expect_equal "$(in_recorder 'sed -n "s/^CapBnd:[[:space:]]*//p" /proc/self/status')" 0000000000000000 'what it may do'
	remove_recorder
}

nothing_is_taken() { desk_tells "$(published 8000 desk)" '"takings":\[\]'; }

test_kernel_trace_by_the_desk_ends_when_it_is_cancelled() {
	local taken
	stand_recorder || return 0
	taken=$(take_kernel 120)
	expect_match "$(desk_post /capture/take kind=kernel)" '^The kernel is being recorded already' 'a second one'
	expect_match "$(desk_post /capture/cancel "id=${taken% *}")" '^Done' 'cancelling it'
	within 10 recorder_is_idle || fail 'it goes on, or something of it is left'
	expect_equal "$(get '/debug/pprof/trace?seconds=1' -o /dev/null -w '%{http_code}')" 200 "the patient's own, after that"
	take_kernel 120
	docker restart --time 0 "$(container desk)"
	within 10 recorder_is_idle || fail 'it goes on without the desk'
	within 10 desk_offers_kernel || fail 'the desk did not come back'
	take_kernel 2
	remove_recorder
	within 30 nothing_is_taken || fail 'the desk goes on without the recorder'
	expect_equal "$(find profiles/captures -name '*e2e-*' -o -name '*.part')" '' 'what is left in the captures'
	! desk_offers_kernel || fail 'the desk still offers it'
	expect_match "$(desk_post /capture/take kind=kernel)" '^No recorder of the kernel stands here' 'taking one'
}

test_kernel_trace_without_tracefs_is_the_patients_own() {
	local said volume=${STACK}_tracing
	remove_recorder
	docker volume rm --force "$volume" >/dev/null
	docker volume create --driver local --opt type=tmpfs --opt device=tmpfs "$volume" >/dev/null
	goto_step 6
	said=$(trace_of_a_request 2)
	docker volume rm "$volume" >/dev/null
	goto_step 0
	expect_match "$said" "$NOT_RECORDED" 'what it says'
	expect_equal "$(ask_both "$REQUEST" "select count(*) from slice where name like 'sys_%'")" $'1\n0' \
		"requests; the kernel's system calls"
}

test_kernel_trace_refusals_are_sentences() {
	local value
	for value in 0 301 -1 x 1.5 ''; do
		expect_match "$(make_trace "$value" 2>&1 || true)" "^sickbay: SECONDS is '$value'; it must be a whole number from 1 to 300"
	done
	expect_match "$(NAME=x KERNEL=1 SECONDS=9 make -n trace)" "^docker/trace\.sh '5' '' ''\$" "what make takes from the environment"
	expect_match "$(COMPOSE_PROJECT_NAME=$STACK docker/trace.sh 1 ../x '' 2>&1 || true)" "^sickbay: NAME is '\.\./x'"
	expect_match "$(COMPOSE_PROJECT_NAME=$STACK-none docker/trace.sh 1 x '' 2>&1 || true)" '^sickbay: the stack is not up'
	toolbox_background "curl -sS -o /dev/null --max-time 4 'localhost:6060/debug/pprof/trace?seconds=60'"
	within 3 trace_is_asked_for || fail 'the patient was asked for no trace'
	expect_match "$(make_trace 1 2>&1 || true)" '^sickbay: there is no trace: A trace is being taken already'
}
