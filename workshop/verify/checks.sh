# shellcheck shell=bash
# shellcheck disable=SC2034 # arrays that are filled and read by name
# What a lab's verify file may say (workshop/labs/NN-name/verify), in this order. Sourced by run.sh, with the
# patient in the lab's step and nothing asked of it yet.
#
#   variable NAME                of the program: a measure called "variable" from then on
#   flat MEASURE SLACK WHAT [FIRST]   may not grow by more than SLACK, however many the requests (with the first
#                                few: by no more than FIRST)
#   grows MEASURE EACH WHAT      must grow by EACH with every request, while nobody watches
#   spares MEASURE EACH WHAT     may grow by at most EACH with every request
#   drive FEW MANY               makes the requests: the many only where the few have left nothing
#   watch COUNT CALLS            so many more, under strace
#   saw NUMBER WHAT REGEX        in what strace said: so many lines at least; 0: none at all
#   rests                        nothing is done when nothing is asked for
#   marks COUNT WHAT             so many requests change the directory that the step has made
#   mapped AT_MOST WHAT          of what strace said: bytes that the kernel was asked for, by mmap or brk
#   saw_random EACH WHAT         random bytes of each request, into memory of that size
#   counts KIND OF NUMBER WHAT [at-most]   of five more requests, by gdb: count.py has the kinds
#
# A pair makes its own work: there 'drive' and 'watch' have seconds instead of requests.
#
# Measures are the lines of look.sh, and those of cgroup() below. What is judged is seen by the kernel, by upstream, by
# strace or by gdb: the tree that is tried may have changed whatever it says of itself.

PARALLEL=4
COUNTED=5        # requests under gdb
# A lab may set others:
PATIENCE_S=8     # how long a request is waited for
DRIVE_S=20       # and all of them, the few or the many
HEALTHY_MS=8000  # how long half of them may take

declare -A before few after last # measures: at first, after the few requests, after the many, in the end
flats=() rates=() rows=()
failed='' grown_early=yes watched_variable='' trace='' watched_count=0
asked=0 answered=0 median_ms=0

# row ok|not-yet WHAT WANTED SEEN SENTENCE
row() {
	rows+=("$(printf '%-8s %-32s %12s %12s   %s' "${1/-/ }" "$2" "$3" "$4" "$5")")
	[ "$1" = ok ] || failed=1
}

# judge WHAT WANTED SEEN GOOD BAD CONDITION: a row, as the arithmetic condition is.
judge() {
	if (($6)); then row ok "$1" "$2" "$3" "$4"; else row not-yet "$1" "$2" "$3" "$5"; fi
}

print_rows() {
	printf '\n%-8s %-32s %12s %12s\n' '' '' wanted seen
	printf '%s\n' "${rows[@]}"
	echo
}

# ---- looking -------------------------------------------------------------------------------------

# Of the whole container: files in memory are in it, and processes that have ended.
cgroup() {
	# shellcheck disable=SC2016 # expanded in there
	in_patient 'cd /sys/fs/cgroup
		if [ -f memory.current ]; then
			echo "container_mib $(($(/bin/cat memory.current) >> 20))"
			echo "cpu_ms $(($(/bin/sed -n "s/^usage_usec //p" cpu.stat) / 1000))"
		else
			echo "container_mib $(($(/bin/cat memory/memory.usage_in_bytes) >> 20))"
			echo "cpu_ms $(($(/bin/cat cpuacct/cpuacct.usage) / 1000000))"
		fi' 2>/dev/null
}

# look NAME: fills the array of that name; false where the patient is not running any more.
look() {
	local -n into=$1
	local name value
	into=()
	while read -r name value; do
		into["$name"]=$value
	done < <(in_toolbox bash -s "$watched_variable" <look.sh; cgroup)
	[ -n "${into[pid]:-}" ]
}

# gone: says how the patient ended.
gone() {
	row not-yet 'the patient lives' yes no "it ended during the run: $(how_it_ended)"
}

# ---- requests ------------------------------------------------------------------------------------

# request COUNT: counts those that are answered as they should be; half of them take no longer than median_ms.
request() {
	local good ms
	# shellcheck disable=SC2016 # expanded in the toolbox
	read -r good ms < <(in_toolbox bash -c '
		ask() { timeout "$4" curl -s --max-time "$1" -w "%{stderr}%{time_total}\n" "http://localhost:6060/?[1-$2]" 2>>"$3"; }
		times=$(mktemp)
		for ((i = 0; i < $1; i++)); do ask "$3" "$(($2 / $1))" "$times" "$4" & done | grep -c "^hello world\$" | tr "\n" " "
		sort -n "$times" | awk "{ ms[NR] = 1000 * \$1 } END { print int(ms[int((NR + 1) / 2)]) }"' \
		request "$PARALLEL" "$1" "$PATIENCE_S" "$DRIVE_S")
	asked=$((asked + $1))
	answered=$((answered + ${good:-0}))
	median_ms=$((${ms:-0} > median_ms ? ${ms:-0} : median_ms))
}

# work COUNT: requests, or seconds of a pair's own.
work() {
	if [ -z "$pair" ]; then
		# Nobody shall know how many there will be.
		request $((($1 + RANDOM % ($1 / 4 + 1)) / PARALLEL * PARALLEL))
	else
		sleep "$1"
		asked=$((asked + $1)) answered=$((answered + $1))
	fi
}

variable() { watched_variable=$1; }
flat() { flats+=("$1|$2|$3|${4:-$2}"); }
grows() { rates+=("least|$1|$2|$3"); }
spares() { rates+=("most|$1|$2|$3"); }

# has_grown FROM TO FIELD: of flats, any by more than its slack; FIELD is where that stands.
has_grown() {
	local -n from=$1 to=$2
	local flat fields
	for flat in "${flats[@]}"; do
		IFS='|' read -r -a fields <<<"$flat"
		[ $((${to[${fields[0]}]:-0} - ${from[${fields[0]}]:-0})) -le "${fields[$3]}" ] || return 0
	done
	return 1
}

# look_settled: at what the few have left; what is only slow to go is given a moment.
look_settled() {
	for _ in 1 2 3; do
		look few || return 1
		has_grown before few 3 || return 0
		sleep 1
	done
}

drive() {
	look before || { gone; return; }
	say "$([ -z "$pair" ] && echo "$1 requests and more" || echo "$1 seconds") ..."
	work "$1"
	look_settled || { gone; return; }
	for name in "${!few[@]}"; do after[$name]=${few[$name]}; done
	if is_well && ! has_grown before few 3; then
		grown_early=''
		say "nothing has grown: $2 $([ -z "$pair" ] && echo requests || echo seconds) more ..."
		work "$2"
		look after || { gone; return; }
	fi
	[ -n "$pair" ] || judge 'requests answered in time' "$asked" "$answered" "$median_ms ms, half of them in less" \
		"$median_ms ms, half of them in less; at most $HEALTHY_MS would be healthy" \
		"answered == asked && median_ms <= HEALTHY_MS"
}

# ---- watching ------------------------------------------------------------------------------------

# A patient that is gone, or does not answer in time, is not asked any more.
is_well() { [ -n "${after[pid]:-}" ] && [ "$answered" -eq "$asked" ] && [ "$median_ms" -le "$HEALTHY_MS" ]; }

watch() {
	is_well || return 0
	say "$1 $([ -z "$pair" ] && echo requests || echo seconds) under strace ..."
	watched_count=$1
	trace=$(in_toolbox bash -s "${after[pid]}" "$2" "$([ -n "$pair" ] && echo 0 || echo "$1")" "$1" <watch.sh) ||
		die "strace cannot attach to what you built, and without it nothing can be said. 'make doctor' names what forbids it."
	# A pair measures itself.
	[ -n "$pair" ] || none 'looks at who is watching' 'ptrace\(|</proc/|"/proc/'
	none 'processes and programs begun' '(execve|execveat|fork|vfork)\(|clone3?\(' CLONE_THREAD
}

# none WHAT REGEX [BUT]: lines of the trace, but for those with BUT; worth a row only where there are any.
none() {
	local count
	count=$(grep -E -e "$2" <<<"$trace" | grep -v -c -F -e "${3:-no such thing}" || true)
	[ "$count" -eq 0 ] || row not-yet "$1" 0 "$count" 'requests do not need that'
}

saw() {
	local number=$1 what=$2 count
	is_well || return 0
	count=$(grep -c -E -e "$3" <<<"$trace" || true)
	if [ "$number" -eq 0 ]; then
		none "$what" "$3"
	else
		judge "$what" "$number" "$count" 'as many as the work needs' \
			"that is not the work any more: $number belong to it" "count >= number"
	fi
}

mapped() {
	local line bytes=0 end=0
	is_well || return 0
	while read -r line; do
		if [[ $line =~ ^mmap\([^,]+,\ ([0-9]+),.*MAP_ANONYMOUS.*\ =\ 0x ]]; then
			bytes=$((bytes + BASH_REMATCH[1]))
		elif [[ $line =~ ^brk\(0x.*\ =\ (0x[0-9a-f]+)$ ]]; then
			bytes=$((bytes + (end && BASH_REMATCH[1] > end ? BASH_REMATCH[1] - end : 0)))
			end=$((BASH_REMATCH[1]))
		fi
	done <<<"$trace"
	judge "$2" "<= $1" "$bytes" 'no more than the work needs' 'requests take memory of the kernel again and again' \
		"bytes <= $1"
}

saw_random() {
	local each=$1 what=$2 line bytes=0 memory=0 size
	local -A seen=()
	is_well || return 0
	while read -r line; do
		if [[ $line =~ getrandom\((0x[0-9a-f]+),.*\ =\ (0x[0-9a-f]+|[0-9]+)$ ]]; then
			size=$((BASH_REMATCH[2]))
			[ -n "${seen[${BASH_REMATCH[1]}]:-}" ] || memory=$((memory + size))
			seen[${BASH_REMATCH[1]}]=1
		elif [[ $line =~ read\([0-9]+\</dev/u?random.*\ =\ ([0-9]+)$ ]]; then
			size=${BASH_REMATCH[1]}
			memory=$((memory + size))
		else
			continue
		fi
		bytes=$((bytes + size))
	done <<<"$trace"
	judge "$what" $((each * watched_count)) "$bytes" 'as many as the work needs' \
		'that is not the work any more' "bytes >= each * watched_count"
	judge 'bytes of memory that they fill' "$each" "$memory" 'room for one request' \
		'a request has to have all of its bytes at a time' "memory >= each / 2"
}

# counts KIND WHAT-IT-COUNTS NUMBER WHAT [at-most]
counts() {
	local kind=$1 of=$2 number=$3 what=$4 at_most=${5:-} count
	is_well || return 0
	say "$COUNTED requests under gdb ..."
	# shellcheck disable=SC2016 # expanded in the toolbox
	count=$(in_toolbox_with "COUNT=$kind" "WHAT=${of%/*}" "LOCK=${of#*/}" "REQUESTS=$COUNTED" \
		sh -c 'cat >/tmp/count.py; timeout -k 1 30 gdb -nx -batch -iex "set auto-solib-add off" -p "$1" /verify/sickbay-app -x /tmp/count.py 2>&1' \
		count "${after[pid]}" <count.py | sed -n 's/^counted //p')
	if [ -z "$count" ]; then
		row not-yet "$what" "$number" '?' "they could not be counted: $of is not in the program any more, or no debugger may attach"
	elif [ -n "$at_most" ]; then
		judge "$what" "<= $number" "$count" 'no more than the work needs' "more than the $number that would do" "count <= number"
	else
		judge "$what" "$number" "$count" 'as many as the work needs' \
			"that is not the work any more: $number belong to it" "count >= number"
	fi
}

# random_ms BYTES: what that many random bytes cost on this machine at least, in ms of the kernel's time.
random_ms() {
	local seconds
	# shellcheck disable=SC2016 # expanded in the toolbox
	seconds=$(in_toolbox bash -c 'TIMEFORMAT=%3S; time head -c "$1" /dev/urandom >/dev/null' random "${1}0" 2>&1)
	# Of ten times as many, less than half: the kernel counts in ticks.
	echo $((10#${seconds/./} * 4 / 100))
}

# rests: nothing goes on when nobody asks for anything.
rests() {
	local begun ended
	is_well || return 0
	begun=$(cgroup | sed -n 's/^cpu_ms //p')
	sleep 1
	ended=$(cgroup | sed -n 's/^cpu_ms //p')
	judge 'CPU of a second at rest, in ms' '<= 300' $((ended - begun)) 'it rests' 'it works on when it has answered' \
		'ended - begun <= 300'
}

# marks COUNT WHAT: requests, one by one, of which each must change the step's directory while nobody watches.
marks() {
	local count
	is_well || return 0
	# shellcheck disable=SC2016 # expanded in the toolbox
	count=$(in_toolbox bash -c '
		newest() { stat -c %y "/proc/$1/root/tmp/sickbay-"* 2>/dev/null | sort | tail -n 1; }
		for ((i = 0; i < $2; i++)); do
			mark=$(newest "$1")
			curl -s -o /dev/null --max-time 5 http://localhost:6060/
			[ "$(newest "$1")" = "$mark" ] || echo changed
		done | wc -l' marks "${after[pid]}" "$1")
	judge "$2" "$1" "$count" 'while nobody watched' 'that is not the work any more' "count >= $1"
}

# ---- judging -------------------------------------------------------------------------------------

judge_flats() {
	local flat measure slack what first from to grown made
	made=$([ -z "$pair" ] && echo "$asked requests" || echo "$asked seconds")
	for flat in "${flats[@]}"; do
		IFS='|' read -r measure slack what first <<<"$flat"
		if [ -z "${before[$measure]:-}" ] || [ -z "${last[$measure]:-}" ]; then
			row not-yet "$what" '?' '?' 'it could not be measured on this machine'
			continue
		fi
		from=${before[$measure]} to=${last[$measure]}
		# What spared it the many requests stands, also where it has gone before the end.
		[ -z "$grown_early" ] || to=${few[$measure]:-0}
		grown=$((to - from))
		judge "$what" "$from" "$to" "as before $made" "$grown more than before $made, and they stay" \
			"grown <= first && to - ${few[$measure]:-0} <= slack"
	done
}

judge_rates() {
	local rate bound measure each what wanted grown
	for rate in "${rates[@]}"; do
		IFS='|' read -r bound measure each what <<<"$rate"
		wanted=$((each * asked)) grown=$((${after[$measure]:-0} - ${before[$measure]:-0}))
		if [ "$bound" = least ]; then
			judge "$what" "$wanted" "$grown" 'while nobody watched' \
				"that is not the work any more: at least $wanted belong to it" "grown >= wanted"
		else
			judge "$what" "<= $wanted" "$grown" 'no more than the work needs' \
				"more than the $wanted that would do" "grown <= wanted"
		fi
	done
}

# finish: all the rest, and the table.
finish() {
	local begun=${before[identity]:-}
	if [ -n "${after[pid]:-}" ]; then
		look last || gone
	fi
	if [ -n "${last[pid]:-}" ]; then
		judge_rates
		judge_flats
		judge 'one process, never started anew' 1 "${last[processes]}" 'the same from the first request to the last' \
			'what was asked in the end is not what was asked first, or not alone' \
			"${last[processes]} == 1 && ${few[processes]} == 1 && $([ "${last[identity]}" = "$begun" ] && echo 1 || echo 0)"
	fi
	print_rows
	[ -z "$failed" ]
}
