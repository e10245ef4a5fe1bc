#!/usr/bin/env bash
# mystery.sh SEED REVEAL STOP: 'make mystery'. Gives the running stack a patient that nobody has met: one or two
# faults of the lessons under neutral names, chosen by SEED. REVEAL tells what it has; STOP brings the
# lessons' patient back.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. docker/lib.sh

SERVICES=(app toolbox desk)
anew=()

need_compiler() { docker image inspect "$image" >/dev/null 2>&1 || build_images compiler; }

# The lessons as they were handed out, whatever is edited here: those of the last commit, or of the image that came
# with a bundle.
handed_out() {
	git archive HEAD Makefile services 2>/dev/null ||
		docker run --rm --network none --cap-drop ALL "$image" tar -c -C /src/sickbay Makefile services
}

# make_tree: the sources of this seed's case, made once, and whole or not at all.
make_tree() {
	local made
	[ ! -d "$tree" ] || return 0
	need_compiler
	mkdir -p "${tree%/*}"
	made=$(mktemp -d "$tree.XXXXXX")
	mkdir "$made/lessons"
	handed_out | tar -x -C "$made/lessons"
	workshop/instructor/mystery/generate "$seed" "$made/lessons" "$made/tree"
	lessons >"$made/tree/lessons"
	mv -T "$made/tree" "$tree" 2>/dev/null || true # somebody else was first with the same
	rm -rf "$made"
}

# lessons: which they are.
lessons() { git rev-parse HEAD:services 2>/dev/null || docker image inspect --format '{{.Id}}' "$image"; }

# forget_old: a case made of other lessons.
forget_old() {
	[ ! -d "$tree" ] || [ "$(lessons)" = "$(cat "$tree/lessons" 2>/dev/null)" ] || rm -rf "$tree"
}

compile() {
	local log
	[ ! -x "$tree/build/app" ] || return 0
	# A container of an older case holds what was in the folder before, also where the last try ended half-way.
	anew=(--force-recreate)
	need_compiler
	log=$(mktemp)
	say "compiling the case of seed $seed (once) ..."
	mkdir -p "$tree/build"
	# What it makes comes by the standard output: a container without capabilities cannot write into the folder of
	# whoever typed this.
	if ! tar -c -C "$tree" Makefile services | docker run --rm -i --network none --cap-drop ALL --tmpfs /out "$image" \
		sh -c "{ $(cat workshop/verify/compile.sh)
			} >&2
			cat /out/app" compile build/app app >"$tree/build/app.new" 2>"$log"; then
		cat "$log" >&2
		rm -f "$log"
		die "the case of seed $seed could not be compiled. What failed is above."
	fi
	rm -f "$log"
	chmod 755 "$tree/build/app.new"
	mv "$tree/build/app.new" "$tree/build/app"
	# The patient's user reads it, whoever made it. gdb warns of sources that are younger than the program.
	chmod -R a+rX "$tree"
	find "$tree/services" -exec touch -r "$tree/build/app" {} +
}

# recreate COMPOSE-FILE...: the patient and what shows its sources.
recreate() {
	local log files=()
	for file; do files+=(-f "$file"); done
	log=$(mktemp)
	if ! docker compose "${files[@]}" up --detach --wait --wait-timeout 60 --no-build --no-deps "${anew[@]}" "${SERVICES[@]}" >"$log" 2>&1; then
		cat "$log" >&2
		die "the patient did not start. What failed is above; 'make up' brings the lessons' patient back."
	fi
	rm -f "$log"
}

reveal() {
	make_tree
	awk -F '\t' -v seed="$seed" '
	BEGIN { printf "The case of seed %s: services/app/faults/\n", seed }
	$1 == "fault" { printf "\n    %-20s %s of the lessons\n", $2, $3 }
	$1 == "name" { printf "        %-20s %s\n", $2, $3 }' "$tree/key"
}

stage() {
	is_running toolbox ||
		die "the stack is not up. Type: make up"
	forget_old
	make_tree
	compile
	MYSTERY_TREE=$tree recreate compose.yaml workshop/instructor/mystery/compose.yaml
	cat <<TEXT

The patient has the case of seed $seed: step 1, made of one or two faults of the lessons under other names.
    tell     attendees that shells in the toolbox ended: make shell opens a new one
    well     make reset makes it well (step 0), curl 'http://localhost:6060/goto?step=1' ill again
    know     make mystery SEED=$seed REVEAL=1 tells what it has
    after    make mystery STOP=1 brings the lessons' patient back

TEXT
}

main() {
	local reveal=$2 stop=$3
	seed=$1
	if [ -n "$stop" ]; then
		recreate compose.yaml
		say "the lessons' patient is back, at step $(setting APP_STEP 0)"
		return
	fi
	[[ $seed =~ ^[A-Za-z0-9_-]{1,32}$ ]] ||
		die "SEED is '$seed'; it must be up to 32 letters, digits, - or _, as in: make mystery SEED=42"
	tree=$PWD/build/mystery/$seed
	image=sickbay-compiler:$(setting SICKBAY_TAG dev)
	if [ -n "$reveal" ]; then
		reveal
	else
		stage
	fi
}

main "$@"
