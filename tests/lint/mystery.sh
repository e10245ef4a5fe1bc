#!/usr/bin/env bash
# A mystery's sources compile, say nothing that the lessons' do, and are the same for the same seed. The
# seeds are such that every fault is met, alone or with another.
set -euo pipefail
cd "$(dirname "$0")/../.."

generate=workshop/instructor/mystery/generate
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=0

complain() {
	echo "seed $seed: $*"
	bad=1
}

# telling FAULT: what nobody may read.
telling() { awk -v fault="$1" '$1 == fault { for (i = 1; i <= NF; i++) print $i }' workshop/instructor/mystery/names; }

met=
for seed in 1 2 3 4 5 6 42; do
	"$generate" "$seed" . "$scratch/one"
	"$generate" "$seed" . "$scratch/two"
	diff -r "$scratch/one" "$scratch/two" >/dev/null || complain "two trees differ"
	while IFS=$'\t' read -r kind _ name; do
		[ "$kind" = fault ] || continue
		met+=" ${name%.c}"
		if telling "${name%.c}" | grep -r -n -w -F -f - "$scratch/one/services/app/faults"; then
			complain "that tells that it is ${name%.c}"
		fi
	done <"$scratch/one/key"
	if grep -r -n -E 'FAULT:|Step [0-9]' "$scratch/one/services/app/faults" | grep -v /none.c; then
		complain "that is a comment of the lessons"
	fi
	for file in "$scratch"/one/services/app/faults/*.c; do
		gcc -std=gnu17 -D_GNU_SOURCE -I"$scratch/one/services" -Wall -Wextra -Werror -fsyntax-only "$file" || complain "${file##*/} does not compile"
	done
	rm -rf "$scratch/one" "$scratch/two"
done

while read -r fault _; do
	grep -q -w "$fault" <<<"$met" || { echo "no seed here has $fault: add one" && bad=1; }
	[ -f "services/app/faults/$fault.c" ] || { echo "workshop/instructor/mystery/names: there is no fault $fault" && bad=1; }
done < <(grep -v '^#' workshop/instructor/mystery/names)
exit "$bad"
