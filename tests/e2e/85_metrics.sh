# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# /metrics beside what other tools count, and the alerts of the profile metrics.

# sample TEXT NAME: its value, whole.
sample() { awk -v name="$2" '$1 == name { printf "%.0f\n", $2; found = 1 } END { exit !found }' <<<"$1"; }

# seen_at_once: /metrics and /debug/vars over one connection, then what /proc, ps and stat say.
seen_at_once() {
	toolbox '
		curl -sS --max-time 10 localhost:6060/metrics -o /tmp/metrics localhost:6060/debug/vars -o /tmp/vars
		cat /tmp/metrics
		jq -r "\"vars_fds \(.fds)\", \"vars_threads \(.threads)\", \"vars_heap \(.memstats.HeapAlloc)\"" /tmp/vars
		echo proc_fds "$(ls /proc/$APP_PID/fd | wc -l)"
		echo proc_files "$(stat -L -c %F /proc/$APP_PID/fd/* 2>/dev/null | grep -c "^regular")"
		echo proc_max "$(sed -n "s/^Max open files *\([0-9]*\) .*/\1/p" /proc/$APP_PID/limits)"
		ps -o "nlwp=,rss=,vsz=,etimes=,cputimes=" -p $APP_PID |
			awk "{ print \"ps_threads\", \$1; print \"ps_rss\", \$2 * 1024; print \"ps_vsz\", \$3 * 1024; print \"ps_seconds\", \$4; print \"ps_cpu\", \$5 }"
		echo now "$(date +%s)"'
}

# expect_near NAME OTHER TOLERANCE: of what was seen at once
expect_near() {
	local other
	other=$(sample "$seen" "$2")
	expect_between "$(sample "$seen" "$1")" $((other - $3)) $((other + $3)) "$1, of which $2 is $other,"
}

test_metrics_agree_with_proc_ps_and_vars() {
	local seen before
	local requests='app_requests_total{step="fd_leak",variant="leaky",outcome="ok"}'
	before=$(sample "$(get /metrics)" "$requests")
	goto_step 6
	hello 3
	seen=$(seen_at_once)
	expect_equal "$(sample "$seen" "$requests")" $((before + 3)) 'requests of step 6'
	expect_equal "$(sample "$seen" 'app_step{number="6",name="fd_leak",variant="leaky"}')" 1 'the step'
	expect_near process_open_fds vars_fds 0
	expect_near process_open_fds proc_fds 1 # the connection that asked
	expect_near process_max_fds proc_max 0
	expect_near app_files_open proc_files 0
	expect_near app_threads vars_threads 0
	expect_near app_threads ps_threads 0
	expect_near app_heap_allocated_bytes vars_heap 4000000
	expect_near process_resident_memory_bytes ps_rss 4000000
	expect_near process_virtual_memory_bytes ps_vsz 4000000
	expect_near process_cpu_seconds_total ps_cpu 1
	expect_between "$(sample "$seen" process_start_time_seconds)" \
		$(($(sample "$seen" now) - $(sample "$seen" ps_seconds) - 2)) \
		$(($(sample "$seen" now) - $(sample "$seen" ps_seconds) + 2)) 'the start'
	goto_step 0
	seen=$(seen_at_once)
	expect_near app_files_open proc_files 0
	expect_equal "$(sample "$seen" 'app_http_connections_open{role="server"}')" 1 'connections'
}

# ---- the profile ---------------------------------------------------------------------------------

# start_load: a request every 3 s, or in turn one of each step's fixed variant, as long as the stack stands.
start_load() {
	toolbox_background "${1:-} while sleep 3; do curl -s -o /dev/null --max-time 20 localhost:6060/; done"
}
IN_TURN='(while :; do for step in 6 5 3; do curl -s -o /dev/null "localhost:6060/goto?step=$step&variant=fixed"; sleep 30; done; done) &'

# asked: whom Prometheus asks, and has an answer from.
asked() { toolbox 'curl -sS --max-time 5 prometheus:9090/api/v1/targets | jq -r ".data.activeTargets[] | select(.health == \"up\") | .labels.instance"'; }
# All that stand and serve, the anchor for the patient.
programs_are_asked() { [ "$(asked | sed 's/:.*//' | sort)" = "$(compose ps --services | grep -v -x -E 'app|toolbox|prometheus' | sort)" ]; }

# query EXPRESSION: what Prometheus knows of it, a line for each: JOB ALERTNAME.
query() {
	toolbox 'curl -sS --max-time 5 --data-urlencode "query=$1" prometheus:9090/api/v1/query |
		jq -r ".data.result[].metric | .job + \" \" + (.alertname // .role // \"\")" | sort -u' "$1"
}

alerts() { toolbox 'curl -sS --max-time 5 prometheus:9090/api/v1/alerts | jq -r ".data.alerts[] | select(.state == \"firing\") | .labels.job + \" \" + .labels.alertname" | sort'; }
fires() { [ "$(STACK=$E2E_PROJECT-$1 alerts)" = "app $2" ]; } # STACK-SUFFIX ALERT

# start_leak SUFFIX STEP: a stack of its own that leaks.
start_leak() {
	stack_up "$1" COMPOSE_PROFILES=metrics
	goto_step "$2"
	start_load
}

start_fixed() {
	stack_up fixed COMPOSE_PROFILES=metrics
	start_load "$IN_TURN"
}

# Side by side, for an alert takes its time.
start_all() {
	local pid pids=()
	start_fixed &
	pids+=("$!")
	start_leak files 6 &
	pids+=("$!")
	start_leak threads 5 &
	pids+=("$!")
	start_leak memory 3 &
	pids+=("$!")
	for pid in "${pids[@]}"; do wait "$pid"; done
}

stop_all() {
	local suffix
	for suffix in fixed files threads memory; do
		STACK=$E2E_PROJECT-$suffix stack_down &
	done
	wait
}

# The profile that an alert's description names first leads to the function.
expect_description_leads_to() { # FUNCTION
	local command
	command=$(toolbox 'curl -sS prometheus:9090/api/v1/alerts | jq -r ".data.alerts[0].annotations.description"' |
		grep -o 'pprof http://[^ ]*[^ .,:]' | head -n 1)
	expect_match "$(toolbox "${command/pprof/pprof -top} 2>&1")" " $1\$" "what '$command' shows"
}

test_metrics_alerts_fire_on_leaks_and_not_on_cures() {
	local program
	docker compose -p "$STACK" --profile metrics build prometheus
	start_all
	STACK=$E2E_PROJECT-fixed
	within 30 programs_are_asked || fail "Prometheus asks of the stack's programs only: $(asked)"
	for program in $(asked); do
		toolbox 'curl -sS --max-time 5 "$1/metrics"' "$program" |
			docker exec -i "$(container prometheus)" promtool check metrics || fail "promtool does not like $program"
	done
	within 120 fires files FileDescriptorLeak || fail "step 6 has: $(STACK=$E2E_PROJECT-files alerts)"
	within 30 fires threads ThreadLeak || fail "step 5 has: $(STACK=$E2E_PROJECT-threads alerts)"
	within 30 fires memory MemoryLeak || fail "step 3 has: $(STACK=$E2E_PROJECT-memory alerts)"
	expect_equal "$(query 'count_over_time(ALERTS[5m])')" '' 'what was told of the fixed variants, or nearly'
	STACK=$E2E_PROJECT-files expect_description_leads_to create_files
	STACK=$E2E_PROJECT-threads expect_description_leads_to start_threads
	STACK=$E2E_PROJECT-memory expect_description_leads_to leak_memory
	stop_all
}

test_metrics_prometheus_is_locked_up_and_comes_by_one_command() {
	local said status
	stack_up one
	expect_equal "$(compose ps --services | grep -c prometheus || true)" 0 'Prometheus without its profile'
	said=$(COMPOSE_PROJECT_NAME=$STACK SICKBAY_PORT_PROMETHEUS=0 docker/metrics.sh)
	expect_match "$said" "^ *open +http://127\\.0\\.0\\.1:$(published 9090 prometheus)/alerts " 'what it says'
	expect_match "$(from_host "$(published 9090 prometheus)" /-/ready)" ' 200 OK' 'Prometheus from this machine'
	status=$(docker exec "$(container prometheus)" cat /proc/1/status)
	expect_match "$status" '^Uid:	10001	10001	10001	10001$'
	expect_match "$status" '^CapBnd:	0000000000000000$'
	expect_match "$status" '^NoNewPrivs:	1$'
	expect_equal "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$(container prometheus)")" true 'read-only root'
	stack_down
	expect_equal "$(docker ps --all --quiet --filter "label=com.docker.compose.project=$STACK")" '' 'what is left of the stack'
}
