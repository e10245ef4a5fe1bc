#!/usr/bin/env bash
# doctor.sh [--quick] [N]: looks at this machine and says, line by line, what is well, what is missing,
# what works without it, and the exact repair. With N, for a room of so many attendees.
#   ok    nothing to do
#   warn  the stack runs, an instrument does not (or not fully)
#   FAIL  'make up' cannot work; only these make the exit status 1
# What stands in AVAILABLE_MIB, CORE_PATTERN, ADDRESS_POOLS, INOTIFY_INSTANCES, ENGINE_TIME and BROWSERS is
# believed instead of the machine: for tests.
# --quick looks only at what could stop 'make up', and prints only what is not well.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

# A healthy stack, measured; and what it takes beside that while its patient is ill, as a rule.
STACK_MIB=130 ILL_MIB=300

quick=false
if [ "${1:-}" = --quick ]; then
	quick=true
	shift
fi
room_size=${1:-0}
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

# to_start: how many stacks are not there yet, of those that are wanted: one, or a room of them.
to_start() {
	local project there
	project=$(setting COMPOSE_PROJECT_NAME sickbay)
	[ "$room_size" -eq 0 ] || project="$project-room-[0-9]+"
	there=$(docker network ls --format '{{.Name}}' 2>/dev/null | grep -c -x -E "${project}_default" || true)
	echo "$((room_size > there ? room_size - there : room_size == 0 && there == 0))"
}

check_memory() {
	local available_mib stacks needed_mib
	available_mib=${AVAILABLE_MIB-$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)}
	stacks=$(to_start)
	needed_mib=$((512 + stacks * STACK_MIB))
	if [ "$available_mib" -lt "$needed_mib" ]; then
		row FAIL memory "$available_mib MiB available, $needed_mib needed" "the images cannot be built, or $stacks stacks not be started" "end other programs, or a smaller N; $((needed_mib + 1024 + room_size * ILL_MIB)) MiB are comfortable"
	elif [ "$available_mib" -lt "$((needed_mib + 1024 + room_size * ILL_MIB))" ]; then
		row warn memory "$available_mib MiB available" "where many patients leak memory at once (step 3; each up to 1 GiB), the kernel ends some" "end other programs, or a smaller N"
	else
		row ok memory "$available_mib MiB available (a stack takes $STACK_MIB, up to 1 GiB more in step 3)"
	fi
}

# address_pools: "10.210.0.0/16 26" for networks of 64 addresses out of that; nothing where they are docker's own.
address_pools() {
	echo "${ADDRESS_POOLS-$(docker info --format '{{range .DefaultAddressPools}}{{.Base}} {{.Size}}{{println}}{{end}}' 2>/dev/null)}" |
		sed '/^ *$/d'
}

# Each stack has a network; where the engine's pools are used up, the next one does not start.
check_networks() {
	local fit stacks base size
	stacks=$(to_start)
	fit=0
	while read -r base size; do
		fit=$((fit + (1 << (size - ${base#*/}))))
	done < <(address_pools)
	[ "$fit" -gt 0 ] || fit=31 # docker's own pools
	fit=$((fit - $(docker network ls --quiet --filter driver=bridge 2>/dev/null | wc -l)))
	if [ "$fit" -lt "$stacks" ]; then
		row FAIL networks "$((fit > 0 ? fit : 0)) more fit into the engine's address pools, $stacks are needed" "" "in /etc/docker/daemon.json: {\"default-address-pools\": [{\"base\": \"10.210.0.0/16\", \"size\": 26}]}, then start the engine anew (where docker/engine.sh started it, it has that)"
	else
		row ok networks "$fit more fit into the engine's address pools; each stack takes one, 'make verify' one more"
	fi
}

# image_architecture NAME: what it was built for; nothing where there is none.
image_architecture() { docker image inspect --format '{{.Architecture}}' "sickbay-$1:$(setting SICKBAY_TAG dev)" 2>/dev/null; }

check_images() {
	local own built
	if ! built=$(image_architecture app); then
		if images_are_given; then
			row FAIL images "they are to be given, and are not there" "" "make load FILE=... of the file that this folder came from"
		elif docker image inspect "debian:$(setting SICKBAY_DEBIAN bookworm)-slim" >/dev/null 2>&1; then
			row ok images "not built yet; their base is here"
		else
			row ok images "not built yet; 'make up' pulls their base, or makes it from Debian's packages"
		fi
		return
	fi
	case $(uname -m) in
	x86_64) own=amd64 ;;
	aarch64 | arm64) own=arm64 ;;
	*) own=$(uname -m) ;;
	esac
	if [ "$built" != "$own" ]; then
		row warn images "built for $built, this machine is $own: they are emulated" "the patient is slow; gdb, strace, perf and most profiles show the emulator" "unset DOCKER_DEFAULT_PLATFORM, then: make up (or a bundle made on such a machine)"
	else
		row ok images "built for $built, as this machine is"
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
		row warn disk "$free_mib MiB free at $place" "the dev image of 'make test', core files or 'make bundle' may not fit" "make room, or: docker system prune"
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
	local number held free=0
	if [ "$room_size" -eq 0 ]; then
		check_port SICKBAY_PORT_DESK 8000 desk
		check_port SICKBAY_PORT_APP 6060
		check_port SICKBAY_PORT_PPROF 9000
		check_port SICKBAY_PORT_PPROF2 9001
		return
	fi
	held=$(docker ps --filter "name=^$(setting COMPOSE_PROJECT_NAME sickbay)-room-" --format '{{.Ports}}' 2>/dev/null || true)
	for number in $(seq "$room_size"); do
		check_attendee_ports "$number" && free=$((free + 1))
	done
	[ "$free" -lt "$room_size" ] ||
		row ok ports "from $(attendee_port 1 DESK) on: free, or held by the room"
}

attendee_port() { workshop/instructor/attendee.sh "$1" | sed -n "s/^SICKBAY_PORT_$2=//p"; }

# check_attendee_ports NUMBER: false, with a row, where one is in use by somebody else.
check_attendee_ports() {
	local port first
	first=$(attendee_port "$1" DESK)
	for port in $(seq "$first" "$(attendee_port "$1" PPROF2)"); do
		if port_in_use "$port" && [[ $held != *":$port->"* ]]; then
			row FAIL "port $port" "of attendee $1, in use by another program" "" "end that program ('ss -tlnp' names it), or choose others: SICKBAY_PORT_ROOM=$((first - 10 * $1 + 10000)) make room N=$room_size"
			return 1
		fi
	done
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
	if [ "$limit" != unlimited ] && [ "$limit" -lt "$((12000 + 500 * room_size))" ]; then
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
		row ok perf "kernel $kernel; the toolbox has the capability (perf_event_paranoid $(sysctl_value kernel.perf_event_paranoid) binds others)"
	fi
}

# Of one kernel for all: a patient in step 5 may have 10,000 threads.
check_threads() {
	local limit least=$((16000 + 500 * room_size))
	limit=$(printf '%s\n' "$(sysctl_value kernel.pid_max)" "$(sysctl_value kernel.threads-max)" | sort -n | head -n 1)
	if [ "$limit" -lt "$least" ]; then
		row warn threads "$limit on this machine, all programs together" "step 5 (the thread leak) may keep others from starting threads" "sudo sysctl -w kernel.pid_max=4194304 kernel.threads-max=200000"
	else
		row ok threads "$limit fit on this machine (kernel.pid_max, kernel.threads-max)"
	fi
}

# Every desk watches its captures; all are the same user to the kernel.
check_inotify() {
	local limit=${INOTIFY_INSTANCES-$(sysctl_value fs.inotify.max_user_instances)} least=$((16 + room_size))
	if [ "${limit:-0}" -lt "$least" ]; then
		row warn inotify "${limit:-no} watchers per user" "some desks show new captures only when their page is opened anew" "sudo sysctl -w fs.inotify.max_user_instances=512"
	else
		row ok inotify "$limit watchers per user; each desk takes one"
	fi
}

# Captures carry dates, and traces are laid beside other machines' logs.
check_clock() {
	local engine_s apart_s synchronized
	engine_s=$(date -d "${ENGINE_TIME-$(docker info --format '{{.SystemTime}}' 2>/dev/null)}" +%s 2>/dev/null || date +%s)
	apart_s=$((engine_s - $(date +%s)))
	synchronized=$(timedatectl show --property NTPSynchronized --value 2>/dev/null || true)
	if [ "${apart_s#-}" -gt 2 ]; then
		row warn clock "the engine's is $apart_s s from this machine's" "dates of captures and traces are wrong by that" "start the engine's virtual machine anew, or set the clock"
	elif [ "$synchronized" = no ]; then
		row warn clock "nobody sets this machine's" "dates of captures and traces may be wrong" "sudo timedatectl set-ntp true"
	else
		row ok clock "the engine's and this machine's agree"
	fi
}

check_browser() {
	local program
	for program in ${BROWSERS-chromium chromium-browser google-chrome firefox firefox-esr microsoft-edge explorer.exe /Applications/Safari.app}; do
		if have "$program" || [ -d "$program" ]; then
			row ok browser "$program"
			return
		fi
	done
	row warn browser "none on this machine" "the desk and pprof's pages are opened from another one" "there: ssh -L 8000:127.0.0.1:$(setting SICKBAY_PORT_DESK 8000) $(id -un)@$(hostname), then open http://127.0.0.1:8000/"
}

main() {
	[ "$room_size" = 0 ] || workshop/instructor/attendee.sh "$room_size" >/dev/null
	check_architecture
	check_engine
	check_compose
	check_memory
	check_disk
	check_images
	check_networks
	check_ports
	if ! $quick; then
		check_ptrace
		check_yama
		check_apparmor
		check_tracefs
		check_core_pattern
		check_sigpending
		check_threads
		check_inotify
		check_perf
		check_clock
		check_browser
	fi
	if [ "$failed" -ne 0 ] && $quick; then
		warn "'make up' stops here: repair the lines marked FAIL, then try again. 'make doctor' shows more."
	fi
	return "$failed"
}

main
