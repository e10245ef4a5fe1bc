#!/usr/bin/env bash
# host-packages.sh PACKAGE...: checks that this machine can build the patient without containers;
# prints the one line that repairs it where it cannot. PACKAGEs are pkg-config's names.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

# debian_name PKG: the Debian package that carries pkg-config's PKG.
debian_name() {
	case $1 in
	libh2o-evloop) echo libh2o-evloop-dev ;;
	openssl) echo libssl-dev ;;
	libprotobuf-c) echo libprotobuf-c-dev ;;
	zlib) echo zlib1g-dev ;;
	libdw) echo libdw-dev ;;
	libcurl) echo libcurl4-openssl-dev ;;
	*) echo "$1" ;;
	esac
}

main() {
	local missing=() name
	have gcc || missing+=(gcc libc6-dev)
	have pkg-config || missing+=(pkg-config)
	have protoc-c || missing+=(protobuf-c-compiler)
	for name in "$@"; do
		have pkg-config && pkg-config --exists "$name" || missing+=("$(debian_name "$name")")
	done
	# gperftools' profiler has a .pc file of the same name in every release we know.
	have pkg-config && pkg-config --exists libprofiler || missing+=(libgoogle-perftools-dev)
	[ "${#missing[@]}" -gt 0 ] || return 0
	warn "to build here, type: sudo apt-get install ${missing[*]}"
	case " ${missing[*]} " in
	*' libh2o-evloop-dev '*) warn "(libh2o-evloop-dev is in Debian 12; elsewhere use 'make up')" ;;
	esac
	exit 1
}

main "$@"
