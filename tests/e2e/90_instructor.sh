# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# What an instructor does while people work: reset, a room, the doctor.

# on_stack VERB [NAME=VALUE...]: of make, on the current stack; its captures are nobody's.
on_stack() { COMPOSE_PROJECT_NAME=$STACK SICKBAY_CAPTURES=./$OUT/captures make --no-print-directory "$@" 2>&1; }

# counts SENTENCE: of a reset: threads, descriptors, MiB.
counts() { sed -n -E 's/^sickbay: step 0; ([0-9]+) threads, ([0-9]+) descriptors, ([0-9]+)\.[0-9] MiB of heap$/\1 \2 \3/p' <<<"$1"; }

# expect_well SENTENCE THREADS DESCRIPTORS MIB: as it was, but for what is kept for the next time.
expect_well() {
	local threads files mib
	read -r threads files mib < <(counts "$1") || fail "the reset said: $1"
	expect_between "$threads" "$(($2 - 1))" "$(($2 + 1))" threads
	expect_between "$files" "$(($3 - 2))" "$(($3 + 2))" descriptors
	expect_between "$mib" 0 "$(($4 + 8))" 'MiB of heap'
}

test_reset_gives_back_what_any_step_took() {
	local base step said begun
	base=$(counts "$(on_stack reset)")
	for step in 1 2 3 5 6 7; do
		echo "--- step $step"
		goto_step "$step"
		case $step in
		1 | 2) toolbox_background 'curl -s --max-time 20 localhost:6060/' ;;
		*) hello 5 ;;
		esac
		begun=$(now_ms)
		said=$(on_stack reset)
		expect_between "$(($(now_ms) - begun))" 0 10000 'ms of a reset'
		expect_no_match "$said" restarting 'the reset'
		# shellcheck disable=SC2086 # three numbers
		expect_well "$said" $base
		expect_match "$(get /goto)" '^step 0$' 'the step afterwards'
	done
	expect_equal "$(counts "$(on_stack reset)" | wc -w)" 3 'numbers of a reset without need'
}

test_reset_disturbs_nobody() {
	local pid port said
	pid=$(toolbox 'echo $APP_PID')
	port=$(published 8000 desk)
	goto_step 2
	toolbox_background 'rm -f /tmp/profile*; curl -sf "localhost:6060/debug/pprof/profile?seconds=3" >/tmp/profile; echo $? >/tmp/profile.status'
	within 3 profile_runs || fail 'no profile is under way'
	desk_post /patient/requests rate=3
	within 5 desk_tells "$port" '"rate":3' || fail 'the desk sends no requests'
	said=$(on_stack reset)
	expect_match "$said" '^sickbay: step 0; ' 'the reset'
	within 2 desk_tells "$port" '"rate":0' || fail "the desk's requests go on"
	within 10 toolbox 'grep -qx 0 /tmp/profile.status' || fail 'the profile was cut off'
	expect_match "$(toolbox 'pprof -top /tmp/profile')" ' eat_cpu$' 'the profile'
	expect_equal "$(toolbox 'echo $APP_PID')" "$pid" 'the patient'
}
profile_runs() { toolbox 'ss -Htn state established "( dport = :6060 )" | grep -q .'; }

test_reset_restarts_only_a_patient_that_hangs() {
	local before
	before=$(state_of toolbox '{{.Id}} {{.State.StartedAt}}')
	toolbox 'kill -STOP $APP_PID'
	expect_match "$(on_stack reset)" '^sickbay: the patient does not answer, or has not given back what it took; restarting it$' 'the reset'
	expect_equal "$(state_of toolbox '{{.Id}} {{.State.StartedAt}}')" "$before" 'the toolbox'
	hello 1
}

test_reset_hard_makes_the_patient_anew() {
	local toolbox_before app_before said
	toolbox_before=$(state_of toolbox '{{.Id}} {{.State.StartedAt}}') app_before=$(state_of app '{{.Id}}')
	goto_step 5
	hello 1
	said=$(on_stack reset HARD=1)
	expect_match "$said" '^sickbay: step 0; ' 'the reset'
	[ "$(state_of app '{{.Id}}')" != "$app_before" ] || fail 'the container is the same'
	expect_equal "$(state_of toolbox '{{.Id}} {{.State.StartedAt}}')" "$toolbox_before" 'the toolbox'
	expect_match "$(toolbox 'gdb -p $APP_PID -batch -ex bt 2>&1')" ' main \(.*at services/app/main\.c:[0-9]+' 'gdb on the new one'
	hello 1
}

test_reset_forgets_captures_only_when_asked() {
	local folder=$OUT/captures
	mkdir -p "$folder"
	touch "$folder/a.pb.gz" "$folder/b.pftrace" "$folder/.c.pb.gz.part"
	expect_no_match "$(on_stack reset)" captures 'a reset'
	expect_equal "$(find "$folder" -type f | wc -l)" 3 'captures'
	expect_match "$(on_stack reset CAPTURES=1)" "^sickbay: 2 captures deleted in \\./$folder\$"
	expect_equal "$(ls -A "$folder")" .c.pb.gz.part 'what is under way'
	expect_match "$(on_stack reset CAPTURES=1)" '^sickbay: 0 captures deleted'
}

test_reset_keeps_progress_unless_asked() {
	desk_post /labs/verified step=3
	expect_no_match "$(on_stack reset)" progress 'a reset'
	expect_match "$(on_stack reset PROGRESS=1)" '^sickbay: progress forgotten: 0 labs answered, 1 mended$'
	expect_match "$(on_stack reset PROGRESS=1)" '^sickbay: progress forgotten: 0 labs answered, 0 mended$'
}

test_instructors_text_is_a_page_of_the_desk() {
	expect_match "$(from_host "$(published 8000 desk)" /labs/instructor/)" '<h1'
}

# ---- a room ----------------------------------------------------------------------------------------

# room NAME=VALUE...: with ports beside ours.
room() {
	COMPOSE_PROJECT_NAME=${ROOM:-$E2E_PROJECT} SICKBAY_PORT_ROOM=${ROOM_PORT:-$((E2E_PORT + 90))} \
		make --no-print-directory room "$@" 2>&1
}

test_room_of_two() {
	local said
	expect_match "$(room STATUS=1 || true)" '^sickbay: there is no room\. For five attendees, type: make room N=5$'
	said=$(room N=2)
	show "$said"
	expect_match "$said" "^1 +0 +leaky +0 +0 +healthy +http://127\\.0\\.0\\.1:$((E2E_PORT + 100))/\$"
	expect_match "$said" "^2 +0 +leaky +0 +0 +healthy +http://127\\.0\\.0\\.1:$((E2E_PORT + 110))/\$"
	expect_match "$said" "^ssh -t -L $((E2E_PORT + 110)):127\\.0\\.0\\.1:$((E2E_PORT + 110)) .* shell ATTENDEE=2\$"

	echo '--- each on its own'
	expect_equal "$(docker inspect --format '{{.Config.Healthcheck.Interval}}' "$E2E_PROJECT-room-1-app-1")" 5s 'time between two looks'
	expect_match "$(from_host $((E2E_PORT + 110)) /ports)" "\"6060\": $((E2E_PORT + 111))," "the desk's ports"
	STACK=$E2E_PROJECT-room-1 toolbox 'echo x >/captures/of-one'
	[ -e "profiles/$E2E_PROJECT-room-1/of-one" ] || fail 'the capture of attendee 1 is not in their folder'
	[ ! -e "profiles/$E2E_PROJECT-room-2/of-one" ] || fail 'attendee 2 has it too'
	expect_match "$(COMPOSE_PROJECT_NAME=$E2E_PROJECT make --no-print-directory limit NOFILE=77 ATTENDEE=2)" 'may have 77 files open now'

	echo '--- all at once, and one of them'
	expect_match "$(room GOTO=3 VARIANT=fixed)" '^sickbay: at step 3 \(fixed\): 2 of 2 patients$'
	expect_match "$(room RESET=2)" '^sickbay: attendee 2: step 0; [0-9]+ threads'
	docker stop --time 1 "$E2E_PROJECT-room-1-upstream-1" >/dev/null
	STACK=$E2E_PROJECT-room-2 desk_post /labs/verified step=3
	said=$(room STATUS=1)
	expect_match "$said" '^1 +3 +fixed +0 +0 +upstream exited +http'
	expect_match "$said" '^2 +0 +leaky +0 +1 +healthy +http'
	expect_match "$(room N=41 || true)" "^sickbay: '41' is no attendee; they are numbered from 1 to 40\$"
	expect_match "$(room RESET=3 || true)" "^sickbay: there is no attendee '3'; there are 1 2, "
	expect_match "$(room GOTO=9 || true)" '^sickbay: attendee 1 is not at step 9: step must be 0 to 7'

	echo '--- fewer, again, and none'
	expect_match "$(room N=1 || true)" '^sickbay: attendee 2 is there\. To keep 1, and take those above down: make room N=1 STOP=1$'
	expect_match "$(room N=one STOP=1 || true)" "^sickbay: 'one' is no attendee;"
	expect_match "$(room N=1 STOP=1)" '^sickbay: taken down: 1 of 2 attendees'
	# Another setting would make the patient anew, in step 2.
	said=$(APP_STEP=2 room N=1)
	expect_match "$said" '^1 +3 +fixed +0 +0 +healthy' 'the room of one'
	expect_match "$(room STOP=1 VOLUMES=1)" '^sickbay: taken down: 2 of 2 attendees'
	expect_equal "$(docker ps --all --quiet --filter "name=^$E2E_PROJECT-room-"; docker volume ls --quiet --filter "name=^$E2E_PROJECT-room-")" '' 'what is left'
	rm -rf "profiles/$E2E_PROJECT"-room-*
}

test_room_says_whose_port_is_taken() {
	local said
	said=$(ROOM=$E2E_PROJECT-taken ROOM_PORT=$((E2E_PORT - 10)) room N=1) && fail 'it started'
	expect_match "$said" "^FAIL  port $E2E_PORT +of attendee 1, in use by another program\$"
	expect_match "$said" "repair: .* SICKBAY_PORT_ROOM=$((E2E_PORT + 9990)) make room N=1\$"
	expect_equal "$(docker ps --all --quiet --filter "name=^$E2E_PROJECT-taken-")" '' 'what was started'
}

test_room_says_who_has_no_stack() {
	local said
	said=$(COMPOSE_PROJECT_NAME=$E2E_PROJECT-none SICKBAY_TAG=none workshop/instructor/room.sh start 7 2>&1) && fail 'it started'
	expect_match "$said" '^sickbay: attendee 7 has no healthy stack: .*No such image: sickbay-.*\. See: make logs ATTENDEE=7$'
	COMPOSE_PROJECT_NAME=$E2E_PROJECT-none VOLUMES=1 workshop/instructor/room.sh stop 7
	rmdir "profiles/$E2E_PROJECT-none-room-7"
}

# ---- the doctor ------------------------------------------------------------------------------------

# doctor STATUS [NAME=VALUE...]: what it says, with that exit status.
doctor() {
	local status=0
	env "COMPOSE_PROJECT_NAME=$STACK" "${@:2}" workshop/instructor/doctor.sh ${N:+"$N"} || status=$?
	expect_equal "$status" "$1" 'exit status' >&2
}

test_doctor_finds_this_machine_able() {
	local said
	said=$(doctor 0)
	expect_no_match "$said" '^FAIL' 'what it says'
	expect_match "$said" '^ok +images +built for '
	expect_match "$said" '^ok +networks +[0-9]+ more fit'
	expect_match "$said" '^ok +ptrace +strace in the toolbox attaches'
}

test_doctor_names_what_is_not_well() {
	local said
	echo '--- what stops a start'
	expect_match "$(doctor 1 SICKBAY_IMAGES=given SICKBAY_TAG=none)" '^FAIL +images +they are to be given, and are not there$'
	said=$(N=3 doctor 1 "COMPOSE_PROJECT_NAME=$E2E_PROJECT-none" ADDRESS_POOLS='10.9.0.0/24 24' "SICKBAY_PORT_ROOM=$((E2E_PORT + 90))")
	expect_match "$said" "^FAIL +networks +0 more fit into the engine's address pools, 3 are needed\$"
	expect_match "$said" 'repair: in /etc/docker/daemon\.json: '
	expect_match "$said" "^ok +ports +from $((E2E_PORT + 100)) on: free"

	echo '--- what does not'
	# What an image was built for is in its description: an empty one will do.
	tar -c --files-from /dev/null | docker import --platform linux/s390x - "sickbay-app:$E2E_PROJECT-foreign" >/dev/null
	said=$(doctor 0 SICKBAY_TAG="$E2E_PROJECT-foreign" INOTIFY_INSTANCES=8 ENGINE_TIME='1 hour ago' BROWSERS='')
	docker rmi "sickbay-app:$E2E_PROJECT-foreign" >/dev/null
	expect_match "$said" '^warn +images +built for s390x, this machine is [a-z0-9]+: they are emulated$'
	expect_match "$said" '^warn +inotify +8 watchers per user$'
	expect_match "$said" "^warn +clock +the engine's is -(36[0-9]{2}|3599) s from this machine's\$"
	expect_match "$said" '^warn +browser +none on this machine$'
	expect_match "$said" 'repair: there: ssh -L 8000:127\.0\.0\.1:[0-9]+ '
}

# memory MIB ATTENDEES: the doctor's row of it where so much is available.
memory() {
	{ env "COMPOSE_PROJECT_NAME=$E2E_PROJECT-none" AVAILABLE_MIB="$1" workshop/instructor/doctor.sh "$2" || true; } |
		grep -A2 -E '^[A-Za-z]+ +memory ' || fail 'the doctor says nothing of the memory'
}

test_doctor_measures_memory_by_the_attendees() {
	local said needed comfortable
	said=$(memory 0 3)
	needed=$(sed -n -E 's/.* MiB available, ([0-9]+) needed$/\1/p' <<<"$said")
	comfortable=$(sed -n -E 's/.*; ([0-9]+) MiB are comfortable$/\1/p' <<<"$said")
	expect_match "$said" '^FAIL +memory +0 MiB available, [0-9]+ needed$'
	expect_match "$said" 'or 3 stacks not be started$'
	expect_match "$(memory "$((needed - 1))" 3)" '^FAIL +memory '
	expect_match "$(memory "$needed" 3)" '^warn +memory '
	expect_match "$(memory "$((comfortable - 1))" 3)" '^warn +memory '
	expect_match "$(memory "$comfortable" 3)" '^ok +memory '
	expect_match "$(memory "$needed" 4)" '^FAIL +memory '
}
