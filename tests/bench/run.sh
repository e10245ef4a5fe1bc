#!/usr/bin/env bash
# The patient beside a Go peer, the price of the heap sampler, the price of a running CPU profile, the
# dump of many threads, the price of interposed locks, system calls and descriptors, of emitters, of
# counting for /metrics and of a trace.
#
# Two variants of one thing take turns, ABBA, under the same load; each round gives a ratio, and the
# median of the rounds is printed with the lowest and the highest. Ratios travel between machines,
# absolute times do not. Both servers write their two lines a request to a file (appending, one write
# a line) before they answer. An aim, not a gate: it fails only if it could not measure.
#
#   BENCH_SECONDS=3   of load per measurement        BENCH_ROUNDS=7
#   BENCH_PORT=16070  and the next two               BENCH_APP=build/app
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${BENCH_SECONDS:-3} rounds=${BENCH_ROUNDS:-7} port=${BENCH_PORT:-16070}
patient=http://127.0.0.1:$port peer=http://127.0.0.1:$((port + 1))
crowd=http://127.0.0.1:$((port + 2))
connections=16
work=$(mktemp -d)
pids=()

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 1; }

clean_up() {
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start_server NAME URL COMMAND...: logs to $work/NAME.log, its PID in $work/NAME.pid
start_server() {
	local name=$1 url=$2 pid
	shift 2
	"$@" >>"$work/$name.log" 2>&1 &
	pid=$!
	pids+=("$pid")
	echo "$pid" >"$work/$name.pid"
	for _ in {1..50}; do
		kill -0 "$pid" 2>/dev/null || die "the $name did not start: $(tail -n 3 "$work/$name.log")"
		curl -sf -o "$work/$name.body" "$url/" && return
		sleep 0.1
	done
	die "the $name did not answer within 5 s"
}

cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$(<"$work/$1.pid")/stat"; }

# Of the threads that unwind copied stacks, and of those that encode what is asked for, in ns. They live
# longer than a measurement.
diagnosing_ns() {
	local task
	for task in "/proc/$(<"$work/$1.pid")"/task/*; do
		[[ $(<"$task/comm") != @(unwind|debug)-* ]] || cat "$task/schedstat"
	done 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'
}

# measure NAME URL [WRK-OPTION...]: REQUESTS_PER_SECOND P99_US CPU_PER_REQUEST (in ticks) DIAGNOSING (its share of all
# the CPU time). At least two log lines a request, or the two would not do the same.
measure() {
	local name=$1 url=$2 before diagnosing_before requests rate p99 errors lines
	shift 2
	: >"$work/$name.log"
	before=$(cpu_ticks "$name") diagnosing_before=$(diagnosing_ns "$name")
	read -r _ requests rate p99 errors < <(wrk -t1 -c"$connections" -d"${seconds}s" --latency \
		-s tests/bench/figures.lua "$@" "$url/" | grep '^figures')
	[ "${errors:-1}" -eq 0 ] || die "wrk had ${errors:-no} errors or no answer from the $name"
	lines=$(wc -l <"$work/$name.log")
	[ "$lines" -ge $((2 * requests)) ] || die "the $name logged $lines lines for $requests requests"
	awk -v rate="$rate" -v p99="$p99" -v ticks=$(($(cpu_ticks "$name") - before)) -v n="$requests" \
		-v diagnosing_ns=$(($(diagnosing_ns "$name") - diagnosing_before)) -v hz="$(getconf CLK_TCK)" \
		'BEGIN { print rate, p99, ticks / n, diagnosing_ns / (ticks / hz * 1e9) }'
}

# compare FILE A B: A and B are functions that print what measure does. Writes a line a round: both's.
compare() {
	local file=$1 a=$2 b=$3 first second
	"$a" >/dev/null
	"$b" >/dev/null
	: >"$file"
	for ((round = 0; round < rounds; round++)); do
		if ((round % 2 == 0)); then
			first=$("$a")
			second=$("$b")
		else
			second=$("$b")
			first=$("$a")
		fi
		echo "$first $second" >>"$file"
	done
}

# print_ratio FILE COLUMN WHAT: of the left side's column to the right side's
print_ratio() {
	awk -v column="$2" '{ print $column / $(column + NF / 2) }' "$1" | print_median "$3"
}

# print_share FILE WHAT: of diagnosing, on the left side
print_share() {
	awk '{ print $4 }' "$1" | print_median "$2"
}

print_median() {
	sort -g |
		awk -v what="$1" '{ at[NR] = $1 }
			END {
				median = NR % 2 ? at[(NR + 1) / 2] : (at[NR / 2] + at[NR / 2 + 1]) / 2
				printf "%-56s %6.3f   (%.3f to %.3f)\n", what, median, at[1], at[NR]
			}'
}

on_patient() { measure patient "$patient"; }
on_peer() { measure peer "$peer"; }

switch_sampler() {
	curl -sf -o /dev/null "$patient/debug/pprof/heap?sampler=$1" || die "could not switch the sampler $1"
}
with_sampler() { switch_sampler on && measure patient "$patient"; }
without_sampler() { switch_sampler off && measure patient "$patient"; }

# The profile begins first and ends last: all of the load runs inside it.
with_profile() {
	local profiler status=0
	curl -sf -o "$work/profile.pb.gz" "$patient/debug/pprof/profile?seconds=$((seconds + 1))" &
	profiler=$!
	sleep 0.3
	measure patient "$patient"
	wait "$profiler" || status=$?
	[ "$status" -eq 0 ] || die "there was no CPU profile (curl: $status)"
}

with_trace() {
	local tracer status=0
	curl -sf -o "$work/trace.pftrace" "$patient/debug/pprof/trace?seconds=$((seconds + 1))" &
	tracer=$!
	sleep 0.3
	measure patient "$patient"
	wait "$tracer" || status=$?
	[ "$status" -eq 0 ] || die "there was no trace (curl: $status)"
}

# print_price PROGRAM WHAT: what PROGRAM measured, in ns a request, of a request's CPU time as it was in the
# rounds against the peer.
print_price() {
	"$1" "$rounds" | awk '{ print $NF }' |
		paste -d' ' - "$work/go" |
		awk -v hz="$(getconf CLK_TCK)" '{ print $1, $4 / hz * 1e9 }' >"$work/price"
	print_ratio "$work/price" 1 "$2 / CPU of a request"
}

# leak_threads URL COUNT: until there are so many; five a request.
leak_threads() {
	curl -sf -o /dev/null "$1/goto?step=5" || die 'could not go to step 5'
	curl -sf -o /dev/null --max-time 120 "$1/?[1-$(($2 / 5))]" || die "could not leak $2 threads"
}

# dump URL: the seconds of a dump of every thread (goroutine), as text.
dump() { curl -sf -o "$work/dump" -w '%{time_total}\n' --max-time 60 "$1/debug/pprof/goroutine?debug=2"; }
dump_has() { [ "$(grep -c "$1" "$work/dump")" -ge "$2" ] || die "the dump has no $2 of '$1'"; }
dump_patient() { dump "$patient" && dump_has '^thread .*"leaked-' 1000; }
dump_peer() { dump "$peer" && dump_has '^goroutine .*chan receive' 1000; }
dump_crowd() { dump "$crowd" && dump_has '^thread .*"leaked-' 10000; }

compare_dumps() {
	start_server crowd "$crowd" env APP_LISTEN="127.0.0.1:$((port + 2))" "${BENCH_APP:-build/app}"
	leak_threads "$patient" 1000
	leak_threads "$crowd" 10000
	curl -sf -o /dev/null "$peer/leak?count=1000" || die 'the peer leaks no goroutines'
	compare "$work/dumps" dump_patient dump_peer
	print_ratio "$work/dumps" 1 "dump of 1,000 threads / of 1,000 goroutines ($go)"
	compare "$work/crowds" dump_crowd dump_patient
	print_ratio "$work/crowds" 1 'dump of 10,000 threads / of 1,000'
}

on_new_connections() { measure patient "$patient" -H 'Connection: close'; }

# print_listing: what the list of descriptors takes of a request that comes on a connection of its own. On
# one that is kept, nothing is opened.
print_listing() {
	for ((round = 0; round < rounds; round++)); do
		on_new_connections
	done >"$work/new"
	paste -d' ' "$work/interposed" "$work/new" |
		awk -v hz="$(getconf CLK_TCK)" '{ print $3 - $6, $9 / hz * 1e9 }' >"$work/listing"
	print_ratio "$work/listing" 1 'listing its connection / CPU of a request with one'
}

compare_interposed() {
	"${BENCH_INTERPOSED:-build/bench/interposed}" "$rounds" >"$work/interposed"
	print_ratio "$work/interposed" 1 'uncontended lock and unlock, interposed / libc'
	print_ratio "$work/interposed" 2 'close(-1) that nobody listens to, interposed / libc'
	print_ratio "$work/interposed" 3 'open and close of /dev/null, listed / libc'
	print_listing
}

main() {
	local count='requests per second' go
	for tool in wrk curl go; do
		command -v "$tool" >/dev/null || die "$tool is missing; without HOST=1 it runs in an image that has it"
	done
	go=$(go env GOVERSION)
	go build -o "$work/peer" tests/bench/peer.go
	start_server patient "$patient" env APP_LISTEN="127.0.0.1:$port" "${BENCH_APP:-build/app}"
	start_server peer "$peer" "$work/peer" "127.0.0.1:$((port + 1))"
	cmp -s "$work/patient.body" "$work/peer.body" || die 'the two do not answer the same'
	echo "wrk -t1 -c$connections -d${seconds}s on / at step 0, $(nproc) cores, $rounds rounds in turn;" \
		"both log to a file. Median (lowest to highest):"

	compare "$work/go" on_patient on_peer
	print_ratio "$work/go" 1 "patient / Go peer ($go), $count"
	print_ratio "$work/go" 2 "patient / Go peer ($go), p99"
	print_ratio "$work/go" 3 "patient / Go peer ($go), CPU per request"

	compare "$work/sampler" with_sampler without_sampler
	switch_sampler on
	print_ratio "$work/sampler" 1 "patient, heap sampler on / off, $count"
	print_ratio "$work/sampler" 3 "patient, heap sampler on / off, CPU per request"
	print_share "$work/sampler" "patient, heap sampler on: unwinding / all of its CPU"

	compare "$work/profile" with_profile on_patient
	print_ratio "$work/profile" 1 "patient, 100 Hz CPU profile / none, $count"
	print_ratio "$work/profile" 3 "patient, 100 Hz CPU profile / none, CPU per request"
	print_share "$work/profile" "patient, with CPU profile and sampler: unwinding / all"

	print_price "${BENCH_EMITTERS:-build/bench/emitters}" 'emitters while nobody traces'
	print_price "${BENCH_COUNTED:-build/bench/counted}" 'counting it, beside another thread'
	compare "$work/trace" with_trace on_patient
	print_ratio "$work/trace" 1 "patient, with trace / without, $count"
	print_ratio "$work/trace" 3 "patient, with trace / without, CPU per request"
	print_share "$work/trace" "patient, with trace: unwinding and encoding / all"

	compare_interposed
	# Last: from then on the patient is at step 5.
	compare_dumps
}

main "$@"
