#!/usr/bin/env bash
# What can be said about the sources without running them. Each check is one line; a failed one is
# followed by what it found. Runs in the dev image: 'make lint'.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob globstar

passed=0 failed=0

# check NAME COMMAND...
check() {
	local name=$1 log
	shift
	log=$(mktemp)
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $name"
	else
		failed=$((failed + 1))
		echo "FAIL  $name"
		sed 's/^/      /' "$log"
	fi
	rm -f "$log"
}

c_files() { find services tests -name '*.c' -o -name '*.h'; }

# Shell scripts by name, and those without one by their first line.
shell_files() {
	find . -type f \( -name '*.sh' -o -path './workshop/labs/*' -o -perm -u+x \) ! -path './.git/*' ! -path './build/*' ! -path './profiles/*' |
		while read -r file; do
			if head -c 64 "$file" | head -n 1 | grep -q -a -E '^#!.*\b(ba)?sh\b|^# shellcheck shell='; then
				echo "$file"
			fi
		done
}

format() {
	local file status=0
	for file in $(c_files); do
		clang-format --dry-run -Werror "$file" 2>/dev/null || { echo "$file" && status=1; }
	done
	return "$status"
}

scripts() { shell_files | xargs -r shellcheck --external-sources; }

analyse() {
	[ -n "$(find services -name '*.c')" ] || return 0
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=identicalInnerCondition \
		-Iservices -j "$(nproc)" services
}

# syntax COMPILER FILE: what depends on the processor must compile for both.
syntax() {
	"$1" -std=gnu17 -D_GNU_SOURCE -Iservices -Wall -Wextra -Werror -fsyntax-only "$2"
}

compiler_of() {
	if [ "$(uname -m)" = "$1" ]; then echo gcc; else echo "${1/_/-}-linux-gnu-gcc"; fi
}

check 'format (make format repairs it)' format
check 'shell scripts' scripts
check 'cppcheck' analyse
for processor in x86_64 aarch64; do
	for file in services/**/*_"$processor".c; do
		check "$file compiles for its processor" syntax "$(compiler_of "$processor")" "$file"
	done
done
for script in tests/lint/*; do
	[ -x "$script" ] && [ -f "$script" ] && check "$script" "$script"
done

echo "lint: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
