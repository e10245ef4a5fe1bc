# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# What came between two moments, and only that: by pprof -base from two captures, and by ?seconds=N.

# two_captures PATH: one request between them; in /tmp/before.pb.gz and /tmp/after.pb.gz.
two_captures() {
	toolbox 'set -e
		curl -fsS -o /tmp/before.pb.gz "localhost:6060$1"
		curl -fsS -o /dev/null localhost:6060/
		curl -fsS -o /tmp/after.pb.gz "localhost:6060$1"' "$1"
}

# window PATH [SCRIPT]: what it answers, having waited for seconds=3, with SCRIPT run in the toolbox meanwhile,
# or one request made; in /tmp/window there too. It has begun when others were answered.
window() {
	toolbox 'curl -fsSv -o /tmp/window "localhost:6060$1" 2>/tmp/window.said & window=$!
		until grep -q "^> GET" /tmp/window.said; do sleep 0.05; done
		curl -fsS -o /dev/null "localhost:6060/debug/pprof/threadcreate?[1-5]"
		eval "$2"
		wait $window
		cat /tmp/window' "$1" "${2:-curl -fsS -o /dev/null localhost:6060/}"
}

# has_only TOP FUNCTION: it has five, all of them in or below FUNCTION, and nothing else has any.
has_only() {
	awk -v function_name="$2" '
		/^Showing nodes accounting for 5, 100% of 5 total$/ { is_five = 1 }
		inside && $4 != 5 { others++ }
		inside && $6 == function_name { is_named = 1 }
		$1 == "flat" { inside = 1 }
		END { exit !(is_five && is_named && !others) }' <<<"$1"
}

# A thread of the patient that just then has something else to do shows as well: it is looked at again.
base_has_only() { # PROFILE FUNCTION
	two_captures "/debug/pprof/$1"
	has_only "$(toolbox 'pprof -base /tmp/before.pb.gz -top /tmp/after.pb.gz 2>&1')" "$2"
}

window_has_only() { # PROFILE FUNCTION
	window "/debug/pprof/$1?seconds=3" >/dev/null
	has_only "$(toolbox 'pprof -top /tmp/window 2>&1')" "$2"
}

growth() { # STEP PROFILE FUNCTION
	goto_step "$1"
	hello 2
	within 20 base_has_only "$2" "$3" || fail "pprof -base of $2 is not 5 under $3: $(toolbox 'pprof -base /tmp/before.pb.gz -top /tmp/after.pb.gz 2>&1')"
	within 20 window_has_only "$2" "$3" || fail "$2?seconds=3 is not 5 under $3: $(toolbox 'pprof -top /tmp/window 2>&1')"
	goto_step 0
}

while read -r step profile function; do
	add "growth_of_$profile" growth "$step" "$profile" "$function"
done <<'TABLE'
5 goroutine wait_for_signal
5 threads wait_for_signal
5 threadcreate start_threads
6 fd create_files
TABLE

test_growth_of_heap_by_base() {
	local bytes
	goto_step 3
	hello 1
	two_captures /debug/pprof/heap
	bytes=$(toolbox 'pprof -base /tmp/before.pb.gz -top -unit=B /tmp/after.pb.gz 2>&1' | awk '$6 == "leak_memory" { print int($4) }')
	expect_between "$bytes" $((($(capacity 2) - $(capacity 1)) * 9 / 10)) $((($(capacity 2) - $(capacity 1)) * 11 / 10)) 'bytes of leak_memory'
	goto_step 0
}

test_growth_as_text() {
	local seen
	goto_step 5
	hello 2
	seen=$(window '/debug/pprof/threads?seconds=3&debug=1')
	expect_match "$seen" '^thread profile: total 5$' 'the head of the groups'
	expect_match "$seen" '^5 @ 0x' 'the groups'
	seen=$(window '/debug/pprof/threads?seconds=3&debug=2')
	expect_equal "$(grep '^thread ' <<<"$seen" | sed 's/.*"\(.*\)".*/\1/' | sort -V | tr '\n' ' ')" \
		'leaked-15 leaked-16 leaked-17 leaked-18 leaked-19 ' 'who was born'
	expect_equal "$(grep -c '^created by start_threads$' <<<"$seen")" 5 'of these, by start_threads'
	goto_step 0
	goto_step 6
	expect_match "$(window '/debug/pprof/fd?seconds=3&debug=1' | grep -B 3 '	create_files+0x')" '^5 @ 0x' 'the files'
	goto_step 0
}

# As Go has it: what went is negative.
test_growth_can_be_negative() {
	local seen
	goto_step 5
	hello 2
	seen=$(window '/debug/pprof/threads?seconds=3&debug=1' 'curl -fsS -o /dev/null "localhost:6060/goto?step=0"')
	expect_match "$seen" '^thread profile: total -10$' 'the head of the groups'
	expect_match "$seen" '^-10 @ 0x' 'the groups'
}

# A client that comes in the window, and stays.
test_growth_of_connections() {
	local seen
	seen=$(window '/debug/pprof/connections?seconds=3&debug=2' 'exec 3<>/dev/tcp/localhost/6060')
	expect_match "$seen" '^fd [0-9]+ \[connection, [0-9]+ (ms|seconds?)\]: "socket:\[[0-9]+\]"$' 'the connections'
	expect_match "$seen" '^accept_one$' 'the connections'
}
