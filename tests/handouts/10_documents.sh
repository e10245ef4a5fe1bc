# shellcheck shell=bash
# Each document with executable blocks is a test: what it prints is what its commands say.
# shellcheck source-path=SCRIPTDIR source=document.sh
. tests/handouts/document.sh

# Work files of an attendee are none of ours.
export SICKBAY_CAPTURES=./$OUT/captures
export TEST_SECONDS=1800 TEST_LINES=400

cannot_be_read() { commands_of "$1"; }

while read -r document; do
	commands=$(commands_of "$document" 2>/dev/null) || add "$document" cannot_be_read "$document"
	[ -z "$commands" ] || add "$document ($(wc -l <<<"$commands") commands)" run_document "$document"
done < <(printf '%s\n' README.md profiles/README.md; find workshop -name '*.md' | sort)
