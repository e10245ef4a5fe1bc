#!/usr/bin/env bash
# run.sh PROGRAM...: runs cmocka programs one after the other and closes with the sum of their tests.
# A program that crashes, hangs (UNIT_TIMEOUT seconds) or runs no test counts as one failed test.
set -euo pipefail

UNIT_TIMEOUT=${UNIT_TIMEOUT:-$([ -n "${SICKBAY_STRESS:-}" ] && echo 600 || echo 120)}
LSAN_OPTIONS=suppressions=$(dirname "$0")/lsan.supp:print_suppressions=0
TSAN_OPTIONS=suppressions=$(dirname "$0")/tsan.supp
export LSAN_OPTIONS TSAN_OPTIONS
passed=0 failed=0 skipped=0

# count PATTERN FILE: lines of a TAP report.
count() { grep -c -E "$1" "$2" || true; }

run_program() {
	local program=$1 log status=0 ok bad skip unlucky
	log=$(mktemp)
	CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=5 "$UNIT_TIMEOUT" "$program" >"$log" 2>&1 </dev/null || status=$?
	# cmocka up to 1.1.5 calls a skipped test 'not ok'.
	skip=$(count '^ok [0-9]+ .*# SKIP' "$log")
	unlucky=$(count '^not ok [0-9]+ .*# SKIP' "$log")
	ok=$(($(count '^ok [0-9]+' "$log") - skip))
	bad=$(($(count '^not ok [0-9]+' "$log") - unlucky))
	skip=$((skip + unlucky))
	if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$((ok + skip))" -eq 0 ]; }; then
		bad=1
		case $status in
		0) echo "no test ran" >>"$log" ;;
		124 | 137) echo "ended after $UNIT_TIMEOUT s" >>"$log" ;;
		*) echo "ended with status $status" >>"$log" ;;
		esac
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	if [ "$bad" -gt 0 ]; then
		echo "FAIL  ${program#build/}"
		sed 's/^/      /' "$log"
	else
		printf 'ok    %s (%d)\n' "${program#build/}" "$ok"
	fi
	rm -f "$log"
}

for program in "$@"; do
	run_program "$program"
done
[ "$skipped" -eq 0 ] || echo "unit: $skipped skipped"
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
