#!/usr/bin/env bash
# The tree works on any machine: no path of one person's machine, no address of a package or image
# registry or mirror. Sources are taken from what the machine itself is set up with (docker/lib.sh).
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

# PATTERN<tab>SENTENCE. Written with a bracket in each, so that this file does not find itself.
rules() {
	printf '%s\t%s\n' \
		'(^|[^A-Za-z0-9_.$/-])/(h[o]me|U[s]ers)/[A-Za-z0-9]' 'a path of one machine.' \
		'(^|[^A-Za-z0-9_.$/-])/(w[o]rk|w[o]rkspace|b[u]ilds)/[A-Za-z0-9]' 'a path of one machine.' \
		'://(d[e]b|f[t]p|s[e]curity|s[n]apshot|a[r]chive|p[o]rts|c[d]n|m[i]rrors?)[.-]' 'the host of a package mirror; take the one the machine is set up with.' \
		'://([a-z0-9-]+\.)*(d[e]bian\.(org|net)/debian|u[b]untu\.com/ubuntu)' 'a package mirror; take the one the machine is set up with.' \
		'(r[e]gistry|p[r]oxy|i[n]dex|f[i]les)\.(npmjs|yarnpkg|golang|docker|crates|pypi|pythonhosted)' 'the host of a package registry.' \
		'(d[o]cker|g[h]cr|q[u]ay|g[c]r|l[s]cr)\.io/' 'the host of an image registry; name images without one.' \
		'(m[c]r\.microsoft|p[u]blic\.ecr\.aws|pkg\.d[e]v/)' 'the host of an image registry; name images without one.'
}

# What git knows or would take, if git is there; else everything but what is made.
tree() {
	if [ -d .git ] && command -v git >/dev/null && git -c safe.directory='*' rev-parse HEAD >/dev/null 2>&1; then
		git -c safe.directory='*' ls-files -z --cached --others --exclude-standard
	else
		find . \( -path ./.git -o -path ./build -o -path './profiles/captures/?*' -o -name node_modules \) -prune \
			-o -type f -printf '%P\0'
	fi
}

status=0
files=$(mktemp)
trap 'rm -f "$files"' EXIT
tree >"$files"
while IFS=$'\t' read -r pattern sentence; do
	found=$(xargs -0 -r grep -s -n -I -H -o -E -e "$pattern" <"$files" || true)
	[ -z "$found" ] && continue
	status=1
	while IFS=: read -r file line text; do
		echo "$file:$line: \"${text# }\" is $sentence"
	done <<<"$found"
done < <(rules)
exit "$status"
