# shellcheck shell=bash
# What the scripts in docker/ share: how they speak, and where Debian's packages come from.
# Sourced, never run.

say() { printf '%s\n' "sickbay: $*"; }
warn() { printf '%s\n' "sickbay: $*" >&2; }
die() {
	warn "$*"
	exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Known from the start: scripts go elsewhere later.
SETTINGS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.env

# setting NAME DEFAULT: from the environment, else from .env.
setting() {
	local value=${!1:-}
	[ -n "$value" ] || value=$(sed -n "s/^$1=//p" "$SETTINGS" 2>/dev/null)
	echo "${value:-$2}"
}

# images_are_given: by 'make load'. Then nothing is built, for nothing of what it takes may be here.
images_are_given() { [ "$(setting SICKBAY_IMAGES built)" = given ]; }

# captures_folder: what is /captures in the containers.
captures_folder() { setting SICKBAY_CAPTURES profiles/captures; }

# The desk is another user than whoever typed this; as in /tmp, each deletes only what is their own.
open_captures() {
	local folder
	folder=$(captures_folder)
	mkdir -p "$folder"
	chmod 1777 "$folder" 2>/dev/null ||
		say "$folder belongs to somebody else: the desk can show captures, but not take any."
}

# stack_container SERVICE: the id of its container in this stack, running or not; nothing where there is
# none. The engine says so in a tenth of the time that compose takes.
stack_container() {
	docker ps --all --quiet --no-trunc --filter label=com.docker.compose.oneoff=False \
		--filter "label=com.docker.compose.project=$(setting COMPOSE_PROJECT_NAME sickbay)" \
		--filter "label=com.docker.compose.service=$1"
}

have() { command -v "$1" >/dev/null 2>&1; }

# os_field NAME: one value of /etc/os-release, empty where there is none.
os_field() {
	[ -r /etc/os-release ] || return 0
	sed -n "s/^$1=\"\\{0,1\\}\\([^\"]*\\)\"\\{0,1\\}\$/\\1/p" /etc/os-release
}

# wait_for SECONDS WHAT COMMAND...: polls until COMMAND succeeds and says what it waits for.
# Returns 1 when the time is over.
wait_for() {
	local seconds=$1 what=$2 deadline
	shift 2
	"$@" >/dev/null 2>&1 && return 0
	say "waiting for $what (at most $seconds s) ..."
	deadline=$((SECONDS + seconds))
	while [ "$SECONDS" -lt "$deadline" ]; do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.3
	done
	return 1
}

# ask_desk PATH [CURL-OPTION...]: of the stack that runs. What the desk says, whatever that is, on standard
# output; a refusal ends the script with it.
ask_desk() {
	local path=$1 answer
	shift
	is_running desk || die "the stack is not up. Type: make up"
	answer=$(docker compose exec -T toolbox curl -sS --fail-with-body --max-time 10 -H 'Host: localhost' \
		-H 'Sec-Fetch-Site: same-origin' "$@" "http://desk:8000$path" </dev/null) || die "the desk says: $answer"
	printf '%s\n' "$answer"
}

# debian_sources SUITE: prints apt sources for SUITE (trixie, bookworm, ...) at the mirrors that
# this machine itself uses. Two of its facts are taken over, whatever format they are written in:
# the archive of its own release, and the archive of its security updates.
# Prints nothing where the machine is not a Debian.
debian_sources() {
	local suite=$1 own
	own=$(os_field VERSION_CODENAME)
	have apt-get && [ -n "$own" ] || return 0
	# shellcheck disable=SC2016 # apt expands these, not the shell
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u |
		sed -n -E "s,^([^ ]+) $own((-updates|-security)?)\$,\\1 $suite\\2,p" |
		while read -r uri release; do
			printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "${uri%/}" "$release"
			printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
		done
}

# install_quietly [APT-OPTION...] -- PACKAGE...: Debian's packages without their chatter; what apt
# said is shown when it fails.
install_quietly() {
	local options=() log
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	log=$(mktemp)
	if ! {
		apt-get "${options[@]}" -qq update &&
			DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" -qq -y -o Dpkg::Use-Pty=0 \
				install --no-install-recommends "$@"
	} >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		die "apt-get could not install $*. Repair what it says above and try again."
	fi
	rm -f "$log"
}

# is_running SERVICE: of the stack. (A grep that stops early would break the pipe.)
is_running() { docker compose ps --services --status running 2>/dev/null | grep -x "$1" >/dev/null; }

# has_recorder: its profile is on. (A grep that stops early would break the pipe.)
has_recorder() { docker compose config --services | grep -x recorder >/dev/null; }

# stack_services: all that 'make up' starts, but for the recorder, which comes last.
stack_services() { docker compose config --services | grep -vx recorder; }

# build_images SERVICE...: what is up to date is left alone, unless SICKBAY_BUILD is --no-cache; what the builder
# says is shown to a person at a terminal, and when it fails.
build_images() {
	local begun=$SECONDS log build=(docker compose build ${SICKBAY_BUILD:+"$SICKBAY_BUILD"} "$@")
	! images_are_given || return 0
	if [ -t 1 ]; then
		"${build[@]}"
		return
	fi
	log=$(mktemp)
	say "building the images (a minute the first time) ..."
	if ! "${build[@]}" >"$log" 2>&1; then
		cat "$log" >&2
		die "the images could not be built. What failed is above."
	fi
	rm -f "$log"
	say "images are up to date ($((SECONDS - begun)) s)"
}

# ---- the recorder of the kernel ------------------------------------------------------------------

warn_of_recorder() {
	cat >&2 <<'TEXT'
sickbay: the kernel's side of a trace is recorded by a container that may use this machine's kernel tracing
         (ftrace) as root. That sees every process of the machine: its name, when it runs, its system calls.
         Asked for are the patient and the toolbox only; what else a CPU was busy with is in the trace as
         "other", without name or system calls. The trace stays on this machine.
TEXT
}

# explain_recorder SENTENCE: the engine's reasons in our words.
explain_recorder() {
	case $1 in
	*'no such device'*) echo "this machine's kernel has no tracefs, or the engine's virtual machine has none" ;;
	*'mount'*'not permitted'* | *'mount'*'permission denied'*) echo "the engine may not mount tracefs; one that runs without root cannot" ;;
	*) echo "${1#recorder: }" ;;
	esac
}
