#!/usr/bin/env bash
# make metrics: Prometheus beside the running stack, with our alert rules.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

build_image() {
	local log
	! images_are_given || return 0
	log=$(mktemp)
	say "building Prometheus' image (half a minute the first time) ..."
	if ! docker compose --progress plain build prometheus >"$log" 2>&1; then
		cat "$log" >&2
		die "Prometheus' image could not be built. What failed is above."
	fi
	rm -f "$log"
}

farewell() {
	local port
	port=$(docker compose port prometheus 9090 | sed 's/.*://')
	cat <<TEXT

Prometheus is up.
    open     http://127.0.0.1:$port/classic/alerts        who leaks, and which profile says where
             http://127.0.0.1:$port/classic/targets       whom it asks; what is not up is down
             http://127.0.0.1:$port/classic/graph?g0.range_input=5m&g0.tab=0&g0.expr=app_files_open
    wait     for some 70 s of a leak, before it is told of
    after    docker compose stop prometheus; make down ends it with the stack

TEXT
}

main() {
	is_running anchor ||
		die "the stack is not up. Type: make up"
	docker/base-image.sh
	build_image
	docker compose up --detach --wait --wait-timeout 60 --no-build --no-deps prometheus ||
		die "Prometheus did not start; why is above. Where its port is taken: SICKBAY_PORT_PROMETHEUS=19090 make metrics"
	farewell
}

main "$@"
