# shellcheck shell=bash
# shellcheck disable=SC2016 # expanded in the toolbox
# Minutes of illness: after each step the patient must be as it was, also after the hundredth.

SOAK_SECONDS=${SOAK_SECONDS:-600}
SOAK_RSS_SLACK_MB=40 # what tcmalloc keeps for the next time

# state: what a well patient has: threads and descriptors, connections among them. Memory has slack: see below.
state() { vars '[.threads, .fds] | @tsv'; }
# The connection that asks is one of them; one that has just ended may be seen a moment longer.
is_as_before() { [ "$(state)" = "$before" ]; }

request_some() {
	toolbox 'for i in 1 2 3 4 5 6; do curl -sS -o /dev/null --max-time 1 localhost:6060/ & done; wait' >/dev/null 2>&1 || true
}

visit() { # STEP
	goto_step "$1" >/dev/null
	request_some
	goto_step 0 >/dev/null
	within 10 is_as_before || fail "after step $1 the patient has $(state), and had $before"
	expect_between "$(rss_mb)" 0 $((rss_before + SOAK_RSS_SLACK_MB)) "resident MB after step $1"
}

steps() { grep -c '^FAULT(' services/app/faults.def; }

test_the_patient_is_as_before_after_minutes_of_every_step() {
	local end rounds=0 step before rss_before
	goto_step 0
	# Once each: what is made on first use stays.
	for ((step = 1; step < $(steps); step++)); do
		goto_step "$step" >/dev/null
		request_some
		goto_step 0 >/dev/null
	done
	before=$(state)
	rss_before=$(rss_mb)
	end=$((SECONDS + SOAK_SECONDS))
	while [ "$SECONDS" -lt "$end" ]; do
		for ((step = 1; step < $(steps); step++)); do visit "$step"; done
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds of $(($(steps) - 1)) steps: $before; resident $rss_before MB, then $(rss_mb) MB"
}
