# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# The containers: who may do what, who is seen from where, and who survives whom.

state_of() { docker inspect --format "$2" "$(container "$1")"; } # SERVICE FORMAT

test_stack_ports_are_bound_to_loopback_only() {
	local bound
	bound=$(docker ps --filter "label=com.docker.compose.project=$STACK" --quiet |
		xargs docker inspect --format '{{range $port, $where := .NetworkSettings.Ports}}{{range $where}}{{.HostIp}} {{$port}}{{"\n"}}{{end}}{{end}}' | sed '/^$/d')
	expect_equal "$(sort <<<"$bound" | tr '\n' ' ')" '127.0.0.1 6060/tcp 127.0.0.1 8000/tcp 127.0.0.1 9000/tcp 127.0.0.1 9001/tcp ' 'what is published'
	expect_match "$(from_host "$(published 6060)" /healthz)" ' 200 OK' '/healthz from this machine'
	expect_match "$(from_host "$(published 8000 desk)" /)" ' 200 OK' 'the desk from this machine'
}

test_stack_patient_is_locked_up() {
	local status
	status=$(toolbox 'cat /proc/$APP_PID/status')
	expect_match "$status" '^Uid:	10001	10001	10001	10001$'
	expect_match "$status" '^Gid:	10001	10001	10001	10001$'
	expect_match "$status" '^CapEff:	0000000000000000$'
	expect_match "$status" '^CapBnd:	0000000000000000$'
	expect_match "$status" '^NoNewPrivs:	1$'
	expect_equal "$(state_of app '{{.HostConfig.ReadonlyRootfs}}')" true 'read-only root'
	! docker exec "$(container app)" sh -c 'echo x >/usr/x' 2>/dev/null || fail 'the root file system can be written'
	docker exec "$(container app)" sh -c 'echo x >/tmp/x && rm /tmp/x && echo x >/cores/x && rm /cores/x' ||
		fail '/tmp or /cores cannot be written'
}

test_stack_toolbox_has_just_its_capabilities() {
	local bit mask=0 name
	# DAC_OVERRIDE, KILL, SYS_PTRACE, PERFMON: linux/capability.h
	for bit in 1 5 19 38; do mask=$((mask | 1 << bit)); done
	for name in CapEff CapBnd CapPrm; do
		expect_equal "$(toolbox "awk '/^$name/ { print \$2 }' /proc/self/status")" "$(printf '%016x' "$mask")" "$name of the toolbox"
	done
}

test_stack_toolbox_survives_kill_9_of_the_patient() {
	local before pid
	before=$(state_of toolbox '{{.Id}} {{.State.StartedAt}}')
	pid=$(toolbox 'echo $APP_PID')
	toolbox_background 'exec -a survivor sleep 120'
	toolbox 'kill -9 $APP_PID'
	within 5 is_back_and_not "$pid" || fail 'the patient is not back after 5 s'
	toolbox 'pgrep -f "^survivor 120" >/dev/null' || fail "a process of the toolbox died with the patient"
	expect_equal "$(state_of toolbox '{{.Id}} {{.State.StartedAt}}')" "$before" 'the toolbox'
	toolbox 'pkill -f "^survivor 120"'
	hello 1
	expect_match "$(toolbox 'gdb -p $APP_PID -batch -ex bt 2>&1')" ' main \(.*at services/app/main\.c:[0-9]+' 'gdb on the new one'
}

is_back_and_not() { healthy && [ "$(toolbox 'echo $APP_PID')" != "$1" ]; }

test_stack_sigterm_drains_and_exits_0() {
	local begun
	goto_step 2
	toolbox_background 'curl -s --max-time 20 localhost:6060/ >/tmp/drained 2>&1'
	within 3 spins || fail 'no request burns CPU'
	begun=$(now_ms)
	docker stop "$(container app)" >/dev/null
	expect_between "$(($(now_ms) - begun))" 0 3500 'ms to stop'
	expect_equal "$(state_of app '{{.State.ExitCode}}')" 0 'exit code'
	expect_equal "$(toolbox 'cat /tmp/drained')" 'hello world' 'the request under way got'
	expect_match "$(app_log)" '^[0-9/]{10} [0-9:]{8} Application stopped$' 'the log'
	docker start "$(container app)" >/dev/null
	within 10 healthy || fail 'it did not start again'
}

# app_events SINCE: what the engine saw of the patient until now.
app_events() {
	docker events --since "$1" --until "$(date +%s.%N)" --filter "container=$(container app)" \
		--format '{{.Action}} {{.Actor.Attributes.exitCode}}'
}
died_with() { matches "$(app_events "$2")" "^die $1\$"; } # STATUS SINCE

test_stack_patient_killed_for_memory_comes_back() {
	local begun
	stack_up oom
	begun=$(date +%s)
	docker update --memory 160m --memory-swap 160m "$(container app)" >/dev/null
	toolbox_background 'exec -a survivor sleep 120'
	goto_step 3
	toolbox 'for i in $(seq 40); do curl -sf --max-time 20 localhost:6060/ >/dev/null || exit 0; done; exit 1' ||
		fail '40 requests of 10 MB fitted into 160 MB'
	within 10 healthy || fail 'the patient is not back after 10 s'
	expect_match "$(get /goto)" '^step 0$' 'the step afterwards'
	within 5 died_with 137 "$begun" || fail "the engine saw no end with status 137: $(app_events "$begun")"
	toolbox 'pgrep -f "^survivor 120" >/dev/null' || fail "a process of the toolbox died with the patient"
	stack_down
}

# As somebody does it who has the images, or a registry, and no make.
test_stack_bare_compose_up_of_a_fresh_clone() {
	local clone
	clone=$(mktemp -d)
	git clone --quiet . "$clone/sickbay"
	(
		cd "$clone/sickbay" || exit 1
		OUT=$OLDPWD/$OUT
		stack_up bare
		expect_match "$(from_host "$(published 6060)" /)" '^hello world' 'the answer on this machine'
		toolbox 'echo x >/captures/x && rm /captures/x' || fail '/captures cannot be written'
		stack_down
	)
	rm -rf "$clone"
}

test_stack_desk_is_locked_up() {
	local status
	status=$(docker exec "$(container desk)" cat /proc/1/status)
	expect_match "$status" '^Uid:	10001	10001	10001	10001$'
	expect_match "$status" '^CapBnd:	0000000000000000$'
	expect_match "$status" '^NoNewPrivs:	1$'
	expect_equal "$(state_of desk '{{.HostConfig.ReadonlyRootfs}}')" true 'read-only root'
}

# desk_tells PORT PATTERN: a page that is opened now.
desk_tells() {
	local told
	told=$(timeout 1 bash -c '
		exec 3<>"/dev/tcp/127.0.0.1/$1"
		printf "GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3
		cat <&3' desk_tells "$1") || true
	grep -q -E "$2" <<<"$told"
}

# desk_post PATH FIELDS: as a page of the desk's.
desk_post() {
	# shellcheck disable=SC2016 # expanded in the toolbox
	toolbox 'curl -sS --max-time 10 -H "Host: localhost" -H "Sec-Fetch-Site: same-origin" -d "$2" "desk:8000$1"' "$1" "$2"
}

# The whole way: pressed, taken, shown by pprof with its line of source, deleted.
test_stack_desk_captures_and_shows() {
	local port name begun page
	chmod 1777 profiles/captures
	port=$(published 8000 desk)
	goto_step 6
	toolbox 'curl -s --max-time 10 localhost:6060/' >/dev/null
	name=$(desk_post /capture/take 'kind=fd&name=e2e' | grep -o 'e2e-[^"]*')
	within 5 test -f "profiles/captures/$name" || fail "there is no $name"
	begun=$(now_ms)
	page=$(from_host "$port" "/pprof/$name/flamegraph")
	expect_between $(($(now_ms) - begun)) 0 2000 'ms to the flame graph'
	expect_match "$page" 'create_files' 'the flame graph'
	expect_match "$(from_host "$port" "/pprof/$name/")" '<svg' 'the graph'
	expect_match "$(from_host "$port" "/pprof/$name/source?f=create_files")" 'mkostemp|mkstemp' 'the source'
	expect_match "$(desk_post /capture/delete "name=$name")" '^Done' 'deleting it'
	[ ! -e "profiles/captures/$name" ] || fail "$name is there still"
}

test_stack_desk_shows_what_the_toolbox_captures() {
	local port
	port=$(published 8000 desk)
	toolbox 'echo something >/captures/e2e.pftrace'
	within 2 desk_tells "$port" '"name":"e2e\.pftrace",[^}]*"viewer":"timeline"' || fail 'the list of captures has it not'
	expect_match "$(from_host "$port" /captures/e2e.pftrace)" '^something' 'the capture'
	toolbox 'rm /captures/e2e.pftrace'
	expect_match "$(from_host "$port" /captures/e2e.pftrace)" ' 404 ' 'the capture once it is gone'
}

test_stack_desk_knows_the_patient_and_its_sources() {
	local port place
	port=$(published 8000 desk)
	place=services/app/faults/mutex.c
	goto_step 1
	expect_match "$(from_host "$port" /patient/threads)" '^thread [0-9]+ "holder" ' 'the threads'
	goto_step 0
	expect_match "$(from_host "$port" "/source?file=$place")" '^static void \*forget_to_unlock' 'the source'
	expect_match "$(from_host "$port" /source?file=services/../../etc/passwd)" ' 400 ' 'no other file'
	expect_match "$(from_host "$port" /labs/core-files.html)" '<h2 id="a-core-of-the-living-gcore">' 'a text of the workshop'
}
