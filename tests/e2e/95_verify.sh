# shellcheck shell=bash
# make verify, answer and progress. Each tests/verify/NN-*.sed changes a copy of this tree: NN-honest mends a
# lab, NN-cheat-* only seems to. What a cheat is caught by is in its second line. With NIGHTLY=1 all of them;
# else those of a few labs.

VERIFY_TREE=build/$E2E_PROJECT-tree # not among the tests: they are looked at by lint

# make_in_tree SCRIPT ARGUMENT...: what it says, and its status. The stack under test is the workshop it is beside.
make_in_tree() { COMPOSE_PROJECT_NAME=$E2E_PROJECT "$VERIFY_TREE/$1" "${@:2}" 2>&1; }

copy_tree() {
	rm -rf "$VERIFY_TREE"
	mkdir -p "$VERIFY_TREE"
	cp -r .env Makefile compose.yaml docker services workshop "$VERIFY_TREE/"
}

# change CHANGE: by tests/verify/CHANGE.sed, whose first line has the file.
change() {
	local script=tests/verify/$1.sed file
	file=$(sed -n '1s/^# \([^:]*\):.*/\1/p' "$script")
	sed -i -f "$script" "$VERIFY_TREE/$file"
	! cmp -s "$file" "$VERIFY_TREE/$file" || fail "$script does not change $file any more"
}

# verify LAB: 'make verify' of the copied tree; what it says.
verify() {
	case $1 in
	08) make_in_tree workshop/verify/run.sh '' file ;;
	09) make_in_tree workshop/verify/run.sh '' http ;;
	*) make_in_tree workshop/verify/run.sh "${1#0}" '' ;;
	esac
}

nothing_is_left() {
	local of="label=com.docker.compose.project=$E2E_PROJECT-verify"
	[ -z "$(docker ps --all --quiet --filter "$of" && docker volume ls --quiet --filter "$of" && docker network ls --quiet --filter "$of")" ]
}

verify_passes() { # LAB CHANGE
	local said
	copy_tree
	change "$2"
	said=$(verify "$1") || { show "$said"; fail "$2 is mended, but verify does not say so"; }
	show "$said"
	expect_no_match "$said" '^not yet '
	expect_match "$said" "^sickbay: mended: $1-"
	nothing_is_left || fail 'verify left something standing'
}

verify_fails() { # LAB REGEX [CHANGE]
	local said
	copy_tree
	[ -z "${3:-}" ] || change "$3"
	! said=$(verify "$1") || { show "$said"; fail "verify takes it for mended"; }
	show "$said"
	expect_match "$said" "^not yet +($2) "
	expect_match "$said" '^sickbay: not yet: '
	nothing_is_left || fail 'verify left something standing'
}

# untouched LAB: what of it is not yet as it should be.
untouched() {
	case $1 in
	01 | 02) echo 'requests answered in time' ;;
	03) echo 'memory \(RSS\), in MiB' ;;
	04) echo 'bytes asked of the allocator' ;;
	05) echo 'threads' ;;
	06) echo 'files of requests, open' ;;
	07 | 09) echo 'responses that upstream has open' ;;
	08) echo 'descriptors' ;;
	esac
}

add_verify() { # LAB: all of it
	local script name
	add "verify_$1_untouched_is_not_mended" verify_fails "$1" "$(untouched "$1")"
	for script in tests/verify/"$1"-*.sed; do
		name=$(basename "$script" .sed)
		case $name in
		*-honest) add "verify_${name//-/_}_passes" verify_passes "$1" "$name" ;;
		*) add "verify_${name//-/_}_is_caught" verify_fails "$1" "$(sed -n '2s/^# caught by: //p' "$script")" "$name" ;;
		esac
	done
}

if [ -n "${NIGHTLY:-}" ]; then
	for lab in 01 02 03 04 05 06 07 08 09; do add_verify "$lab"; done
else
	add verify_06_untouched_is_not_mended verify_fails 06 "$(untouched 06)"
	add verify_06_honest_passes verify_passes 06 06-honest
	for name in 03-cheat-exec 06-cheat-stub 06-cheat-supervisor; do
		add "verify_${name//-/_}_is_caught" verify_fails "${name%%-*}" "$(sed -n '2s/^# caught by: //p' "tests/verify/$name.sed")" "$name"
	done
fi

test_verify_shows_what_the_compiler_says() {
	local said
	copy_tree
	sed -i 's/^static int create_files.*/&nonsense/' "$VERIFY_TREE/services/app/faults/fd_leak.c"
	! said=$(verify 06) || fail 'it compiles'
	expect_match "$said" '^services/app/faults/fd_leak\.c:[0-9]+:.* error: '
	expect_match "$said" '^sickbay: your tree does not compile\.'
	expect_no_match "$said" '^  CC '
	nothing_is_left || fail 'verify left something standing'
}

test_verify_is_alone_and_interrupted_leaves_nothing() {
	copy_tree
	set -m
	verify 06 >/dev/null &
	set +m
	within 60 stands || fail 'nothing was started'
	expect_match "$(verify 06 || true)" "^sickbay: another 'make verify' of this workshop is under way"
	kill -INT -- "-$!"
	wait "$!" || true
	nothing_is_left || fail 'verify left something standing'
}
stands() { [ -n "$(docker ps --quiet --filter "name=^$E2E_PROJECT-verify-app-1\$")" ]; }

test_verify_refusals_are_sentences() {
	copy_tree
	expect_match "$(make_in_tree workshop/verify/run.sh 0 '')" '^sickbay: there is nothing to mend in step 0'
	expect_match "$(make_in_tree workshop/verify/run.sh 8 '' || true)" "^sickbay: STEP is '8'; it must be 0 to 7"
	expect_match "$(make_in_tree workshop/verify/run.sh '' x || true)" "^sickbay: PAIR is 'x'; it must be file or http"
	expect_match "$(make_in_tree workshop/verify/run.sh 3 file || true)" '^sickbay: STEP is '
}

# ---- answers and progress ------------------------------------------------------------------------

desk_says() { COMPOSE_PROJECT_NAME=$E2E_PROJECT "docker/$1.sh" "${@:2}" 2>&1; }
progress_of() { desk_says progress | awk -v lab="$1" '$1 == lab { print $2, $3 }'; }

test_answer_right_and_wrong() {
	local wrong
	desk_says progress 1
	wrong=$(desk_says answer 3 '' main cpu) && fail 'a wrong answer is taken'
	expect_match "$wrong" '^That is not it, or not all of it'
	expect_equal "$(desk_says answer 3 '' leak_memory cpu || true)" "$wrong" 'with the function alone'
	expect_equal "$(desk_says answer 3 '' main memory || true)" "$wrong" 'with the resource alone'
	expect_equal "$(progress_of 03-it-grows)" '- -' 'progress'
	expect_match "$(desk_says answer 3 '' 'leak_memory()' Memory)" '^Right\.$'
	expect_match "$(desk_says answer '' file write_log_file 'File Descriptors')" '^Right\.$'
	expect_equal "$(progress_of 03-it-grows)" 'yes -' 'progress'
	expect_match "$(desk_says answer 9 '' a b || true)" "^sickbay: STEP is '9'; it must be 0 to 7"
	expect_match "$(desk_says answer 3 '' a '' || true)" '^sickbay: RESOURCE is missing'
}

test_progress_survives_a_killed_desk_and_another_container() {
	desk_says progress 1
	desk_says answer 3 '' leak_memory memory
	docker kill "$(container desk)"
	compose up --detach --wait --wait-timeout 60 --no-build --force-recreate desk
	expect_equal "$(progress_of 03-it-grows)" 'yes -' 'progress'
	desk_says progress 1
	expect_equal "$(progress_of 03-it-grows)" '- -' 'progress when it was forgotten'
}
