#!/usr/bin/env bash
# Makes sure that a container engine answers and that it has compose v2. Idempotent.
#
# The engine that answers is used as it is. Where none answers and this script may (root, a Debian
# with apt-get), it says what it is about to install, asks on a terminal, installs Debian's own
# packages and starts the daemon. Otherwise it prints the commands to type and exits 1.
#
# ENGINE=never     install nothing, start nothing
# ENGINE_LOG=FILE  where the daemon that we start logs (default /var/log/sickbay-dockerd.log)
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

ENGINE=${ENGINE:-auto}
ENGINE_LOG=${ENGINE_LOG:-/var/log/sickbay-dockerd.log}
# Networks of 64 addresses: docker's default pools hold about 30 networks, a room needs more.
ADDRESS_POOL='base=10.210.0.0/16,size=26'

engine_answers() { have docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
compose_answers() { have docker && docker compose version >/dev/null 2>&1; }
systemd_runs() { [ -d /run/systemd/system ] && have systemctl; }

# missing_packages: what this machine lacks, as Debian calls it.
missing_packages() {
	local compose=docker-compose
	[ "$(os_field ID)" = ubuntu ] && compose=docker-compose-v2
	if ! engine_answers && ! have dockerd; then
		echo docker.io
		have iptables || echo iptables
	fi
	have docker || echo docker-cli
	compose_answers || echo "$compose"
}

# Bookworm's own engine (20.10) is too old for this project's image recipes: it gets the next release's.
needs_next_release() { [ "$(os_field VERSION_CODENAME)" = bookworm ]; }

may_install() {
	[ "$ENGINE" != never ] && is_root && have apt-get && [ "$(os_field ID)" = debian ]
}

# apt_private DIR: apt-get options that read sources, pins and lists from DIR alone, so that the
# machine's own apt stays as it was.
apt_private() {
	printf '%s\n' -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$1/sources" \
		-o "Dir::Etc::preferencesparts=$1/preferences" -o "Dir::Etc::preferences=/dev/null" \
		-o "Dir::State::lists=$1/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
}

# install_from_trixie PACKAGE...: on bookworm, takes the named packages from trixie and what they
# depend on from bookworm.
install_from_trixie() {
	local dir options package
	dir=$(mktemp -d)
	mkdir -p "$dir/sources" "$dir/preferences" "$dir/lists/partial"
	chmod -R a+rX "$dir"
	debian_sources bookworm >"$dir/sources/own.sources"
	debian_sources trixie >"$dir/sources/next.sources"
	printf 'Package: *\nPin: release n=trixie*\nPin-Priority: 50\n' >"$dir/preferences/next"
	[ -s "$dir/sources/next.sources" ] ||
		die "no source named 'bookworm' is in this machine's apt sources, so there is no mirror to install from: add Debian's, or install docker and its compose plugin yourself."
	mapfile -t options < <(apt_private "$dir")
	local wanted=()
	for package in "$@"; do
		case $package in
		docker*) wanted+=("$package/trixie") ;;
		*) wanted+=("$package") ;;
		esac
	done
	install_quietly "${options[@]}" -- "${wanted[@]}"
	rm -rf "$dir"
}

install_packages() {
	say "installing $* (half a minute) ..."
	if needs_next_release; then
		install_from_trixie "$@"
		return
	fi
	install_quietly -- "$@"
}

# agreed WHAT...: says what is about to be installed; asks where somebody can answer.
agreed() {
	local from="Debian's packages" answer=
	needs_next_release && from="Debian trixie's packages (your own apt sources stay as they are)"
	say "no usable container engine here. To be installed from $from: $*"
	[ -t 0 ] && [ -t 1 ] || return 0
	read -r -p "sickbay: install them now? [Y/n] " answer
	case $answer in
	'' | [yY]*) return 0 ;;
	*) return 1 ;;
	esac
}

start_engine() {
	if systemd_runs && systemctl cat docker.service >/dev/null 2>&1; then
		say "starting the docker service"
		systemctl start docker
	else
		say "starting dockerd, its log is $ENGINE_LOG"
		setsid nohup dockerd --default-address-pool "$ADDRESS_POOL" >"$ENGINE_LOG" 2>&1 </dev/null &
	fi
	wait_for 60 "the engine to answer" engine_answers ||
		die "the engine did not answer within a minute. The reason is at the end of $ENGINE_LOG (or: journalctl -u docker)."
}

# by_hand: the exact commands for a person who may do what this script may not.
by_hand() {
	local packages start="sudo docker/engine.sh"
	if systemd_runs; then
		start="sudo systemctl start docker"
	fi
	mapfile -t packages < <(missing_packages)
	warn "no usable engine answers, and this script may not install or start one here. What to type:"
	case $(uname -s)/$(os_field ID)/$(os_field VERSION_CODENAME) in
	Linux/debian/bookworm) start="sudo docker/engine.sh     # installs ${packages[*]:-nothing}, starts the engine" ;;
	Linux/debian/* | Linux/ubuntu/*)
		[ "${#packages[@]}" -eq 0 ] || warn "    sudo apt-get install ${packages[*]}"
		;;
	Linux/*) warn "    install docker (23 or newer) and its compose plugin with your system's packages" ;;
	*) start="install and start Docker Desktop (or any engine that has 'docker compose')" ;;
	esac
	engine_answers || warn "    $start"
	warn "then: make up"
	exit 1
}

# A daemon that runs but does not talk to us is not to be installed again.
refuse_hopeless_states() {
	local reply
	have docker || return 0
	reply=$(docker version 2>&1 >/dev/null || true)
	case $reply in
	*'permission denied'*)
		die "an engine runs, but $(id -un) may not talk to it. Type: sudo usermod -aG docker $(id -un), log out and in again, then: make up"
		;;
	esac
	[ -z "${DOCKER_HOST:-}" ] ||
		die "DOCKER_HOST is $DOCKER_HOST and no engine answers there. Start it, or unset DOCKER_HOST to use this machine's."
}

main() {
	local packages
	if engine_answers && compose_answers; then
		return 0
	fi
	engine_answers || refuse_hopeless_states
	[ "$ENGINE" != never ] || by_hand
	mapfile -t packages < <(missing_packages)
	if [ "${#packages[@]}" -gt 0 ]; then
		may_install || by_hand
		agreed "${packages[@]}" || by_hand
		install_packages "${packages[@]}"
	fi
	if ! engine_answers; then
		is_root || by_hand
		start_engine
	fi
	compose_answers ||
		die "the engine answers, but 'docker compose' does not. Type: docker compose version, and repair what it says."
	say "engine $(docker version --format '{{.Server.Version}}'), compose $(docker compose version --short)"
}

main "$@"
