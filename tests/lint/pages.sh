#!/usr/bin/env bash
# What the pages name is there: files and folders of ours by their path, and the verbs of make. What stands
# in a comment, for the tests of a page, is no part of it.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

status=0
complain() {
	echo "$1"
	status=1
}

while read -r page; do
	text=$(sed 's/<!--.*-->//' "$page")
	while read -r path; do
		[ -e "$path" ] || complain "$page: there is no $path."
	done < <(grep -o -w -E '(docker|services|tests|workshop|profiles)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' <<<"$text" | sort -u)
	while read -r verb; do
		grep -q "^$verb:.* ## " Makefile || complain "$page: there is no 'make $verb'."
	done < <(grep -o -E '(`|^\$ |=[^ ]* )make [a-z0-9-]+' <<<"$text" | sed 's/.*make //' | sort -u)
done < <(printf '%s\n' README.md profiles/README.md; find workshop -name '*.md' | sort)
exit "$status"
