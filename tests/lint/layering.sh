#!/usr/bin/env bash
# Who may include whom. Downwards only:
#
#     app (programs) ─→ debug ─→ diag, trace ─→ probe ─→ common
#                  ├──→ debug ─→ http ──────────────────→ common
#                  └──→ client ─────────────────────────→ common
#
# diag and trace do not know each other, nor http. recorder is a program on common alone. A fault knows
# its contract, the emitters of the trace, client and common: never the profilers, never another fault.
# h2o stays inside http, libcurl inside client, protobuf-c inside the encoders. A private header
# (internal.h, *_internal.h, or one that says "Private to FOLDER") stays in its folder. Generated headers
# (proto/) count as protobuf-c.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

# shellcheck disable=SC2016 # the dollars are awk's
find services -name '*.[ch]' -o -name '*.def' | sort | xargs -r awk '
function complain(why) {
	printf "%s:%d: includes %s; %s\n", FILENAME, FNR, header, why
	bad = 1
}

BEGIN {
	allowed["common"] = "common"
	allowed["probe"] = "probe common"
	allowed["diag"] = "diag probe common"
	allowed["trace"] = "trace probe common"
	allowed["http"] = "http common"
	allowed["client"] = "common"
	allowed["debug"] = "debug diag trace probe http common"
	allowed["recorder"] = "common"
	allowed["programs"] = "debug diag trace probe http client common"
	allowed["fault"] = "common trace client"
	# Private headers by their own words. Read before any rule: the order of files is no matter.
	for (i = 1; i < ARGC; i++) {
		if (ARGV[i] !~ /\.h$/)
			continue
		name = ARGV[i]
		sub(/^services\//, "", name)
		if (name ~ /(^|[\/_])internal\.h$/)
			private[name] = 1
		at_line = 0
		while ((getline line < ARGV[i]) > 0 && ++at_line <= 40)
			if (line ~ /Private to /)
				private[name] = 1
		close(ARGV[i])
	}
}

FNR == 1 {
	split(FILENAME, path, "/")
	folder = path[2]
	layer = folder in allowed ? folder : "programs"
	in_fault = layer == "programs" && path[3] == "faults"
}

/^[ \t]*#[ \t]*include[ \t]/ {
	header = $0
	sub(/^[ \t]*#[ \t]*include[ \t]*[<"]/, "", header)
	sub(/[>"].*/, "", header)
	quoted = $0 ~ /include[ \t]*"/

	if (header ~ /^h2o(\.h|\/)/ && folder != "http")
		complain("only services/http knows libh2o.")
	if (header ~ /^curl\// && folder != "client")
		complain("only services/client knows libcurl.")
	if (header ~ /protobuf-c|\.pb-c\.h$/ && FILENAME !~ /^services\/((diag|trace)\/[a-z_]*encode[a-z_]*\.[ch]|recorder\/(births|reencode)\.c)$/)
		complain("protobuf-c stays inside the encoders, *encode* of diag and trace, and the two files of recorder that read what they write.")
	if (!quoted) {
		if (header ~ /^gperftools\// && folder !~ /^(diag|common)$/ && !in_fault)
			complain("only diag, common and faults know gperftools.")
		next
	}
	if (header ~ /\.pb-c\.h$/)
		next
	if (index(header, "/") == 0) {
		complain("write the folder as well: \"" folder "/" header "\".")
		next
	}
	split(header, to, "/")
	if (header in private && to[1] != folder)
		complain("that header is private to services/" to[1] ".")
	if (in_fault) {
		if (header != folder "/fault.h" && index(" " allowed["fault"] " ", " " to[1] " ") == 0)
			complain("a fault includes \"" folder "/fault.h\", trace, client and common only.")
	} else if (to[1] != folder && index(" " allowed[layer] " ", " " to[1] " ") == 0) {
		complain("services/" folder " may include " (layer == "programs" ? "" : "only ") allowed[layer] ".")
	}
}

END { exit bad }
'
