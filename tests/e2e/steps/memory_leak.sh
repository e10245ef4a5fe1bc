# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 3: the heap profile's inuse_space, and ps.

# What the fixed variant keeps (one request's buffer, reused) is no leak.
plausible_memory_leak='^leak_memory holds [0-9]+ MB$'
sign_memory_leak='^leak_memory holds ([3-9][0-9]|[0-9]{3,}) MB$'

# profile_bytes INDEX FUNCTION PATH: the cumulative bytes of FUNCTION in a heap profile.
profile_bytes() {
	toolbox 'pprof -top -unit=B -nodefraction=0 -sample_index="$1" "http://localhost:6060/debug/pprof/$2" 2>&1' "$1" "$3" |
		awk -v function_name="$2" '
			/^Type: / { is_profile = 1 }
			$6 == function_name { bytes = int($4) }
			END { if (!is_profile) exit 1; printf "%d\n", bytes }'
}

# source_number NAME: of a constant in the fault's source.
source_number() { sed -n "s/^#define $1 \\([0-9]*\\).*/\\1/p" services/app/faults/memory_leak.c; }

# capacity COUNT: the buffer's after that many requests: doubled until all of it fits.
capacity() {
	local wanted=$(($1 * $(source_number REQUEST_BYTES))) bytes
	bytes=$(source_number FIRST_CAPACITY_BYTES)
	while [ "$bytes" -lt "$wanted" ]; do bytes=$((2 * bytes)); done
	echo "$bytes"
}

provoke_memory_leak() { hello 4; }
observe_memory_leak() {
	echo "leak_memory holds $(($(profile_bytes inuse_space leak_memory heap) / 1000000)) MB"
}

test_memory_leak_inuse_is_the_buffers_capacity() { # STEP
	local made=0 count bytes
	goto_step "$1"
	for count in 1 3 12; do
		hello $((count - made))
		made=$count
		bytes=$(capacity "$count")
		expect_between "$(profile_bytes inuse_space leak_memory heap)" $((bytes * 9 / 10)) $((bytes * 11 / 10)) \
			"inuse_space of leak_memory after $count requests"
	done
	expect_match "$(toolbox 'pprof -list leak_memory http://localhost:6060/debug/pprof/heap 2>&1')" \
		'[0-9]MB +[0-9]+:.*grow_buffer\(buffer\.len_bytes' 'the listing'
	goto_step 0
	expect_equal "$(profile_bytes inuse_space leak_memory heap)" 0 'inuse_space of leak_memory after leaving'
}

test_memory_leak_ps_shows_it_grow_and_shrink() { # STEP
	local before after_six
	goto_step 0
	before=$(rss_mb)
	goto_step "$1"
	# Up to twice the buffer: the ones it grew out of are still tcmalloc's.
	hello 6
	after_six=$(rss_mb)
	expect_between "$after_six" $((before + 50)) $((before + 140)) 'MB resident after 6 requests'
	hello 6
	expect_between "$(rss_mb)" $((after_six + 40)) $((before + 270)) 'MB resident after 12 requests'
	goto_step 0
	within 1 is_back_at "$before" || fail "$(rss_mb) MB resident after leaving, $before before"
}

is_back_at() { [ "$(rss_mb)" -le "$(($1 + 30))" ]; }
