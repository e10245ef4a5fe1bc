#!/usr/bin/env bash
# Builds the recorder's image; where that cannot be done it says what is missing, and ends with 1.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

main() {
	local log reason
	! images_are_given || die "the kernel cannot be recorded: the recorder's image was not in the bundle. Everything else works."
	log=$(mktemp)
	say "building the recorder's image (a minute the first time) ..."
	if ! docker compose --progress plain --profile kernel-trace build recorder >"$log" 2>&1; then
		reason=$(sed -n 's/.*[0-9.]* sid-perfetto: //p' "$log" | tail -n 1)
		[ -n "$reason" ] || tail -n 20 "$log" >&2
		rm -f "$log"
		die "the kernel cannot be recorded, the recorder's image was not built: ${reason:-what failed is above}. Everything else works."
	fi
	rm -f "$log"
}

main "$@"
