#!/usr/bin/env bash
# npm.sh NAME...: makes sure that packages of docker/npm/packages are in build/npm/NAME. What is there
# is kept; the rest is fetched in a container, with this machine's proxies and certificates: the host
# needs no npm.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

is_there() { cmp -s "build/npm/$1/.fetched" <(grep " $1 " docker/npm/packages); }

# certificates: the file of those that this machine trusts, for networks that inspect TLS.
certificates() {
	local file
	for file in "${NODE_EXTRA_CA_CERTS:-}" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem; do
		if [ -n "$file" ] && [ -r "$file" ]; then
			echo "$file"
			return
		fi
	done
}

main() {
	local name missing=()
	for name in "$@"; do
		is_there "$name" || missing+=("$name")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "fetching from npm: ${missing[*]}"
	mkdir -p build/npm
	SICKBAY_CA=$(certificates)
	export SICKBAY_CA
	docker/dev.sh npm docker/npm/fetch "${missing[@]}"
}

main "$@"
