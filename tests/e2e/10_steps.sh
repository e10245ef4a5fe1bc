# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# What must be true of every fault, generated from the registry (services/app/faults.def). A fault
# tells how it is recognised in steps/<its name>.sh, and has no other place to do so:
#
#   provoke_NAME     makes the requests: the same ones for the faulty and for the fixed variant
#   observe_NAME     prints what the tool shows that a person would use; its argument is 'briefly'
#                    where nothing is to be seen
#   sign_NAME        regular expression: the fault is there
#   plausible_NAME   regular expression: the tool has seen the patient at all
#   test_*           what more there is to say; becomes stepN_NAME_*
#
# A fault without that file fails the suite.

# registry: a line "STEP NAME" for each fault, its name spelled with underscores.
registry() {
	local step=0 symbol
	while read -r symbol; do
		awk -v step="$step" -v begin="^const struct fault $symbol = " '
			$0 ~ begin { inside = 1 }
			inside && /^\t\.name = "/ {
				split($0, part, "\"")
				gsub(" ", "_", part[2])
				print step, part[2]
				inside = 0
			}' services/app/faults/*.c
		step=$((step + 1))
	done < <(sed -n 's/^FAULT(\(.*\))$/\1/p' services/app/faults.def)
}

# has_sign TEXT NAME WHAT
has_sign() {
	local -n sign=sign_$2
	expect_match "$1" "$sign" "$3"
}

has_no_sign() {
	local -n unwanted=sign_$2 plausible=plausible_$2
	expect_match "$1" "$plausible" "$3"
	expect_no_match "$1" "$unwanted" "$3"
}

shows_then_vanishes() { # STEP NAME
	local seen
	goto_step "$1"
	"provoke_$2"
	seen=$("observe_$2")
	has_sign "$seen" "$2" "what the tool shows in step $1"
	goto_step 0
	seen=$("observe_$2" briefly)
	has_no_sign "$seen" "$2" 'what the tool shows after leaving'
}

fixed_never_shows() { # STEP NAME
	local seen
	goto_step "$1" fixed
	"provoke_$2"
	seen=$("observe_$2" briefly)
	has_no_sign "$seen" "$2" "what the tool shows of the fixed variant"
	goto_step 0
}

# The same requests in a step that is ill of something else: a sign that showed there would show anything.
another_step_never_shows() { # STEP NAME
	local seen another=4
	[ "$1" -ne 4 ] || another=5
	goto_step "$another"
	"provoke_$2"
	seen=$("observe_$2" briefly)
	has_no_sign "$seen" "$2" "what the tool shows of step $another"
	goto_step 0
}

has_no_signature() { # STEP NAME
	fail "step $1 has no signature: write tests/e2e/steps/$2.sh, as 10_steps.sh says"
}

# The patient tells the same list as the sources.
registry_is_what_goto_lists() {
	local listed
	listed=$(get /goto | sed -n 's/^\/goto?step=\([0-9]*\)  \(.*[^ ]\) \{2,\}.*/\1 \2/p' | while read -r step name; do echo "$step ${name// /_}"; done)
	expect_equal "$listed" "$(registry)" 'the list of /goto'
}

add_step() { # STEP NAME
	local file=tests/e2e/steps/$2.sh function prefix=step$1_$2
	if [ ! -f "$file" ]; then
		add "${prefix}_has_a_signature" has_no_signature "$1" "$2"
		return
	fi
	# shellcheck source=/dev/null
	. "$file"
	if declare -F "observe_$2" >/dev/null; then
		add "${prefix}_shows_then_vanishes" shows_then_vanishes "$1" "$2"
		add "${prefix}_fixed_never_shows" fixed_never_shows "$1" "$2"
		add "${prefix}_another_step_never_shows" another_step_never_shows "$1" "$2"
	elif [ "$1" -ne 0 ]; then
		add "${prefix}_has_a_signature" has_no_signature "$1" "$2"
	fi
	while read -r function; do
		add "${prefix}_${function#test_"$2"_}" "$function" "$1"
	done < <(sed -n "s/^\\(test_$2_[a-z0-9_]*\\)() .*/\\1/p" "$file")
}

add registry_is_what_goto_lists registry_is_what_goto_lists
while read -r step name; do
	add_step "$step" "$name"
done < <(registry)
