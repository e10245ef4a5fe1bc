#!/usr/bin/env bash
# bundle.sh FILE: 'make bundle'. What a machine with an engine and without a network needs to hold the workshop,
# in one tar archive of
#   SHA256SUMS       of the two others
#   sickbay.tar.gz   this folder as it is now, without what is ignored by git; it takes its images as given
#   images.tar.zst   the images, under a tag of their own (images.tar.gz where this machine has no zstd)
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

file='' work='' saving='' tagged=() # saving: a process

# clean_up STATUS
clean_up() {
	# What runs in the background hears no Ctrl-C.
	[ -z "$saving" ] || kill "$saving" 2>/dev/null || true
	[ "${#tagged[@]}" -eq 0 ] || docker rmi "${tagged[@]}" >/dev/null 2>&1 || true
	[ -z "$work" ] || rm -rf "$work"
	[ "$1" -eq 0 ] || [ "$1" -eq 130 ] ||
		warn "$file was not written; what failed is above. Where the disk is full: make bundle FILE=/some/other/place.tar"
}

# tag_images TAG: all that there are of the stack's; those of the usual profiles must be.
tag_images() {
	local image
	while read -r image; do
		if docker tag "$image" "${image%:*}:$1" 2>/dev/null; then
			tagged+=("${image%:*}:$1")
		else
			say "without ${image%:*}: it was not built here"
		fi
	done < <(docker compose --profile '*' config --images | sort -u)
}

# copy_tree TAG: what git knows or would take, if git is there; else all but what is made.
copy_tree() {
	mkdir "$work/sickbay"
	if git rev-parse HEAD >/dev/null 2>&1; then
		git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
			[ ! -e "$file" ] || printf '%s\0' "$file"
		done
	else
		find . \( -path ./build -o -path './.bundle.*' -o -path './sickbay-bundle-*.tar' -o -path './profiles/captures/?*' \
			-o -path './profiles/*-room-*' -o -path './tests/*/out' \) \
			-prune -o -type f -print0
	fi | tar -c --null --files-from - | tar -x -C "$work/sickbay"
	sed -i -e "s/^SICKBAY_TAG=.*/SICKBAY_TAG=$1/" -e 's/^SICKBAY_IMAGES=.*/SICKBAY_IMAGES=given/' "$work/sickbay/.env"
	tar -cz -f "$work/sickbay.tar.gz" -C "$work" sickbay
}

size_mib() { du -m "$1" | cut -f 1; }

# save_images FILE: with what has been written so far, on a terminal.
save_images() {
	local status=0 compress=(gzip -1)
	[[ $1 != *.zst ]] || compress=(zstd -q -T0 -3)
	docker save "${tagged[@]}" | "${compress[@]}" >"$1" &
	saving=$!
	while [ -t 1 ] && kill -0 "$saving" 2>/dev/null; do
		printf '\r  %d MiB ' "$(size_mib "$1")"
		sleep 0.5
	done
	[ ! -t 1 ] || printf '\r%20s\r' ''
	wait "$saving" || status=$?
	saving=''
	return "$status"
}

main() {
	local tag images=images.tar.gz
	tag=bundle-$(date +%Y%m%d-%H%M%S)
	file=${1:-sickbay-$tag.tar}
	[ ! -e "$file" ] || die "$file is there already; remove it, or choose another: make bundle FILE=..."
	docker/engine.sh
	COMPOSE_PROFILES=${COMPOSE_PROFILES:+$COMPOSE_PROFILES,}leaks docker/images.sh
	trap 'clean_up "$?"' EXIT
	trap 'exit 130' INT TERM HUP
	work=$(mktemp -d "$(dirname "$file")/.bundle.XXXXXX")
	tag_images "$tag"
	! have zstd || images=images.tar.zst
	say "packing this folder and ${#tagged[@]} images ..."
	copy_tree "$tag"
	save_images "$work/$images"
	# In its place only when it is whole.
	(cd "$work" && sha256sum sickbay.tar.gz "$images" >SHA256SUMS && tar -cf whole SHA256SUMS sickbay.tar.gz "$images")
	mv "$work/whole" "$file"
	cat <<TEXT

$(say "written: $file ($(size_mib "$file") MiB)")
    on the other machine, where it lies, with an engine and make:
             tar -xOf $(basename "$file") sickbay.tar.gz | tar -xz
             cd sickbay
             make load FILE=../$(basename "$file")
             make up

TEXT
}

main "$@"
