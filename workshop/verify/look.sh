#!/usr/bin/env bash
# look.sh [VARIABLE]: what the kernel and upstream know of the patient just now, a line "NAME VALUE" each.
# Runs in the toolbox beside it; nothing is asked of the patient.
set -u

# All processes of the patient's container: whoever has neither the anchor's files nor ours.
patients() {
	find /proc/[0-9]*/ns/mnt -maxdepth 0 -printf '%h %l\n' 2>/dev/null |
		awk -F '[/ ]' -v own="$(readlink /proc/self/ns/mnt)" -v anchor="$(readlink /proc/1/ns/mnt)" \
			'$NF != own && $NF != anchor { print $3 }' | sort -n
}

status() { sed -n "s/^$1:\s*\([0-9]*\).*/\1/p" "/proc/$pid/status"; }

# stat_field NUMBER of /proc/PID/stat, as proc(5) counts.
stat_field() { sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f "$(($1 - 2))"; }

# number VARIABLE: of the program, read in its memory.
number() {
	gdb -nx -batch -iex 'set auto-solib-add off' -p "$pid" /verify/sickbay-app \
		-ex "printf \"number %lu\\n\", (unsigned long)$1" 2>/dev/null | sed -n 's/^number //p'
}

# Who has just read the container's cgroup in there may not be gone yet.
for _ in {1..10}; do
	mapfile -t all < <(patients)
	[ "${#all[@]}" -gt 1 ] || break
	sleep 0.1
done
pid=${all[0]:-}
[ -n "$pid" ] || exit 1
ticks=$(getconf CLK_TCK)
cat <<LOOK
processes ${#all[@]}
pid $pid
identity $pid-$(stat_field 22)-$(cksum <"/proc/$pid/auxv" | cut -d ' ' -f 1)
descriptors $(find "/proc/$pid/fd" -type l | wc -l)
files_open $(find "/proc/$pid/fd" -lname '*/sickbay-file-*' | wc -l)
files_left $(find "/proc/$pid/root/tmp" -name 'sickbay-file-*' | wc -l)
logs $(find "/proc/$pid/root/tmp" -path '*/file-leak-*/logfile_*.txt' -size 1 | wc -l)
connections $(ss -Htnp dport = :8080 | grep -c "pid=$pid,")
threads $(status Threads)
memory_mib $((($(status VmRSS) + $(status VmSwap)) / 1024))
kernel_ms $(($(stat_field 15) * 1000 / ticks))
births $(cut -d ' ' -f 5 /proc/loadavg)
$(curl -s --max-time 5 http://upstream:8080/metrics |
	awk '$1 == "upstream_feeds_open" { print "feeds", $2 } $1 == "upstream_events_sent_total" { print "events", $2 }')
LOOK
[ -z "${1:-}" ] || echo "variable $(number "$1")"
