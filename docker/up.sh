#!/usr/bin/env bash
# make up: from whatever this machine is to a healthy stack. Idempotent: what is there is kept, what
# changed is built anew.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

# port_of SERVICE PORT: where it is found on this machine.
port_of() { docker compose port "$1" "$2" 2>/dev/null | sed 's/.*://'; }

# start_stack SERVICE...
start_stack() {
	say "waiting for the stack to be healthy (at most 60 s) ..."
	if ! docker compose up --detach --wait --wait-timeout 60 --no-build "$@"; then
		docker compose ps --all >&2 || true
		docker compose logs --tail=20 >&2 || true
		die "the stack did not become healthy. Its last words are above; 'make doctor' looks at the machine."
	fi
}

# start_recorder: for the desk; the stack is well without it.
start_recorder() {
	local said
	docker image inspect "sickbay-recorder:$(setting SICKBAY_TAG dev)" >/dev/null 2>&1 || return 0
	warn_of_recorder
	said=$(docker compose --progress quiet up --detach --no-deps --no-build recorder 2>&1) ||
		warn "the kernel is not recorded: $(explain_recorder "$said"). Everything else works."
}

farewell() {
	local app pprof desk
	app=$(port_of anchor 6060)
	pprof=$(port_of anchor 9000)
	desk=$(port_of desk 8000)
	cat <<TEXT

The patient is up.
    open     http://127.0.0.1:$desk/                       the desk: captures, and the viewer of traces
             http://127.0.0.1:$app/debug/pprof/           the patient's profiles
    type     make shell                                   the toolbox: pprof, lsof, strace, gdb, ...
    try      curl 'http://127.0.0.1:$app/goto?step=2'         the patient now burns CPU
             curl http://127.0.0.1:$app/                      (5 seconds)
    see      pprof -http=:9000 'http://localhost:6060/debug/pprof/profile?seconds=10'
             in the toolbox, then open http://127.0.0.1:$pprof/
    after    make reset, make down

TEXT
}

main() {
	local services
	docker/engine.sh
	workshop/instructor/doctor.sh --quick
	docker/images.sh
	open_captures
	mapfile -t services < <(stack_services)
	start_stack "${services[@]}"
	! has_recorder || start_recorder
	farewell
}

main "$@"
