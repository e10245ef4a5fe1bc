#!/usr/bin/env bash
# Makes sure that the library of the desk's charts is in build/assets/uplot, from where the desk's image takes
# it: as a module, with its style. Where npm does not answer, the stack has the one from before, or does
# without: the page says so, and the next 'make up' tries again.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

OUT=build/assets/uplot

main() {
	local package=build/npm/uplot
	if ! docker/npm.sh uplot; then
		if [ -d "$OUT" ]; then
			warn "the desk's charts stay as they were before; everything else is new. 'make up' tries again."
		else
			warn "the desk's charts will be missing; everything else works. 'make up' tries again."
		fi
		return
	fi
	mkdir -p "$OUT"
	# The small one of its files sets a variable: that is what the module has to give.
	{
		cat "$package/dist/uPlot.iife.min.js"
		printf '\nexport default uPlot;\n'
	} >"$OUT/uplot.js"
	cp "$package/dist/uPlot.min.css" "$OUT/uplot.css"
	cp "$package/LICENSE" "$OUT/"
}

main "$@"
