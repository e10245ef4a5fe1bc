#!/usr/bin/env bash
# The desk's pages in a real browser. Two desks are started, one of them with a patient, the other without
# one and without the viewer's engine, with a network of their own that leads nowhere; the browser shares
# it. All of it is gone afterwards.
#
#   ONLY=pattern    tests whose name matches
#   TRACE=file      the trace to look at, instead of a small one that is made for it
#   PICTURES=1      those of the texts, workshop/pictures, are made anew
# Screenshots are in tests/browser/out.
set -euo pipefail
cd "$(dirname "$0")/../.."

OUT=tests/browser/out
TAG='test'
NAME=sickbay-browser-$$

say() { echo "browser: $*"; }

tear_down() { docker rm --force --volumes "$NAME" "$NAME-without" "$NAME-patient" >/dev/null 2>&1 || true; }

# start_desk NAME PORT [OPTION]...
start_desk() {
	docker run --detach --name "$1" --init --read-only --tmpfs /tmp --cap-drop ALL --user 10001:10001 \
		--env "DESK_LISTEN=127.0.0.1:$2" --env DESK_PROGRESS=/tmp/progress --volume "$PWD/$OUT/captures:/captures" "${@:3}" "sickbay-desk:$TAG" >/dev/null
}

build_images() {
	local log
	log=$(mktemp)
	if ! SICKBAY_TAG=$TAG docker compose -p sickbay-browser build app desk >"$log" 2>&1; then
		cat "$log" >&2
		say "the images could not be built. What failed is above."
		echo 'browser: 0 passed, 1 failed'
		exit 1
	fi
	rm -f "$log"
}

main() {
	local trace=$OUT/captures/request.pftrace
	rm -rf "$OUT"
	mkdir -p "$OUT/captures"
	chmod 1777 "$OUT/captures" # the desks write there, and they are another user
	trap tear_down EXIT
	trap 'exit 130' INT TERM HUP
	build_images
	if [ -n "${TRACE:-}" ]; then
		trace=$OUT/captures/$(basename "$TRACE")
		cp "$TRACE" "$trace"
	else
		docker/dev.sh browser node tests/trace/fixture.mjs "$trace"
	fi
	chmod a+r "$trace"
	start_desk "$NAME" 8000 --network none --env 'DESK_PORTS={"9000": 20012}'
	start_desk "$NAME-without" 8001 --network "container:$NAME" --env DESK_VIEWER=/nonexistent \
		--env DESK_PATIENT=http://127.0.0.1:1
	# A test kills it: as the same user, in the same PID namespace, whose first process is not the patient.
	docker run --detach --name "$NAME-patient" --init --cap-drop ALL --network "container:$NAME" \
		--user "$(id -u):$(id -g)" "sickbay-app:$TAG" sh -c 'while :; do sickbay-app; sleep 3; done' >/dev/null
	BROWSER_NETWORK=container:$NAME BROWSER_PID=container:$NAME-patient docker/dev.sh browser env "TRACE=$trace" "ONLY=${ONLY:-}" \
		DESK=http://localhost:8000 DESK_WITHOUT=http://localhost:8001 \
		PATIENT=http://localhost:6060 "PICTURES=${PICTURES:-}" node tests/browser/main.mjs
	if [ -n "${PICTURES:-}" ]; then
		# 98: one was as small already.
		docker/dev.sh browser sh -c \
			'pngquant --force --ext .png --skip-if-larger workshop/pictures/*.png || [ $? -eq 98 ]'
	fi
}

main
