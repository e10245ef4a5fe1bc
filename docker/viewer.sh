#!/usr/bin/env bash
# Makes sure that the viewer's engine is in build/viewer, from where the desk's image takes it. Where
# it cannot be made, since npm does not answer or an image is missing, the stack has the one from before,
# or does without: the viewer's page says so, and the next 'make up' tries again.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

MADE=build/viewer.made

main() {
	local sources
	sources=$(cat docker/npm/packages docker/viewer/patch.mjs | sha256sum)
	if [ -d build/viewer ] && [ "$(cat "$MADE" 2>/dev/null)" = "$sources" ]; then
		return
	fi
	if ! docker/npm.sh perfetto-ui ||
		! docker/dev.sh npm node docker/viewer/patch.mjs build/npm/perfetto-ui build/viewer; then
		if [ -d build/viewer ]; then
			warn "the viewer of traces stays as it was before; everything else is new. 'make up' tries again."
		else
			warn "the viewer of traces will be missing; everything else works. 'make up' tries again."
		fi
		return
	fi
	echo "$sources" >"$MADE"
}

main "$@"
