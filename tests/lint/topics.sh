#!/usr/bin/env bash
# The topics of a suite are read into one shell: a function that two of them have would be the last one's.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

bad=0
while read -r name; do
	echo "$name is defined twice:"
	grep -n "^$name" tests/e2e/lib.sh tests/e2e/[0-9]*.sh tests/e2e/steps/*.sh | sed 's/^/  /; s/() .*/()/'
	bad=1
done < <(grep -ho '^[a-z0-9_]*()' tests/e2e/lib.sh tests/e2e/[0-9]*.sh tests/e2e/steps/*.sh | sort | uniq -d)
exit "$bad"
