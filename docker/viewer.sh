#!/usr/bin/env bash
# Makes sure that the viewer's engine is in build/viewer, from where the desk's image takes it. Where
# npm does not answer the stack does without: the viewer's page says so, and the next 'make up' tries
# again.
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
	if ! docker/npm.sh perfetto-ui; then
		warn "the viewer of traces will be missing; everything else works. 'make up' tries again."
		return
	fi
	docker/dev.sh npm node docker/viewer/patch.mjs build/npm/perfetto-ui build/viewer ||
		die "the viewer could not be made of the npm package. What failed is above."
	echo "$sources" >"$MADE"
}

main "$@"
