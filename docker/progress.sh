#!/usr/bin/env bash
# progress.sh RESET: 'make progress'. Which labs have been answered and which are mended; where RESET is not
# empty, all of that is forgotten.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

main() {
	if [ -n "$1" ]; then
		ask_desk /labs/forget --data ''
		return
	fi
	ask_desk /labs/progress | docker compose exec -T toolbox jq -r '
		["lab", "answered", "mended"], (.labs | to_entries[] |
			[.key, (.value.answered, .value.verified | if . then "yes" else "-" end)]) | @tsv' |
		awk -F '\t' '{ printf "%-32s %-10s %s\n", $1, $2, $3 }'
}

main "${1:-}"
