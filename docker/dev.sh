#!/usr/bin/env bash
# dev.sh SERVICE COMMAND...: runs COMMAND in the dev (or bench) image, the sources mounted at the path
# they are compiled at. Builds the image when it is not up to date. The host needs only the engine.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

compose() { docker compose --project-directory . -f docker/dev.compose.yaml -p sickbay-dev "$@"; }

build_image() {
	local log
	! images_are_given || die "this is the folder of a bundle, which has no $1 image: tests and the like need a network, and SICKBAY_IMAGES=built"
	log=$(mktemp)
	docker image inspect "sickbay-$1:${SICKBAY_TAG:-dev}" >/dev/null 2>&1 ||
		say "building the $1 image (about a minute, once) ..." >&2
	if ! compose build "$1" >"$log" 2>&1; then
		cat "$log" >&2
		die "the $1 image could not be built. What failed is above."
	fi
	rm -f "$log"
}

main() {
	local service=$1
	shift
	docker/engine.sh
	docker/base-image.sh
	build_image "$service"
	DEV_UID=$(id -u) DEV_GID=$(id -g)
	export DEV_UID DEV_GID
	compose run --rm --quiet-pull -T \
		-e "SICKBAY_STRESS=${SICKBAY_STRESS:-}" "$service" "$@"
}

main "$@"
