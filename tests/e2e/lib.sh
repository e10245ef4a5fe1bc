# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# The harness of the stack tests: what a test may say, and how tests are run. Sourced, never run.
#
# A test is a function whose name begins with test_. It runs in a subshell under 'set -eu', ends at
# the first thing that is not as it should be, and what it printed is shown only when it fails.
# Nothing is asked of the host but bash, its usual companions and the engine: curl, jq and pprof are
# the toolbox's.

E2E_PROJECT=${E2E_PROJECT:-sickbay-test}
E2E_PORT=${E2E_PORT:-16060}
TEST_SECONDS=${TEST_SECONDS:-240} # no test may take longer
TEST_LINES=${TEST_LINES:-80}      # of what a failed one said are shown

# The stack that toolbox(), get() and the like speak to: the name of its compose project.
STACK=$E2E_PROJECT

# ---- what a test says ---------------------------------------------------------------------------

# fail SENTENCE...: the test ends here.
fail() {
	printf 'not as expected: %s\n' "$*" >&2
	exit 1
}

# show TEXT: at most the last 60 lines of what was seen.
show() { printf '%s\n' "$1" | tail -n 60 | sed 's/^/    | /'; }

# matches TEXT REGEX: in any line of it. (Not a pipe: a grep that stops early would break it.)
matches() { grep -q -E -e "$2" <<<"$1"; }

expect_match() {
	matches "$1" "$2" && return 0
	show "$1"
	fail "nothing in ${3:-the above} matches /$2/"
}

expect_no_match() {
	matches "$1" "$2" || return 0
	show "$1"
	fail "${3:-the above} matches /$2/"
}

expect_equal() { [ "$1" = "$2" ] || fail "${3:-value} is '$1', not '$2'"; }

# expect_between VALUE LOW HIGH WHAT: integers, limits included.
expect_between() {
	[[ $1 =~ ^-?[0-9]+$ ]] || fail "${4:-value} is no number: '$1'"
	if [ "$1" -lt "$2" ] || [ "$1" -gt "$3" ]; then
		fail "${4:-value} is $1, not between $2 and $3"
	fi
	echo "${4:-value}: $1"
}

# within SECONDS COMMAND...: polls until it succeeds; false when the time is over.
within() {
	local deadline=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

now_ms() {
	local now_us=${EPOCHREALTIME/[.,]/}
	echo "${now_us%???}"
}

# ---- stacks -------------------------------------------------------------------------------------

# compose ARGUMENT...: on the current stack.
compose() { docker compose -p "$STACK" "$@" </dev/null; }

# container SERVICE: its name; it stays the same when it is made anew.
container() { echo "$STACK-$1-1"; }

# toolbox SCRIPT [ARGUMENT...]: runs it in the toolbox's bash; $APP_PID is there. LIMIT seconds.
# What it said is kept: where a test ends with it, nobody has printed it. TOOLBOX: another one's service.
toolbox() {
	timeout -k 2 "${LIMIT:-60}" docker exec "$(container "${TOOLBOX:-toolbox}")" \
		bash -c "set -o pipefail; $1" toolbox "${@:2}" </dev/null | tee "$OUT/toolbox.last"
}

# toolbox_background SCRIPT: runs on after the test's next line.
toolbox_background() { docker exec -d "$(container toolbox)" bash -c "$1"; }

# get PATH [CURL-OPTION...]: the body, whatever the status.
get() { toolbox "curl -sS --max-time ${LIMIT:-30} \"\${@:2}\" \"localhost:6060\$1\"" "$@"; }

# status PATH [CURL-OPTION...]: the number alone.
status() { get "$1" -o /dev/null -w '%{http_code}' "${@:2}"; }

# goto_step STEP [VARIANT]: must be answered as the seeds have it.
goto_step() {
	local answer
	answer=$(get "/goto?step=$1${2:+&variant=$2}")
	expect_match "$answer" "^switched to step $1${2:+ \\($2\\)}\$" 'the answer of /goto'
}

# hello COUNT: that many requests, one after the other; each must be answered.
hello() {
	toolbox "for i in \$(seq $1); do curl -sS --max-time 30 localhost:6060/; done | grep -c '^hello world\$' | grep -qx $1" ||
		fail "not all of $1 requests were answered"
}

# vars FILTER: a number of /debug/vars, by jq.
vars() { toolbox "curl -sS --max-time 10 localhost:6060/debug/vars | jq -e '$1'"; }

# app_log: what the patient wrote.
app_log() { docker logs "$(container app)" 2>&1; }

# last_begun: the request that the patient began to work at last, as its log has it. The end of the log only: after
# a load, all of it takes seconds to read.
last_begun() {
	docker logs --timestamps --tail 100 "$(container app)" 2>&1 | grep 'Starting processing' | tail -n 1 || true
}
has_begun_after() { [ "$(last_begun)" != "$1" ]; }

# every_path: of the debug plane, but for those whose answer takes the seconds they are asked for.
every_path() {
	printf '%s\n' /healthz /metrics /debug/vars /debug/pprof/
	sed -n 's|^DEBUG_ROUTE("\([a-z]*\)".*|/debug/pprof/\1|p' services/debug/routes.def |
		grep -v -x -E '/debug/pprof/(profile|wall|sched|trace)'
	printf '%s\n' '/debug/pprof/goroutine?debug=1' '/debug/pprof/goroutine?debug=2' '/debug/pprof/heap?debug=1'
}

# see_ROUTE: all threads of the patient, in the words of four tools.
see_dump() { get '/debug/pprof/goroutine?debug=2'; }
see_pprof() { toolbox 'pprof -top -lines http://localhost:6060/debug/pprof/goroutine 2>&1'; }
see_gdb() { toolbox 'gdb -p $APP_PID -batch -ex "thread apply all bt" 2>&1'; }
see_usr1() {
	local before
	before=$(log_length)
	toolbox 'kill -USR1 $APP_PID'
	within 5 dumped_since "$before" || fail 'SIGUSR1 left no dump in the log'
	app_log | tail -n +"$((before + 1))"
}
log_length() { app_log | wc -l; }
# As many threads as its first line says.
dumped_since() {
	app_log | tail -n +"$(($1 + 1))" |
		awk '/SIGUSR1: [0-9]+ threads$/ { said = $(NF - 1) } /^thread [0-9]+ "/ { seen++ } /^$/ { ended++ } END { exit !(said && seen >= said && ended >= said) }'
}

healthy() { [ "$(status /healthz --max-time 1 2>/dev/null)" = 200 ]; }

# rss_mb: the patient's resident memory by ps, in MB.
rss_mb() { toolbox 'ps l $APP_PID' | awk 'NR == 2 { print int($8 / 1000) }'; }

# cpu_ticks: user and system time of the patient so far, in 1/100 s.
cpu_ticks() { toolbox 'sed "s/.*) //" /proc/$APP_PID/stat' | awk '{ print $12 + $13 }'; }

# stack_up SUFFIX [VARIABLE=VALUE...]: one more stack, on any free ports; becomes the current one.
stack_up() {
	STACK=$E2E_PROJECT-$1
	echo "$STACK" >>"$OUT/projects"
	env SICKBAY_PORT_DESK=0 SICKBAY_PORT_APP=0 SICKBAY_PORT_PPROF=0 SICKBAY_PORT_PPROF2=0 "${@:2}" \
		docker compose -p "$STACK" up --detach --wait --wait-timeout 60 --no-build </dev/null
}

stack_down() { compose --profile '*' down --volumes --remove-orphans --timeout 1; }

# from_host PORT PATH: an HTTP/1.0 request by bash alone, from this machine; prints head and body.
from_host() {
	timeout -k 1 20 bash -c '
		exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
		printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1:%s\r\n\r\n" "$2" "$1" >&3
		cat <&3' from_host "$1" "$2" 2>/dev/null | tr -d '\0'
}

# published PORT [SERVICE]: where the current stack's PORT is found on this machine.
published() { compose port "${2:-anchor}" "$1" | sed 's/.*://'; }

# ---- running ------------------------------------------------------------------------------------

passed=0 failed=0

# run_test NAME FUNCTION [ARGUMENT...]
run_test() {
	local name=$1 log status=0 begun
	shift
	log=$OUT/$(tr -c 'A-Za-z0-9\n' '_' <<<"$name").log
	begun=$(now_ms)
	# A process group of its own: all of it ends when the time is over or the suite is interrupted.
	set -m
	(
		trap - EXIT INT TERM HUP
		trap 'echo "status $? of: $BASH_COMMAND"' ERR
		set -eEu
		"$@"
	) >"$log" 2>&1 </dev/null &
	running=$!
	(
		sleep "$TEST_SECONDS"
		echo "the test was ended after $TEST_SECONDS s" >>"$log"
		kill -TERM -- "-$running"
	) >/dev/null 2>&1 </dev/null &
	watchdog=$!
	set +m
	wait "$running" 2>/dev/null || status=$?
	running=
	kill -TERM -- "-$watchdog" 2>/dev/null || true
	wait "$watchdog" 2>/dev/null || true
	watchdog=
	report "$name" "$status" "$begun" "$log"
}

report() {
	local name=$1 status=$2 tenths=$((($(now_ms) - $3) / 100)) log=$4
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
		printf 'ok    %s (%d.%d s)\n' "$name" $((tenths / 10)) $((tenths % 10))
	else
		failed=$((failed + 1))
		printf 'FAIL  %s (%d.%d s)\n' "$name" $((tenths / 10)) $((tenths % 10))
		tail -n "$TEST_LINES" "$log" | sed 's/^/      /'
		if [ -e "$OUT/toolbox.last" ]; then
			echo '      the toolbox said last:'
			tail -n 20 "$OUT/toolbox.last" | cut -c 1-200 | cat -v | sed 's/^/      | /'
		fi
		recover >/dev/null 2>&1
	fi
}

# recover: what a failed test left must not fail the next one. (Its subshell is gone, and with it
# the stack it may have chosen.)
recover() {
	[ "$(status '/goto?step=0' --max-time 5)" = 200 ] && return
	docker restart --time 2 "$(container app)"
	within 15 healthy
}
