#!/usr/bin/env bash
# Makes sure that the base images exist on this machine: debian:SUITE-slim for each SUITE named
# (default: the two of .env). Idempotent, and needs no registry:
#   present  -> used
#   else     -> pulled, where a registry answers within PULL_PATIENCE seconds
#   else     -> made from Debian's packages, from the mirror of this machine's own apt sources
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

PULL_PATIENCE=${PULL_PATIENCE:-15}
PULL_LIMIT=${PULL_LIMIT:-300}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# pull IMAGE: bounded in time twice: for the registry's first word, and for the whole.
pull() {
	local image=$1 log=$work/pull.log pid deadline
	say "waiting for a registry to answer for $image (at most $PULL_PATIENCE s) ..."
	timeout "$PULL_LIMIT" docker pull "$image" >"$log" 2>&1 &
	pid=$!
	deadline=$((SECONDS + PULL_PATIENCE))
	while kill -0 "$pid" 2>/dev/null; do
		if grep -q -E 'Pulling fs layer|Already exists|Digest:' "$log"; then
			say "pulling $image (at most $PULL_LIMIT s) ..."
			break
		fi
		if [ "$SECONDS" -ge "$deadline" ]; then
			kill "$pid" 2>/dev/null || true
			break
		fi
		sleep 0.2
	done
	wait "$pid" 2>/dev/null
}

need_mmdebstrap() {
	have mmdebstrap && return 0
	if ! is_root || ! have apt-get; then
		die "no registry answers, and mmdebstrap, which makes base images from Debian's packages, is missing. Type: sudo apt-get install mmdebstrap, then: make up"
	fi
	say "installing mmdebstrap, to make base images from Debian's packages"
	install_quietly -- mmdebstrap
}

# write_apt_conf FILE: what a container needs of this machine's apt settings to reach the same mirror:
# its proxy (unless it is on this machine's loopback) and whether old release files are accepted.
write_apt_conf() {
	{
		echo 'APT::Install-Recommends "false";'
		echo 'Acquire::Languages "none";'
		apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date) ' |
			grep -v -E 'localhost|127\.0\.0\.1|\[::1\]' || true
	} >"$1"
}

# write_dpkg_conf FILE: manual pages, translations and the like have no reader in a container.
write_dpkg_conf() {
	printf '%s\n' 'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/info/*' \
		'path-exclude=/usr/share/doc/*' 'path-include=/usr/share/doc/*/copyright' \
		'path-exclude=/usr/share/locale/*' 'path-exclude=/usr/share/lintian/*' >"$1"
}

# make_rootfs SUITE OUT.tar: a small Debian, merged /usr, with its own apt ready to use.
make_rootfs() {
	local suite=$1 out=$2 dir=$work/$1
	mkdir -p "$dir"
	debian_sources "$suite" >"$dir/sources"
	write_apt_conf "$dir/apt.conf"
	write_dpkg_conf "$dir/dpkg.conf"
	# shellcheck disable=SC2016 # mmdebstrap expands "$1" in its hooks
	mmdebstrap --quiet --variant=minbase --include=usr-is-merged \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
		--aptopt="$dir/apt.conf" --dpkgopt="$dir/dpkg.conf" \
		--customize-hook='rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*' \
		--customize-hook="upload '$dir/sources' /etc/apt/sources.list.d/debian.sources" \
		--customize-hook="upload '$dir/apt.conf' /etc/apt/apt.conf.d/50sickbay" \
		--customize-hook="upload '$dir/dpkg.conf' /etc/dpkg/dpkg.cfg.d/50sickbay" \
		--customize-hook='rm -rf "$1"/var/cache/apt/*.bin "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/var/cache/debconf/*-old' \
		"$suite" "$out" "$dir/sources"
}

make_image() {
	local suite=$1 image=$2 begun=$SECONDS log=$work/$1.log
	say "making $image from Debian's packages (about 30 s) ..."
	if ! make_rootfs "$suite" "$work/$suite.tar" >"$log" 2>&1; then
		cat "$log" >&2
		die "mmdebstrap could not make $image. Repair what it says above and try again."
	fi
	docker import --change 'CMD ["bash"]' "$work/$suite.tar" "$image" >/dev/null
	rm -f "$work/$suite.tar"
	say "made $image in $((SECONDS - begun)) s"
}

# make_images SUITE...: side by side, each takes one core.
make_images() {
	local suite pid pids=() failed=0
	need_mmdebstrap
	[ -n "$(debian_sources "$1")" ] ||
		die "no registry answers, and this machine's apt sources name no mirror of its own release. Add one to /etc/apt, or load the images: docker load < images.tar"
	for suite in "$@"; do
		make_image "$suite" "debian:$suite-slim" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	return "$failed"
}

main() {
	local suite to_make=()
	! images_are_given || return 0
	[ "$#" -gt 0 ] ||
		set -- "$(setting SICKBAY_DEBIAN bookworm)" "$(setting SICKBAY_DEBIAN_TOOLS trixie)"
	for suite in "$@"; do
		image_exists "debian:$suite-slim" && continue
		# After one registry did not answer, a second wait would teach nothing new.
		if [ "${#to_make[@]}" -gt 0 ] || ! pull "debian:$suite-slim"; then
			to_make+=("$suite")
		fi
	done
	[ "${#to_make[@]}" -eq 0 ] || make_images "${to_make[@]}"
}

main "$@"
