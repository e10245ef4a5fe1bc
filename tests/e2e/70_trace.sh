# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# The execution trace, read by the trace processor of the viewer and by a newer one.
TRACE=$OUT/trace.pftrace

# take_trace STEP SECONDS [COUNT]: of a patient at STEP, with COUNT requests within it.
take_trace() {
	goto_step "$1"
	toolbox 'curl -sS --max-time 60 -o /captures/e2e.pftrace "localhost:6060/debug/pprof/trace?seconds=$1" &
		sleep 0.5
		for i in $(seq "$2"); do curl -sS --max-time 30 -o /dev/null localhost:6060/; done
		wait' "$2" "${3:-1}"
	toolbox 'cat /captures/e2e.pftrace; rm -f /captures/e2e.pftrace' >"$TRACE"
	goto_step 0
}

# ask [--old] SQL...: rows of $TRACE, tabs between columns.
ask() {
	local old=()
	[ "$1" != --old ] || { old=(--old) && shift; }
	docker/dev.sh npm node tests/trace/trace.mjs "${old[@]}" --stats "$TRACE" "$@" </dev/null
}

# What is asked of both engines must be answered alike.
ask_both() {
	local answer
	answer=$(ask "$@")
	expect_equal "$(ask --old "$@")" "$answer" "the old engine's answer"
	echo "$answer"
}

test_trace_step2_is_one_slice_of_five_seconds_with_samples_in_it() {
	local seen
	take_trace 2 7
	seen=$(ask_both "select dur / 1000000 from slice where name = 'eat_cpu'" \
		"select count(*) from perf_sample p join stack_profile_callsite c on p.callsite_id = c.id
			join stack_profile_frame f on c.frame_id = f.id join slice s
			where f.name = 'eat_cpu' and s.name = 'eat_cpu' and p.ts between s.ts and s.ts + s.dur")
	expect_equal "$(wc -l <<<"$seen")" 2 'the number of rows'
	expect_between "$(sed -n 1p <<<"$seen")" 4990 5500 'ms in eat_cpu'
	expect_between "$(sed -n 2p <<<"$seen")" 100 510 'samples in it'
}

test_trace_step3_heap_grows_within_the_request() {
	local seen
	take_trace 3 2
	seen=$(ask_both "select (max(c.value) - min(c.value)) / 1000000 from slice s
		join slice inner_slice on inner_slice.parent_id is not null and inner_slice.name = 'leak_memory'
			and inner_slice.ts between s.ts and s.ts + s.dur
		join counter c on c.ts between s.ts and s.ts + s.dur
		join counter_track t on c.track_id = t.id
		where t.name = 'heap in use' and s.name = '/' and s.track_id in (select id from thread_track)")
	expect_between "${seen%.*}" 9 40 'MB that the heap grew by within the request'
}

test_trace_step5_names_who_started_the_threads() {
	local seen
	take_trace 5 2
	seen=$(ask_both "select a.string_value, count(distinct t.name) from slice s
		join thread_track tt on s.track_id = tt.id join thread t using (utid)
		join args a using (arg_set_id)
		where s.name = 'thread start' and t.name like 'leaked-%' and a.key = 'debug.created_by'
		group by 1")
	expect_equal "$seen" $'start_threads\t5' 'creators of threads'
}

test_trace_step6_shows_what_one_request_opened_and_did_not_close() {
	local seen
	take_trace 6 2
	seen=$(ask_both "with recursive inside(id) as (select id from slice where name = 'create_files'
			union all select s.id from slice s join inside on s.parent_id = inside.id)
		select sum(name = 'openat'), sum(name = 'close') from slice join inside using (id)" \
		"select count(*) from slice s join args a using (arg_set_id)
			where s.name = 'openat' and a.key = 'debug.stack[0]'
			and a.string_value like 'create_files at faults/fd_leak.c:%'" \
		"select count(*) from slice s join args a using (arg_set_id)
			where s.name = 'openat' and a.key = 'debug.path' and a.string_value like '%/sickbay-file-______'")
	expect_equal "$seen" $'5\t0\n5\n5' 'files opened and closed, by stack, by name'
}

test_trace_step1_shows_the_endless_wait() {
	local seen
	goto_step 1
	toolbox 'curl -sS --max-time 60 -o /captures/e2e.pftrace "localhost:6060/debug/pprof/trace?seconds=2" &
		sleep 0.5; curl -sS --max-time 1 -o /dev/null localhost:6060/; wait'
	toolbox 'cat /captures/e2e.pftrace; rm -f /captures/e2e.pftrace' >"$TRACE"
	goto_step 0
	seen=$(ask_both "select s.name, p.name, s.dur, a.string_value from slice s join slice p on s.parent_id = p.id
		join args a on s.arg_set_id = a.arg_set_id where s.name = 'pthread_mutex_lock' and a.key = 'debug.for'")
	expect_equal "$seen" $'pthread_mutex_lock\tupdate_shared_state\t-1\tshared_state_lock' 'the wait'
}

test_trace_tells_of_the_request_from_acceptance_to_answer() {
	local seen
	take_trace 6 2
	seen=$(ask_both "select a.key, coalesce(a.string_value, a.int_value) from slice s
			join process_track t on s.track_id = t.id join args a using (arg_set_id)
			where t.name = 'requests' and s.name = '/' and a.key like 'debug.%' order by 1" \
		"select o.name, i.name, count(*) from flow f join slice o on f.slice_out = o.id
			join slice i on f.slice_in = i.id where '/' in (o.name, i.name) group by 1, 2 order by min(o.ts)")
	expect_equal "$seen" $'debug.method\tGET\ndebug.path\t/\ndebug.status\t200\ndebug.step\t6\n/\t/\t1\n/\tanswer\t1' 'the request'
	seen=$(ask_both "select count(*) > 0 from flow f join slice o on f.slice_out = o.id
		join slice i on f.slice_in = i.id where o.name = 'accept' and i.name = 'first request'")
	expect_equal "$seen" 1 'whether accepted connections lead to requests'
}

# strace begins before the trace and ends after it, and sees what the trace leaves out: the threads
# that observe, and libc within itself. What the 20 requests did, both have.
test_trace_counts_system_calls_as_strace_does() {
	local seen name
	goto_step 6
	toolbox 'strace -f -c -o /tmp/strace.txt -p $APP_PID 2>/dev/null & strace=$!
		sleep 1
		curl -sS --max-time 60 -o /captures/e2e.pftrace "localhost:6060/debug/pprof/trace?seconds=3" & trace=$!
		sleep 1
		for i in $(seq 20); do curl -sS --max-time 30 -o /dev/null localhost:6060/; done
		wait $trace; kill -INT $strace; wait $strace || true'
	toolbox 'cat /captures/e2e.pftrace; rm -f /captures/e2e.pftrace' >"$TRACE"
	goto_step 0
	seen=$(ask "select name, count(*) from slice where category = 'syscall' group by 1")
	for name in accept4 writev; do
		expect_between "$(trace_count "$name" "$seen")" 20 "$(strace_count "$name")" "$name in the trace"
		expect_between "$(strace_count "$name")" 20 "$(($(trace_count "$name" "$seen") + 20))" "$name by strace"
	done
	expect_equal "$(trace_count openat "$seen")" 100 'openat in the trace'
	expect_between "$(strace_count openat)" 100 1000 'openat by strace'
}
trace_count() { awk -v name="$1" '$1 == name { print $2 }' <<<"$2"; }
strace_count() { toolbox 'awk -v name="$1" '\''$NF == name { print $4 }'\'' /tmp/strace.txt' "$1"; }

test_trace_second_at_once_and_bad_seconds_are_refused() {
	local value
	toolbox_background "curl -sS -o /dev/null --max-time 4 'localhost:6060/debug/pprof/trace?seconds=60'"
	within 3 trace_is_taken || fail 'the second trace was not answered with 500'
	bad 500 '/debug/pprof/trace?seconds=1' '^A trace is being taken already'
	within 8 trace_is_free || fail 'the trace of a client that went away is still running'
	for value in 0 301 -1 x ''; do
		bad 400 "/debug/pprof/trace?seconds=$value" '^seconds must be '
	done
}
trace_is_taken() { [ "$(status '/debug/pprof/trace?seconds=1' --max-time 0.3 2>/dev/null)" = 500 ]; }
trace_is_free() { [ "$(status '/debug/pprof/trace?seconds=1')" = 200 ]; }

test_trace_under_load_stays_small_and_says_what_is_left_out() {
	local seen
	goto_step 0
	toolbox 'wrk -t1 -c16 -d7 http://localhost:6060/ >/dev/null & sleep 1
		curl -sS --max-time 60 -o /captures/e2e.pftrace "localhost:6060/debug/pprof/trace?seconds=5"; wait'
	toolbox 'cat /captures/e2e.pftrace; rm -f /captures/e2e.pftrace' >"$TRACE"
	expect_between "$(stat -c %s "$TRACE")" 500000 4000000 'bytes'
	seen=$(ask "select a.key, a.int_value from slice s join args a using (arg_set_id) where s.name = 'end of trace'")
	expect_match "$seen" $'^debug.thinned\t[1-9]' 'what the trace says of itself'
	expect_match "$(app_log)" 'trace: [0-9]+ of [0-9]+ outermost slices are in it'
}
