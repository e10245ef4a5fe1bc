#!/usr/bin/env bash
# A bundle, and the workshop from it: in an engine that has never seen anything, in a network namespace that leads
# nowhere, from a folder that came out of the bundle. Needs root and dockerd on this machine; the images of this
# tree are built first, all else is removed again.
#
#   KEEP=1    leave what was made in its folder, and say where that is
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# An engine keeps its state in short paths: those of its sockets may have 107 bytes.
work=$(mktemp -d /tmp/bundle-test.XXXXXX)
bundle=$work/bundle.tar
engine_pid=
passed=0 failed=0

export COMPOSE_PROGRESS=plain
unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES DOCKER_HOST

tear_down() {
	trap '' INT TERM HUP
	[ ! -d "$work/sickbay" ] || there docker compose --profile '*' down --volumes --timeout 1 >/dev/null 2>&1
	if [ -n "$engine_pid" ]; then
		kill "$engine_pid" 2>/dev/null
		wait "$engine_pid" 2>/dev/null
	fi
	umount "$work/small" 2>/dev/null
	if [ -n "${KEEP:-}" ]; then
		echo "bundle: left in $work"
	else
		rm -rf "$work"
	fi
}

fail() {
	printf 'not as expected: %s\n' "$*" >&2
	exit 1
}

expect() { grep -q -E -e "$2" <<<"$1" || { tail -n 30 <<<"$1" && fail "nothing matches /$2/"; }; }

# there COMMAND...: as on the other machine: its engine, its network, its folder.
there() {
	nsenter --net="/proc/$engine_pid/ns/net" env -C "$work/sickbay" -u SICKBAY_TAG DOCKER_HOST="unix://$work/docker.sock" "$@" </dev/null
}

# ---- the other machine -----------------------------------------------------------------------------

engine_answers() { there docker version >/dev/null 2>&1; }

# start_engine: dockerd with nothing, in a network of its own that has nothing but a loopback.
start_engine() {
	local deadline=$((SECONDS + 60))
	mkdir -p "$work/sickbay"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --net sh -c 'ip link set lo up && exec dockerd --data-root "$1/data" --exec-root "$1/exec" \
		--pidfile "$1/pid" --containerd-namespace "$2" --containerd-plugins-namespace "$2-plugins" --host "unix://$1/docker.sock" --default-address-pool base=10.211.0.0/16,size=26' \
		engine "$work" "${work##*/}" >"$work/engine.log" 2>&1 &
	engine_pid=$!
	until engine_answers; do
		[ "$SECONDS" -lt "$deadline" ] || { tail -n 20 "$work/engine.log" && fail 'the engine does not answer'; }
		sleep 0.3
	done
}

# ---- tests -----------------------------------------------------------------------------------------

test_bundle_is_written() {
	make --no-print-directory bundle FILE="$bundle" || fail 'no bundle'
	expect "$(tar -tf "$bundle")" '^SHA256SUMS$'
	[ "$(tar -tf "$bundle" | wc -l)" -eq 3 ] || fail 'it has other parts'
	[ -z "$(docker images --quiet --filter 'reference=sickbay-*:bundle-*')" ] || fail 'tags are left'
	ls -l --block-size=M "$bundle"
}

test_full_disk_leaves_no_half_file() {
	local said
	mkdir "$work/small"
	mount -t tmpfs -o size=20m small "$work/small" || fail 'no small disk'
	said=$(make --no-print-directory bundle FILE="$work/small/b.tar" 2>&1) && fail 'it fitted into 20 MiB'
	expect "$said" 'b\.tar was not written; what failed is above\. Where the disk is full: '
	[ -z "$(ls -A "$work/small")" ] || fail "something is left: $(ls -A "$work/small")"
	umount "$work/small"
}

test_unpacked_folder_knows_what_it_lacks() {
	tar -xOf "$bundle" sickbay.tar.gz | tar -xz -C "$work" || fail 'it cannot be unpacked'
	expect "$(there make --no-print-directory up 2>&1)" '^FAIL  images +they are to be given, and are not there$'
}

test_damaged_bundle_is_refused() {
	local size said
	size=$(stat -c %s "$bundle")
	head -c $((size * 2 / 3)) "$bundle" >"$work/damaged.tar"
	said=$(there make --no-print-directory load FILE="$work/damaged.tar" 2>&1) && fail 'a part of it was taken'
	expect "$said" 'is damaged: [a-z.]+ in it is not what was put there\. Copy it again; nothing was loaded\.$'
	cp "$bundle" "$work/damaged.tar"
	printf x | dd of="$work/damaged.tar" bs=1 seek=$((size / 2)) conv=notrunc status=none
	said=$(there make --no-print-directory load FILE="$work/damaged.tar" 2>&1) && fail 'a changed one was taken'
	expect "$said" 'is damaged: images\.tar\.[a-z]+ in it '
	head -c 300 "$bundle" >"$work/damaged.tar"
	said=$(there make --no-print-directory load FILE="$work/damaged.tar" 2>&1) && fail 'its beginning was taken'
	expect "$said" 'is not a bundle, or its beginning is damaged'
	rm "$work/damaged.tar"
	[ -z "$(there docker images --quiet)" ] || fail 'something was loaded'
}

test_up_from_it_without_a_network() {
	local said
	said=$(there make --no-print-directory load FILE="$bundle" 2>&1) || { echo "$said" && fail 'it was not loaded'; }
	expect "$said" '^sickbay: next: make up$'
	there ping -c 1 -W 1 192.0.2.1 >/dev/null 2>&1 && fail 'there is a network'
	said=$(there make --no-print-directory up 2>&1) || { echo "$said" && fail 'it is not up'; }
	expect "$said" '^The patient is up\.$'
	if grep -E 'building|pulling|fetching' <<<"$said"; then fail 'it did not take what was given'; fi
}

test_step_is_diagnosed_there() {
	there docker compose exec -T toolbox curl -fsS http://desk:8000/healthz 'http://localhost:6060/goto?step=6' http://localhost:6060/
	expect "$(there docker compose exec -T toolbox pprof -top http://localhost:6060/debug/pprof/fd 2>&1)" ' create_files$'
	# shellcheck disable=SC2016 # expanded in the toolbox
	expect "$(there docker compose exec -T toolbox bash -c 'lsof -p $APP_PID')" '/sickbay-file-'
	expect "$(there make --no-print-directory reset 2>&1)" '^sickbay: step 0; '
	expect "$(there make --no-print-directory leak PAIR=file COMPARE=1 2>&1)" 'Open file descriptors'
}

test_changed_tree_is_compiled_and_judged_there() {
	local said
	said=$(there make --no-print-directory verify STEP=3 2>&1) && fail 'it was well all the time'
	expect "$said" '^sickbay: compiled \('
	expect "$said" '^sickbay: not yet: '
}

test_mystery_is_compiled_and_staged_there() {
	local said
	said=$(there make --no-print-directory mystery SEED=1 2>&1) || { echo "$said" && fail 'no mystery'; }
	expect "$said" '^The patient has the case of seed 1:'
	expect "$(there docker compose exec -T toolbox curl -fsS http://localhost:6060/goto)" '^step 1'
	expect "$(there make --no-print-directory mystery STOP=1 2>&1)" "^sickbay: the lessons' patient is back"
}

# ---- running ---------------------------------------------------------------------------------------

run_test() {
	local begun=$SECONDS
	if (set -e; "test_$1") >"$work/$1.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $1 ($((SECONDS - begun)) s)"
	else
		failed=$((failed + 1))
		echo "FAIL  $1 ($((SECONDS - begun)) s)"
		tail -n 60 "$work/$1.log" | sed 's/^/      /'
	fi
}

main() {
	local test tests
	trap tear_down EXIT
	trap 'exit 130' INT TERM HUP
	start_engine
	mapfile -t tests < <(sed -n 's/^test_\([a-z0-9_]*\)() .*/\1/p' tests/nightly/bundle.sh)
	for test in "${tests[@]}"; do
		run_test "$test"
	done
	echo "bundle: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

main
