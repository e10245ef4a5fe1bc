#!/usr/bin/env bash
# doctor.sh [--quick]: looks at this machine and says, line by line, what is well, what is missing,
# what works without it, and the exact repair.
#   ok    nothing to do
#   warn  the stack runs, an instrument does not (or not fully)
#   FAIL  'make up' cannot work; only these make the exit status 1
# --quick looks only at what could stop 'make up', and prints only what is not well.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

quick=false
[ "${1:-}" = --quick ] && quick=true
failed=0

# row LEVEL NAME FINDING [WITHOUT [REPAIR]]
row() {
	local level=$1 name=$2 finding=$3 without=${4:-} repair=${5:-}
	[ "$level" != FAIL ] || failed=1
	if $quick && [ "$level" = ok ]; then
		return
	fi
	printf '%-5s %-13s %s\n' "$level" "$name" "$finding"
	[ -z "$without" ] || printf '%-20s%s\n' '' "$without"
	[ -z "$repair" ] || printf '%-20srepair: %s\n' '' "$repair"
}

# sysctl_value NAME: a kernel setting, empty where the kernel has none of that name.
sysctl_value() { cat "/proc/sys/${1//.//}" 2>/dev/null || true; }

check_architecture() {
	local machine
	machine=$(uname -m)
	case $machine in
	x86_64) row ok architecture "$machine" ;;
	aarch64 | arm64) row warn architecture "$machine" "compiled for by 'make lint', but not tried by us on such a machine" ;;
	*) row FAIL architecture "$machine" "stacks are captured on x86_64 and aarch64 only" "use such a machine" ;;
	esac
}

check_engine() {
	local version
	if ! version=$(docker version --format '{{.Server.Version}}' 2>/dev/null); then
		row FAIL engine "none answers" "nothing of the stack works; 'make run' builds the patient on this machine" "make up (installs or starts one, as root), or docker/engine.sh for the commands"
		return
	fi
	if [ "${version%%.*}" -lt 23 ]; then
		row warn engine "docker $version" "this stack is tried with 26; before 23 the images may fail to build" "a newer docker"
	else
		row ok engine "docker $version"
	fi
}

check_compose() {
	local version
	if ! version=$(docker compose version --short 2>/dev/null); then
		row FAIL compose "the compose v2 plugin is missing" "" "make up (as root), or your system's package: docker-compose-plugin, docker-compose-v2 or docker-compose"
		return
	fi
	row ok compose "$version"
}

check_memory() {
	local available_mib
	available_mib=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	if [ "$available_mib" -lt 512 ]; then
		row FAIL memory "$available_mib MiB available" "the images cannot be built" "end other programs; 2 GiB are comfortable"
	elif [ "$available_mib" -lt 1536 ]; then
		row warn memory "$available_mib MiB available" "step 3 (the memory leak) may be ended by the kernel before its limit of 1 GiB" "end other programs"
	else
		row ok memory "$available_mib MiB available"
	fi
}

check_disk() {
	local place free_mib
	place=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null || true)
	[ -d "$place" ] || place=.
	free_mib=$(df -Pm "$place" | awk 'NR == 2 { print $4 }')
	if [ "$free_mib" -lt 1024 ]; then
		row FAIL disk "$free_mib MiB free at $place" "the images need about 1.5 GiB" "make room, or: docker system prune"
	elif [ "$free_mib" -lt 3072 ]; then
		row warn disk "$free_mib MiB free at $place" "the dev image of 'make test' and core files may not fit" "make room, or: docker system prune"
	else
		row ok disk "$free_mib MiB free at $place"
	fi
}

port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# check_port SETTING DEFAULT [SERVICE]: free, or held by this very stack.
check_port() {
	local port service=${3:-anchor}
	port=$(setting "$1" "$2")
	if ! port_in_use "$port"; then
		row ok "port $port" "free"
	elif [ "$(docker compose port "$service" "$2" 2>/dev/null)" = "127.0.0.1:$port" ]; then
		row ok "port $port" "held by this stack"
	else
		row FAIL "port $port" "in use by another program" "" "end that program ('ss -tlnp' names it), or choose another: $1=$((port + 10000)) make up"
	fi
}

check_ports() {
	check_port SICKBAY_PORT_DESK 8000 desk
	check_port SICKBAY_PORT_APP 6060
	check_port SICKBAY_PORT_PPROF 9000
	check_port SICKBAY_PORT_PPROF2 9001
}

# attaches: strace in the toolbox holds the patient for a moment (124: until timeout ended it).
attaches() {
	docker compose exec -T toolbox bash -c \
		'timeout -s INT 1 strace -qq -e trace=none -o /dev/null -p "$APP_PID"; [ $? -eq 124 ]' 2>/dev/null
}

check_ptrace() {
	local without="gdb, strace, ltrace and gcore cannot attach; the debug plane and perf still work"
	if ! is_running toolbox; then
		row ok ptrace "to be tried in the toolbox: run this again after 'make up'"
	elif attaches; then
		row ok ptrace "strace in the toolbox attaches to the patient"
	else
		row warn ptrace "strace in the toolbox could not attach to the patient" "$without" "see Yama and AppArmor below; an engine with its default seccomp profile allows it from kernel 4.8 on"
	fi
}

check_yama() {
	local scope
	scope=$(sysctl_value kernel.yama.ptrace_scope)
	case $scope in
	'') row ok Yama "not in this kernel" ;;
	0 | 1 | 2) row ok Yama "ptrace_scope $scope (the toolbox has the capability it asks for)" ;;
	*) row warn Yama "ptrace_scope $scope: nobody may attach" "the debug plane and perf still work" "remove the setting from /etc/sysctl.d and boot anew (it cannot be lowered at run time)" ;;
	esac
}

check_apparmor() {
	if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then
		row ok AppArmor "on; docker's own profile lets containers under it trace each other"
	else
		row ok AppArmor "off"
	fi
}

check_tracefs() {
	if grep -qsw tracefs /proc/filesystems; then
		row ok tracefs "in this kernel; 'make trace KERNEL=1' mounts it for itself"
	else
		row warn tracefs "not in this kernel" "'make trace' does without the kernel's side; an engine in a virtual machine may have it there"
	fi
}

check_core_pattern() {
	local pattern works="gcore in the toolbox works, see workshop/core-files.md"
	local repair="sudo sysctl -w kernel.core_pattern=core.%p (until the next boot)"
	pattern=${CORE_PATTERN-$(sysctl_value kernel.core_pattern)}
	case $pattern in
	[\|@]*) row warn core_pattern "$pattern" "cores go to a program of this machine, not to /cores; $works" "$repair" ;;
	/cores/*) row ok core_pattern "$pattern, found there in the toolbox" ;;
	*/*) row warn core_pattern "$pattern" "cores are lost: the patient's container has no such place to keep them; $works" "$repair" ;;
	*) row ok core_pattern "$pattern, found in /cores of the toolbox" ;;
	esac
}

check_sigpending() {
	local pid limit
	pid=$(pgrep -x -o dockerd 2>/dev/null || true)
	if [ -n "$pid" ] && [ -r "/proc/$pid/limits" ]; then
		limit=$(awk '/^Max pending signals/ { print $4 }' "/proc/$pid/limits")
	else
		limit=$(ulimit -i)
	fi
	if [ "$limit" != unlimited ] && [ "$limit" -lt 12000 ]; then
		row warn SIGPENDING "$limit pending signals per user" "a CPU profile takes one per thread: with more threads than that, some are missing from it" "sudo prlimit --pid \$(pidof dockerd) --sigpending=65536, then: make down up"
	else
		row ok SIGPENDING "$limit pending signals per user (a CPU profile takes one per thread)"
	fi
}

check_perf() {
	local kernel major minor
	kernel=$(uname -r)
	IFS=. read -r major minor _ <<<"$kernel"
	if [ ! -e /proc/sys/kernel/perf_event_paranoid ]; then
		row warn perf "kernel $kernel has no performance events" "perf does not work; the debug plane's CPU profile does"
	elif [ "$((major * 100 + minor))" -lt 508 ]; then
		row warn perf "kernel $kernel knows no CAP_PERFMON" "perf does not work; the debug plane's CPU profile does" "kernel 5.8 or newer"
	else
		row ok perf "kernel $kernel, perf_event_paranoid $(sysctl_value kernel.perf_event_paranoid)"
	fi
}

main() {
	check_architecture
	check_engine
	check_compose
	check_memory
	check_disk
	check_ports
	if ! $quick; then
		check_ptrace
		check_yama
		check_apparmor
		check_tracefs
		check_core_pattern
		check_sigpending
		check_perf
	fi
	if [ "$failed" -ne 0 ] && $quick; then
		warn "'make up' stops here: repair the lines marked FAIL, then try again. 'make doctor' shows more."
	fi
	return "$failed"
}

main
