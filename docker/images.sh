#!/usr/bin/env bash
# Makes sure that the images of the stack are there and up to date.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

main() {
	local services
	! images_are_given || return 0
	docker/base-image.sh
	docker/viewer.sh
	docker/charts.sh
	mapfile -t services < <(stack_services)
	build_images "${services[@]}"
	# After the others, none of which fails where it cannot be built.
	! has_recorder || docker/recorder-image.sh || true
}

main "$@"
