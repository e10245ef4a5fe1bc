# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# /debug/*: what it answers to good and to bad questions, and that it takes nothing for itself.

test_plane_index_lists_the_profiles() {
	local page name
	page=$(get /debug/pprof/ -i)
	expect_match "$page" '^HTTP/1\.1 200 '
	expect_match "$page" '^[Cc]ontent-[Tt]ype: text/html' 'the head'
	while read -r name; do
		expect_match "$page" "<a href=\"/debug/pprof/$name(\\?debug=1)?\">$name</a>" 'the page'
	done < <(sed -n 's/^DEBUG_ROUTE("\([a-z]*\)".*/\1/p' services/debug/routes.def)
}

# bad STATUS PATH SENTENCE
bad() {
	local answer
	answer=$(get "$2" -w '\n%{http_code}' --max-time 5)
	expect_match "$answer" "^$1\$" "the status of $2"
	expect_match "$answer" "$3" "the answer to $2"
}

test_plane_bad_input_is_told_so() {
	local value
	goto_step 0
	for value in -1 0 abc 1e9 301 2.5 99999999999999999999 ''; do
		bad 400 "/debug/pprof/profile?seconds=$value" '^seconds must be '
	done
	for value in 0 1000 -5 x; do
		bad 400 "/debug/pprof/profile?seconds=1&hz=$value" '^hz must be '
	done
	bad 400 '/debug/pprof/heap?seconds=-1' '^seconds must be '
	bad 400 '/debug/pprof/heap?debug=9' '^debug must be '
	bad 400 '/debug/pprof/heap?exact=maybe' '^exact must be '
	bad 404 /debug/pprof/nonsense '.'
	bad 404 /nonsense '.'
}

# The client is sent away while its profile runs: no curl that was started may linger.
abandon() { # PATH
	! toolbox 'curl -sS -o /dev/null --max-time 0.3 "localhost:6060$1"' "$1" 2>/dev/null
}

# Asked again where somebody who only looked had the profiler just then; its client leaves after that time.
start_profile() {
	toolbox_background "
		for try in \$(seq 20); do
			curl -fsS -o /dev/null --max-time $1 'localhost:6060/debug/pprof/profile?seconds=60'
			[ \$? -ne 28 ] || break
			sleep 0.2
		done"
}
profile_is_taken() { [ "$(status '/debug/pprof/profile?seconds=1' --max-time 0.3 2>/dev/null)" = 500 ]; }
profile_is_free() { [ "$(status '/debug/pprof/profile?seconds=1')" = 200 ]; }

test_plane_second_cpu_profile_is_refused_as_in_go() {
	start_profile 6
	within 6 profile_is_taken || fail 'the second CPU profile was not answered with 500'
	bad 500 '/debug/pprof/profile?seconds=1' '^Could not enable CPU profiling: cpu profiling already in use'
	within 12 profile_is_free || fail 'the profile of a client that went away is still running'
}

test_plane_client_that_goes_away_ends_its_profile() {
	local begun
	abandon '/debug/pprof/profile?seconds=60' || fail 'a profile of 60 s was over in 0.3 s'
	begun=$(now_ms)
	until profile_is_free; do
		[ "$(now_ms)" -lt "$((begun + 3000))" ] || fail 'its profile was still running after 3 s'
	done
	# The one that was let in takes a second itself.
	expect_between "$(($(now_ms) - begun))" 1000 2300 'ms until the next profile was done'
}

own_counts() { vars '.fds, .threads' | tr '\n' ' '; }

test_plane_keeps_nothing_of_20_captures_and_20_aborted() {
	local before
	goto_step 0
	status /debug/vars >/dev/null
	before=$(own_counts)
	toolbox 'set -e
		for i in 1 2 3 4; do curl -fsS -o /dev/null "localhost:6060/debug/pprof/profile?seconds=1"; done
		for i in $(seq 8); do
			curl -fsS -o /dev/null localhost:6060/debug/pprof/heap
			curl -fsS -o /dev/null "localhost:6060/debug/pprof/allocs?debug=1"
		done'
	# An aborted profile must be gone before the next can begin: a refused one would prove nothing.
	toolbox 'for i in $(seq 10); do
			curl -s -o /dev/null --max-time 0.2 "localhost:6060/debug/pprof/heap?seconds=60"
			for try in 1 2 3 4 5 6 7 8 9 10; do
				code=$(curl -s -o /dev/null -w "%{http_code}" --max-time 0.2 "localhost:6060/debug/pprof/profile?seconds=60")
				[ "$code" = 000 ] && break
				sleep 0.1
			done
			[ "$code" = 000 ] || { echo "profile $i was refused: $code"; exit 1; }
		done'
	within 3 has_counts "$before" || fail "descriptors and threads were $before and are $(own_counts)"
}

has_counts() { [ "$(own_counts)" = "$1" ]; }

test_plane_vars_are_json_of_numbers() {
	local key
	for key in .memstats.Alloc .memstats.HeapInuse .memstats.HeapSys .memstats.Sys .memstats.TotalAlloc .threads .fds; do
		expect_match "$(vars "$key | numbers")" '^[0-9]+$' "$key"
	done
	expect_match "$(vars '.cmdline[0]')" '^"/usr/local/bin/sickbay-app"$'
	expect_between "$(vars .fds)" "$(($(toolbox 'ls /proc/$APP_PID/fd | wc -l') - 2))" \
		"$(($(toolbox 'ls /proc/$APP_PID/fd | wc -l') + 2))" 'fds, beside /proc'
}

test_plane_goto_refuses_what_it_does_not_know() {
	local query
	goto_step 3
	for query in step=-1 step=99 step=abc step= step=1e0 step=2x step=99999999999999999999 step=2\&variant=maybe variant=fixed; do
		bad 400 "/goto?$query" ' must be .*for example /goto\?step=2'
	done
	expect_match "$(get /goto)" '^step 3$' 'the step afterwards'
	goto_step 0
}

test_plane_clients_that_leave_while_hanging_harm_nobody() {
	local before
	goto_step 0
	before=$(vars .fds)
	goto_step 1
	toolbox 'for i in $(seq 30); do curl -s -o /dev/null --max-time 0.5 localhost:6060/ & done; wait' || true
	expect_equal "$(status /healthz --max-time 1)" 200 'status of /healthz'
	goto_step 0
	hello 3
	within 2 has_fds "$before" || fail "$(vars .fds) descriptors, $before before"
}

has_fds() { [ "$(vars .fds)" = "$1" ]; }

# A profile is complete in itself: read where there is neither network, nor binary, nor sources.
test_plane_profile_is_read_where_nothing_of_the_patient_is() {
	local seen
	goto_step 2
	provoke_cpu
	seen=$(timeout 60 docker exec "$(container toolbox)" curl -sS 'localhost:6060/debug/pprof/profile?seconds=2' |
		docker run --rm --interactive --network none "sickbay-toolbox:$SICKBAY_TAG" bash -c '
			rm -rf /src /usr/local/bin/sickbay-app /usr/lib/debug
			cat >/tmp/profile
			/usr/local/libexec/pprof -top -lines /tmp/profile 2>&1')
	goto_step 0
	expect_match "$seen" '[0-9]m?s .* eat_cpu /src/sickbay/services/app/faults/cpu\.c:[0-9]+$'
	expect_match "$seen" ' do_some_business_logic /src/sickbay/services/app/hello\.c:[0-9]+$'
}

test_plane_pprof_web_views_answer_on_this_machine() {
	local port view
	goto_step 2
	provoke_cpu
	toolbox 'curl -sS -o /tmp/web.pb.gz "localhost:6060/debug/pprof/profile?seconds=2"'
	goto_step 0
	toolbox_background 'timeout 40 pprof -http=:9000 /tmp/web.pb.gz'
	port=$(published 9000)
	within 10 answers_from_host "$port" /ui/flamegraph || fail "nothing answers at 127.0.0.1:$port/ui/flamegraph"
	for view in '' top flamegraph peek source?f=eat_cpu; do
		expect_match "$(from_host "$port" "/ui/$view")" 'eat_cpu' "/ui/$view"
	done
	# Source view with lines, not just a name.
	expect_match "$(from_host "$port" '/ui/source?f=eat_cpu')" 'result = result \*' 'the Source view'
	toolbox "pkill -f 'libexec/pprof .*web.pb.gz'"
}

answers_from_host() { [[ $(from_host "$1" "$2") == *' 200 OK'* ]]; }

# Two cores busy for half a minute, a profile of all of it, and four waits beside it.
test_plane_long_waits_starve_nobody() {
	local until=$(($(now_ms) + 22000)) seen slowest sampled_s used_s
	goto_step 2
	toolbox_background 'for i in $(seq 7); do curl -s --max-time 10 localhost:6060/ & curl -s --max-time 10 localhost:6060/; wait; done'
	within 3 spins || fail 'no request burns CPU'
	toolbox_background '
		ticks() { awk "{ print \$14 + \$15 }" "/proc/$APP_PID/stat"; }
		rm -f /tmp/long.pb.gz
		ticks >/tmp/long.ticks
		curl -fsS -o /tmp/long.part "localhost:6060/debug/pprof/profile?seconds=30" && ticks >>/tmp/long.ticks && mv /tmp/long.part /tmp/long.pb.gz'
	toolbox_background 'rm -f /tmp/wait-*; for i in 1 2 3 4; do curl -s -o /dev/null -w "%{http_code}\n" "localhost:6060/debug/pprof/heap?seconds=20" >/tmp/wait-$i & done'
	slowest=$(LIMIT=40 toolbox '
		end=$((SECONDS + 22))
		while [ $SECONDS -lt $end ]; do
			curl -fsS -o /dev/null --max-time 5 -w "%{time_total}\n" localhost:6060/healthz || exit 1
			sleep 0.2
		done | sort -n | tail -n 1')
	expect_between "$(awk -v s="$slowest" 'BEGIN { print int(s * 1000) }')" 0 1000 'ms of the slowest /healthz'
	within 5 waits_are_over || fail 'not all of four heap?seconds=20 were answered'
	expect_between "$(($(now_ms) - until))" -1000 8000 'ms beside the plan'
	within 15 toolbox 'test -f /tmp/long.pb.gz' || fail 'the profile of 30 s was not answered'
	seen=$(toolbox 'pprof -top /tmp/long.pb.gz 2>&1')
	goto_step 0
	expect_match "$seen" '^Duration: (29\.9|3[0-9])'
	# Others are at work on this machine too: what the patient got is what the profile must show.
	sampled_s=$(awk '/Total samples = / { sub(/.*Total samples = /, ""); print int($1 ~ /^[0-9.]+min/ ? 60 * $1 : $1) }' <<<"$seen")
	used_s=$(toolbox 'awk "NR == 1 { begin = \$1 } END { print int((\$1 - begin) / 100) }" /tmp/long.ticks')
	expect_between "$used_s" 5 70 'seconds of CPU by the kernel'
	expect_between "$((100 * sampled_s / used_s))" 85 110 'percent of them in the profile'
	expect_between "$(awk '$6 == "eat_cpu" { print int($5) }' <<<"$seen")" 95 100 'percent of them under eat_cpu'
}

waits_are_over() { [ "$(toolbox 'cat /tmp/wait-* 2>/dev/null' | grep -c '^200$')" = 4 ]; }
