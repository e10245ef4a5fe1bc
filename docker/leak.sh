#!/usr/bin/env bash
# leak.sh PAIR NOFILE COMPARE STOP: 'make leak'. A leaky program and its fixed one side by side, beside the
# workshop or without it: follows what both say, or, where COMPARE is not empty, lays their figures of
# ten seconds side by side. STOP takes them down.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

COMPARE_SECONDS=10
NOFILE_MIN=32 NOFILE_MAX=16384 # compose.yaml has the hard limit
export COMPOSE_PROFILES=${COMPOSE_PROFILES:+$COMPOSE_PROFILES,}leaks

container_of() { docker compose ps --all --quiet --no-trunc "$1"; }

check() {
	local pair=$1 nofile=$2
	[[ $pair =~ ^(file|http)$ ]] ||
		die "PAIR is '$pair'; it must be file or http, as in: make leak PAIR=file"
	[ -z "$nofile" ] && return
	if ! [[ $nofile =~ ^[1-9][0-9]{0,4}$ ]] || [ "$nofile" -lt "$NOFILE_MIN" ] || [ "$nofile" -gt "$NOFILE_MAX" ]; then
		die "NOFILE is '$nofile'; it must be a whole number from $NOFILE_MIN to $NOFILE_MAX, as in: make leak PAIR=file NOFILE=256"
	fi
}

# quietly COMMAND...: shows what it said only when it failed.
quietly() {
	local log
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		cat "$log" >&2
		die "the leaks did not start. What failed is above; 'make doctor' looks at the machine."
	fi
	rm -f "$log"
}

# start SERVICE...: the two programs anew, the others where they are not up yet.
start() {
	docker/engine.sh
	docker/base-image.sh
	build_images leaks-anchor leak-leaky "$@"
	[ "$#" -eq 0 ] || quietly docker compose up --detach --wait --wait-timeout 60 --no-build "$@"
	quietly docker compose up --detach --force-recreate --no-build leak-leaky leak-fixed
}

# stop: upstream is left to the workshop, if that is up.
stop() {
	local services=(leak-leaky leak-fixed leaks-toolbox leaks-anchor)
	[ -n "$(container_of app)" ] || services+=(upstream)
	docker compose rm --force --stop --volumes "${services[@]}" >/dev/null 2>&1
}

# ---- following -----------------------------------------------------------------------------------

# port_of PORT: where it is found on this machine.
port_of() { docker compose port leaks-anchor "$1" | sed 's/.*://'; }

# watch_both: until the leaky one ends.
watch_both() {
	local leaky status
	cat <<TEXT
    open     http://127.0.0.1:$(port_of 6060)/debug/pprof/     the leaky program's profiles
             http://127.0.0.1:$(port_of 6061)/debug/pprof/     the fixed one's
    type     make shell IN=leaks                    the toolbox beside them
    after    Ctrl-C ends this view, make leak STOP=1 the programs

TEXT
	leaky=$(container_of leak-leaky)
	docker logs --follow "$(container_of leak-fixed)" > >(sed -u 's/^/fixed | /') 2>&1 &
	docker logs --follow "$leaky" 2>&1 | sed -u 's/^/leaky | /'
	kill "$!" 2>/dev/null || true
	status=$(docker wait "$leaky" 2>/dev/null) || return 0 # it was removed
	say "the leaky program has ended with status $status; the fixed one goes on until: make leak STOP=1"
}

# ---- comparing -----------------------------------------------------------------------------------

# report SERVICE: what it measured at its end, when that has come.
report() {
	local id line
	id=$(container_of "leak-$1")
	docker wait "$id" >/dev/null
	line=$(docker logs "$id" 2>/dev/null | sed -n 's/^\[END\] //p')
	if [ -z "$line" ]; then
		docker logs --tail=20 "$id" >&2
		die "the $1 program ended before its time. Its last words are above."
	fi
	echo "$line"
}

# table PAIR LEAKY FIXED: from two reports.
table() {
	awk -v pair="$1" -v leaky="$2" -v fixed="$3" -v seconds="$COMPARE_SECONDS" '
	function read_report(text, into,    words, i, word) {
		split(text, words, " ")
		for (i in words) {
			split(words[i], word, "=")
			into[word[1]] = word[2]
		}
	}
	function line(metric, a, b, improvement) {
		printf "| %-21s | %-11s | %-11s | %-15s |\n", metric, a, b, improvement
	}
	function change(a, b) {
		if (a == b)
			return "same"
		return sprintf("%.1f%% %s", 100 * (b < a ? a - b : b - a) / (a ? a : 1), b < a ? "reduction" : "more")
	}
	function row(metric, key) { line(metric, l[key], f[key], change(l[key] + 0, f[key] + 0)) }
	function returned(metric,    left) {
		left = f["taken"] - f["given_back"]
		line(metric, l["given_back"], f["given_back"], left ? left " left open" : "all closed")
	}
	# Two runs of the same program differ by some 3%.
	function memory(    a, b, is_noise) {
		a = l["rss_kib"] / 1024
		b = f["rss_kib"] / 1024
		is_noise = b > 0.94 * a && b < 1.06 * a
		line("Memory (RSS)", sprintf("%.1f MB", a), sprintf("%.1f MB", b), is_noise ? "about the same" : change(a, b))
	}
	BEGIN {
		read_report(leaky, l)
		read_report(fixed, f)
		line("Metric", "Leaky (" seconds "s)", "Fixed (" seconds "s)", "Improvement")
		print "|-----------------------|-------------|-------------|-----------------|"
		row("Open file descriptors", "descriptors")
		if (pair == "http")
			row("Open connections", "connections")
		row("Threads", "threads")
		row(pair == "http" ? "Requests made" : "Files opened", "taken")
		returned(pair == "http" ? "Responses closed" : "Files closed")
		memory()
	}'
}

compare() {
	local leaky fixed
	say "running $1-leak and $1-fixed for $COMPARE_SECONDS s ..."
	leaky=$(report leaky)
	fixed=$(report fixed)
	echo
	table "$1" "$leaky" "$fixed"
}

main() {
	local pair=$1 nofile=$2 compare=$3 stop=$4 beside=()
	if [ -n "$stop" ]; then
		stop
		return
	fi
	check "$pair" "$nofile"
	export LEAKS_PAIR=$pair LEAKS_NOFILE=${nofile:-${LEAKS_NOFILE:-}} LEAKS_SECONDS=
	[ "$pair" != http ] || beside+=(upstream)
	if [ -n "$compare" ]; then
		LEAKS_SECONDS=$COMPARE_SECONDS
		trap stop EXIT
		start "${beside[@]}"
		compare "$pair"
	else
		start leaks-toolbox "${beside[@]}"
		watch_both
	fi
}

main "$@"
