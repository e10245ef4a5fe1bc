# shellcheck shell=bash
# shellcheck disable=SC2016 # expanded in the toolbox
# A mystery on the running stack: it is ill as its seed says, under the names of its key, and goes again.

mystery() { COMPOSE_PROJECT_NAME=$STACK make mystery "$@"; }

# here NAME: what the lessons' NAME is called in this case.
here() { awk -F '\t' -v name="$1" '$3 == name { print $2 }' "build/mystery/$seed/key"; }

test_mystery_is_solved_by_a_profile_and_goes_again() {
	local seed=1 seen guilty
	mystery SEED="$seed"
	within 20 healthy || fail 'the patient does not answer'
	guilty=$(here start_threads)
	[ -n "$guilty" ] || fail "seed $seed is no thread leak any more; choose one that is"
	toolbox 'for i in 1 2 3; do curl -sS --max-time 2 -o /dev/null localhost:6060/ & done; wait' || true
	seen=$(toolbox 'pprof -top -cum -lines http://localhost:6060/debug/pprof/threadcreate 2>&1')
	expect_match "$seen" " $guilty services/app/faults/[a-z]+\\.c:[0-9]+" 'the profile of births'
	expect_no_match "$seen" 'start_threads|thread_leak' 'the profile of births'
	# The sources beside it are the case's own.
	expect_match "$(toolbox "pprof -list $guilty http://localhost:6060/debug/pprof/threadcreate 2>&1")" 'pthread_create' 'its source'
	expect_match "$(mystery SEED="$seed" REVEAL=1)" "$guilty +start_threads" 'what is revealed'
	expect_match "$(COMPOSE_PROJECT_NAME=$STACK make reset HARD=1 2>&1 || true)" 'First: make mystery STOP=1$' 'a reset that would take half of it'
	mystery STOP=1
	goto_step 2
	expect_match "$(get /goto)" '^/goto\?step=7 ' "the lessons' patient"
}

patient() { docker inspect --format '{{.Id}}' "$(container app)"; }

test_mystery_of_other_lessons_is_made_anew() {
	local seed=1 before
	mystery SEED="$seed"
	before=$(patient)
	mystery SEED="$seed"
	expect_equal "$(patient)" "$before" 'the patient of the same lessons'
	echo others >"build/mystery/$seed/lessons"
	mystery SEED="$seed"
	[ "$(patient)" != "$before" ] || fail 'the patient is still the old one'
	before=$(patient)
	rm -r "build/mystery/$seed" # as a try leaves it that was killed before it compiled
	mystery SEED="$seed"
	[ "$(patient)" != "$before" ] || fail 'the patient is still that of the folder that is gone'
	mystery STOP=1
}

test_mystery_refuses_nonsense() {
	local said
	said=$(mystery SEED='../x' 2>&1) && fail 'a path was taken for a seed'
	expect_match "$said" 'must be up to 32 letters' 'the refusal'
}
