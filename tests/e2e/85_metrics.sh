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
		echo ss_connections "$(ss -Htn state established "sport = :6060" | wc -l)"
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
	expect_near process_virtual_memory_bytes ps_vsz 64000000
	expect_near process_cpu_seconds_total ps_cpu 1
	expect_between "$(sample "$seen" process_start_time_seconds)" \
		$(($(sample "$seen" now) - $(sample "$seen" ps_seconds) - 2)) \
		$(($(sample "$seen" now) - $(sample "$seen" ps_seconds) + 2)) 'the start'
	goto_step 0
	seen=$(seen_at_once)
	expect_near app_files_open proc_files 0
	# The one that asked is closed by now.
	expect_near 'app_http_connections_open{role="server"}' ss_connections 1
}

# ---- the profile ---------------------------------------------------------------------------------

# asked: whom Prometheus asks, and has an answer from.
asked() { toolbox 'curl -sS --max-time 5 prometheus:9090/api/v1/targets | jq -r ".data.activeTargets[] | select(.health == \"up\") | .labels.instance"'; }
# All that stand and serve, the anchor for the patient.
programs_are_asked() { [ "$(asked | sed 's/:.*//' | sort)" = "$(compose ps --services | grep -v -x -E 'app|toolbox|prometheus' | sort)" ]; }

pair_is_asked() { [ "$(asked | grep -c -x 'leaks-anchor:606[01]')" = 2 ]; }

test_metrics_prometheus_comes_by_one_command() {
	local said status program
	stack_up one
	expect_no_match "$(compose ps --services)" '^prometheus$' 'the stack without the profile'
	said=$(COMPOSE_PROJECT_NAME=$STACK docker/metrics.sh)
	expect_match "$said" "^ *open +http://127\.0\.0\.1:$(published 9090 prometheus)/classic/alerts " 'what it says'
	expect_match "$(from_host "$(published 9090 prometheus)" /classic/alerts)" 'FileDescriptorLeak' 'its page, from this machine'
	within 30 programs_are_asked || fail "of the programs that stand, Prometheus asks only: $(asked)"
	compose --profile leaks up --detach --no-build leak-leaky leak-fixed
	within 30 pair_is_asked || fail "of the pair, Prometheus asks only: $(asked)"
	for program in $(asked); do
		toolbox 'curl -sS --max-time 5 "$1/metrics"' "$program" |
			docker exec -i "$(container prometheus)" promtool check metrics || fail "promtool does not like $program"
	done
	status=$(docker exec "$(container prometheus)" cat /proc/1/status)
	expect_match "$status" '^Uid:	10001	10001	10001	10001$'
	expect_match "$status" '^CapBnd:	0000000000000000$'
	expect_match "$status" '^NoNewPrivs:	1$'
	expect_equal "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$(container prometheus)")" true 'read-only root'
	COMPOSE_PROJECT_NAME=$STACK make down VOLUMES=1
	expect_equal "$(docker ps --all --quiet --filter "label=com.docker.compose.project=$STACK")" '' 'what make down left'
}

# settings_for JOB...: the workshop's own, but for whom it asks: each job is a name, at 6060.
settings_for() {
	local job
	sed '/^scrape_configs:/q' docker/prometheus/prometheus.yml
	for job in "$@"; do
		echo "  - {job_name: $job, static_configs: [{targets: ['$job:6060']}]}"
	done
}

# start_programs: leaky and fixed ones, the patients under load.
start_programs() {
	STACK=$E2E_PROJECT-alerts
	echo "$STACK" >>"$OUT/projects"
	settings_for {leaky,fixed}-{3,5,6,7,file,http} >"$OUT/prometheus.yml"
	ALERTS_PROMETHEUS_YML=$PWD/$OUT/prometheus.yml \
		docker compose -p "$STACK" -f tests/e2e/alerts.compose.yaml --profile metrics \
		up --detach --wait --wait-timeout 60 --no-build </dev/null
}

# alerts STATE: a line for each: JOB ALERT.
alerts() { toolbox 'curl -sS --max-time 5 prometheus:9090/api/v1/alerts | jq -r --arg state "$1" ".data.alerts[] | select(.state == \$state) | .labels.job + \" \" + .labels.alertname" | sort' "$1"; }
# ever_pending REGEX: jobs of that name of which an alert was, at any time, firing or near it.
ever_pending() {
	toolbox 'curl -sS --max-time 5 --data-urlencode "query=count by (job, alertname) (count_over_time(ALERTS{job=~\"$1\"}[10m]))" prometheus:9090/api/v1/query |
		jq -r ".data.result[].metric | .job + \" \" + .alertname"' "$1"
}

# A response that nobody reads keeps a thread as well; and 25 of them a second some memory, which may be told.
EXPECTED_ALERTS='leaky-3 MemoryLeak
leaky-5 ThreadLeak
leaky-6 FileDescriptorLeak
leaky-7 ConnectionLeak
leaky-7 ThreadLeak
leaky-file FileDescriptorLeak
leaky-http ConnectionLeak
leaky-http ThreadLeak'
all_fire() { [ "$(alerts firing | grep -v -x 'leaky-http MemoryLeak')" = "$EXPECTED_ALERTS" ]; }

# The profile that an alert's description names first leads to the function.
description_leads_to() { # JOB ALERT FUNCTION
	local command
	command=$(toolbox 'curl -sS prometheus:9090/api/v1/alerts | jq -r ".data.alerts[] | select(.labels.job == \"$1\" and .labels.alertname == \"$2\") | .annotations.description"' "$1" "$2" |
		grep -o 'pprof http://[^ ]*[^ .,:]' | head -n 1)
	expect_match "$(toolbox "${command/pprof/pprof -top} 2>&1")" " $3\$" "what '$command' shows"
}

test_metrics_alerts_fire_on_leaks_and_not_on_cures() {
	docker compose -p "$STACK" --profile "*" build prometheus leak-leaky
	start_programs
	within 120 all_fire || fail "after 120 s, these fire: $(alerts firing); and these nearly: $(alerts pending)"
	expect_equal "$(ever_pending 'fixed-.*')" '' 'what was ever told of the fixed ones, or nearly'
	description_leads_to leaky-6 FileDescriptorLeak create_files
	description_leads_to leaky-5 ThreadLeak start_threads
	description_leads_to leaky-3 MemoryLeak leak_memory
	description_leads_to leaky-7 ConnectionLeak call_upstream
	stack_down
}
