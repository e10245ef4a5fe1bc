#!/usr/bin/env bash
# load.sh FILE: 'make load'. The images of a bundle (bundle.sh), into the engine of this machine: once all of the
# file is known to be as it was written.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

sums=$(mktemp)
trap 'rm -f "$sums"' EXIT

# check FILE: every part of it against its sum.
check() {
	local file=$1 sum name found
	while read -r sum name; do
		found=$(tar -xOf "$file" "$name" 2>/dev/null | sha256sum | cut -d ' ' -f 1) || found=
		[ "$found" = "$sum" ] ||
			die "$file is damaged: $name in it is not what was put there. Copy it again; nothing was loaded."
		parts+=("$name")
	done <"$sums"
}

main() {
	local file=$1 parts=() begun=$SECONDS
	[ -n "$file" ] || die "which file? As in: make load FILE=../sickbay-bundle.tar"
	[ -r "$file" ] || die "$file cannot be read. Is that its path from here, $PWD?"
	docker/engine.sh
	tar -xOf "$file" SHA256SUMS >"$sums" 2>/dev/null || true
	[ -s "$sums" ] ||
		die "$file is not a bundle, or its beginning is damaged. Copy it again, or make one: make bundle"
	say "comparing $file with its checksums ..."
	check "$file"
	say "loading the images ..."
	tar -xOf "$file" "${parts[-1]}" | docker load ||
		die "the engine did not take the images; what it says is above. 'make doctor' looks at disk and engine."
	say "loaded ($((SECONDS - begun)) s)"
	if images_are_given; then
		say "next: make up"
	else
		say "this folder builds its own images. Those that were loaded belong to the bundle's: tar -xOf $file sickbay.tar.gz | tar -xz"
	fi
}

main "${1:-}"
