# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# The desk: what it costs while nobody looks, and what it refuses.

# desk_cpu_s: what it has used so far.
desk_cpu_s() { toolbox 'curl -sS --max-time 5 desk:8000/metrics' | awk '$1 == "process_cpu_seconds_total" { print $2 }'; }

# desk_kib: the memory that the engine counts as its container's. Pages of libraries, which all containers
# share, are not among it; they are in what the desk's /metrics call resident.
desk_kib() { docker stats --no-stream --format '{{.MemUsage}}' "$(container desk)" | sed 's/iB.*//' | numfmt --from=iec --to-unit=1024; }

# A desk that was just started: nobody has opened it, or taken a capture.
test_desk_idles() {
	local begun cpu_s passed_ms
	stack_up idle
	begun=$(now_ms)
	cpu_s=$(desk_cpu_s)
	sleep 10 # what is measured is what it does in that time
	passed_ms=$(($(now_ms) - begun))
	expect_between "$(awk -v now="$(desk_cpu_s)" -v before="$cpu_s" -v passed_ms="$passed_ms" \
		'BEGIN { print int(100000 * 1000 * (now - before) / passed_ms) }')" 1 999 'CPU, in 1/1000 %'
	expect_between "$(desk_kib)" 1000 40000 'KiB of memory'
	stack_down
}

# desk_status PATH [CURL-OPTION...]: of the desk by the name HOST, or one of its own; the path as it is
# written.
desk_status() {
	toolbox 'curl -sS --max-time 5 --path-as-is -o /dev/null -w "%{http_code}" -H "Host: $2" "${@:3}" "desk:8000$1"' \
		"$1" "${HOST:-localhost}" "${@:2}"
}

test_desk_refuses_other_names() {
	local path
	for path in / /events /vitals /metrics /captures/x /pprof/x/top /source?file=services/app/main.c /nothing; do
		expect_equal "$(HOST=evil.example desk_status "$path")" 421 "$path by another name"
	done
	expect_equal "$(HOST=evil.example desk_status /patient/reset -H 'Sec-Fetch-Site: same-origin' -d '')" 421 'a POST by another name'
	expect_equal "$(desk_status /)" 200 'the page by its own'
}

test_desk_refuses_other_pages() {
	local path
	for path in /patient/goto /patient/reset /patient/requests /capture/take /capture/cancel /capture/delete /capture/rename; do
		expect_equal "$(desk_status "$path" -d 'x=y')" 403 "POST $path of nobody's"
		expect_equal "$(desk_status "$path" -H 'Sec-Fetch-Site: cross-site' -d 'x=y')" 403 "POST $path of another page"
		expect_equal "$(desk_status "$path")" 405 "GET $path"
	done
	for path in /patient/threads /pprof/x/top /debug/pprof/profile; do
		expect_equal "$(desk_status "$path" -H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: no-cors')" 403 "$path within another page"
	done
}

test_desk_refuses_paths_that_escape() {
	local path
	for path in /captures/../../etc/passwd /captures/%2e%2e/%2e%2e/etc/passwd /captures/..%2f..%2fetc%2fpasswd \
		/pprof/..%2f..%2fetc%2fpasswd/top /pprof/../etc/passwd /assets/../../../etc/passwd; do
		expect_match "$(desk_status "$path")" '^40[034]$' "$path"
	done
	toolbox 'ln -s /etc/passwd /captures/e2e-link.pb.gz'
	path=$(desk_status /captures/e2e-link.pb.gz)
	toolbox 'rm /captures/e2e-link.pb.gz'
	expect_equal "$path" 404 'a link that leads out'
	expect_match "$(desk_post /capture/delete 'name=../captures/.gitkeep')" '^There is no capture' 'deleting'
	expect_match "$(desk_post /capture/take 'kind=heap&name=../x')" '^A name has letters' 'taking'
	expect_equal "$(desk_status '/source?file=../../etc/passwd')" 400 'the source'
}

# A small bound, and a patient whose address nobody has any more.
test_desk_is_bounded_and_sees_who_is_gone() {
	local port
	stack_up bounded DESK_CAPTURES_MAX_MIB=1
	port=$(published 8000 desk)
	chmod 1777 profiles/captures
	toolbox 'head -c 1M /dev/zero >/captures/e2e-large.bin'
	# shellcheck disable=SC2064 # as it is now
	trap "rm -f $PWD/profiles/captures/e2e-large.bin" EXIT
	expect_match "$(desk_post /capture/take 'kind=heap&name=e2e-refused')" '"name":"e2e-refused-' 'what was asked for'
	within 5 desk_tells "$port" '"kept":false,"reason":"The captures fill all of the 1 MiB that they may \(DESK_CAPTURES_MAX_MIB\)' ||
		fail 'nobody is told that it was refused'
	! compgen -G 'profiles/captures/e2e-refused-*' || fail 'it was kept'
	[ -e profiles/captures/e2e-large.bin ] || fail 'something was deleted to make room'
	docker stop --time 1 "$(container anchor)" >/dev/null
	within 3 desk_tells "$port" '"up":false,.*"health":"down"' || fail 'the desk does not see that the patient is gone'
	stack_down
}
