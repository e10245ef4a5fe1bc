# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# Upstream, the service that the patient calls: asked from the toolbox, by its name in the stack's network.

# upstream_vars FILTER: a number of its own /debug/vars, by jq.
upstream_vars() { toolbox "curl -sS --max-time 10 http://upstream:8080/debug/vars | jq -e '$1'"; }

upstream_healthy() { toolbox 'curl -sf --max-time 1 -o /dev/null http://upstream:8080/healthz'; }

upstream_state() { docker inspect --format "$1" "$(container upstream)"; }

test_upstream_feed_sends_one_event_and_stays_open() {
	local got
	got=$(toolbox 'curl -sN --max-time 2 -w "%{http_code} %{content_type}\n" http://upstream:8080/events || echo "ended with $?"')
	expect_match "$got" '^data: \{"id":[0-9]+\}$'
	expect_equal "$(grep -c '^data: ' <<<"$got")" 1 'the number of events'
	expect_match "$got" '^200 text/event-stream$'
	expect_match "$got" '^ended with 28$' "what curl said, whose time was over and not the feed's,"
}

test_upstream_limit_ends_and_keeps_the_connection() {
	local got
	got=$(toolbox 'curl -sS --max-time 10 -w "connects: %{num_connects}\n" "http://upstream:8080/events?limit=1" "http://upstream:8080/events?limit=3"')
	expect_equal "$(grep -c '^data: ' <<<"$got")" 4 'the number of events'
	expect_equal "$(grep '^connects' <<<"$got" | tr '\n' ' ')" 'connects: 1 connects: 0 ' 'what was connected'
}

test_upstream_refuses_a_wrong_limit() {
	local got limit
	for limit in 0 101 -1 some; do
		got=$(toolbox 'curl -sS --max-time 10 -w "%{http_code}\n" "http://upstream:8080/events?limit=$1"' "$limit")
		expect_match "$got" '^400$' "the answer to limit=$limit"
		expect_match "$got" '^limit must be a whole number from 1 to 100'
	done
}

has_feeds() { [ "$(upstream_vars .fds)" -ge "$1" ]; }
has_fewer_feeds() { [ "$(upstream_vars .fds)" -lt "$1" ]; }

test_upstream_answers_beside_a_thousand_feeds() {
	local got
	toolbox_background 'exec -a feeds wrk -t1 -c1000 -d100s --timeout 100s http://upstream:8080/events'
	within 20 has_feeds 1000 || fail "no thousand feeds: $(upstream_vars .fds) descriptors"
	got=$(toolbox 'for i in $(seq 20); do curl -sS --max-time 2 -w "%{time_total}\n" "http://upstream:8080/events?limit=1"; done')
	expect_equal "$(grep -c '^data: ' <<<"$got")" 20 'the number of answers'
	expect_between "$(grep -v data <<<"$got" | sort -n | awk 'NF { ms[++n] = $1 * 1000 } END { print int(ms[int(n / 2)]) }')" 0 200 'ms to answer'
	expect_match "$(toolbox 'curl -sS --max-time 10 "http://upstream:8080/debug/pprof/connections?debug=1"')" \
		'^connections profile: total 1[0-9]{3}$' 'its own profile'
	toolbox 'pkill -f "^feeds "'
	within 5 has_fewer_feeds 100 || fail "feeds are left: $(upstream_vars .fds) descriptors"
}

test_upstream_is_locked_up() {
	local status
	status=$(docker exec "$(container upstream)" cat /proc/1/status)
	expect_match "$status" '^Uid:	10001	10001	10001	10001$'
	expect_match "$status" '^CapBnd:	0000000000000000$'
	expect_match "$status" '^NoNewPrivs:	1$'
	expect_equal "$(upstream_state '{{.HostConfig.ReadonlyRootfs}}')" true 'read-only root'
	expect_equal "$(upstream_state '{{len .HostConfig.PortBindings}}')" 0 'published ports'
}

came_back_since() { [ "$(upstream_state '{{.RestartCount}}')" -gt "$1" ] && upstream_healthy; }

# From within: to the engine, 'docker kill' is a wish that it stays away.
test_upstream_comes_back_when_it_is_killed() {
	local before patient
	before=$(upstream_state '{{.RestartCount}}')
	patient=$(docker inspect --format '{{.State.StartedAt}}' "$(container app)")
	docker exec "$(container upstream)" bash -c '
		for pid in /proc/[0-9]*; do
			[ "$(readlink "$pid/exe")" = /usr/local/bin/sickbay-upstream ] && kill -KILL "${pid#/proc/}"
		done
		exit 0' || true # its own end may come first
	within 15 came_back_since "$before" || fail "upstream is not back after 15 s: $(upstream_state '{{.State.Status}}')"
	expect_match "$(toolbox 'curl -sS --max-time 10 "http://upstream:8080/events?limit=1"')" '^data: \{"id":1\}$' 'the first event of the new one'
	expect_equal "$(docker inspect --format '{{.State.StartedAt}}' "$(container app)")" "$patient" 'the start of the patient'
}

test_upstream_is_not_needed_by_the_patient() {
	toolbox_background 'exec curl -sN --max-time 30 http://upstream:8080/events >/tmp/feed'
	within 5 toolbox 'grep -q data /tmp/feed' || fail 'no feed was opened'
	docker stop "$(container upstream)" >/dev/null
	expect_equal "$(upstream_state '{{.State.ExitCode}}')" 0 'exit code of upstream'
	expect_match "$(docker logs --tail 1 "$(container upstream)" 2>&1)" \
		'Upstream stopped; requests: [0-9]+, events sent: [0-9]+, feeds that were open: 1$' 'its last word'
	docker restart --time 2 "$(container app)" >/dev/null
	within 10 healthy || fail 'the patient does not start without upstream'
	hello 1
	docker start "$(container upstream)" >/dev/null
	within 10 upstream_healthy || fail 'upstream did not start again'
}
