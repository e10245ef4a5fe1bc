# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by 10_steps.sh
# Step 4: nothing is kept, so that only alloc_space shows it. Uses profile_bytes of memory_leak.sh.

plausible_memory_alloc='^allocate_memory allocated [0-9]+ MB$'
# The fixed variant allocates once.
sign_memory_alloc='^allocate_memory allocated [0-9]{3} MB$'
requests_memory_alloc=12

provoke_memory_alloc() { :; }
# The requests are made inside of the window: alloc_space itself never shrinks.
observe_memory_alloc() {
	toolbox_background "sleep 0.5; for i in \$(seq $requests_memory_alloc); do curl -s localhost:6060/ >/dev/null; done"
	echo "allocate_memory allocated $(($(profile_bytes alloc_space allocate_memory 'allocs?seconds=5') / 1000000)) MB"
}

test_memory_alloc_only_alloc_space_shows_it() { # STEP
	local before vars_before count=12 bytes=10000000
	goto_step "$1"
	before=$(profile_bytes alloc_space allocate_memory heap)
	vars_before=$(vars .memstats.TotalAlloc)
	hello "$count"
	expect_between "$(($(profile_bytes alloc_space allocate_memory heap) - before))" \
		$((count * bytes * 85 / 100)) $((count * bytes * 115 / 100)) "alloc_space of allocate_memory after $count requests"
	expect_equal "$(profile_bytes inuse_space do_some_business_logic heap)" 0 'inuse_space of do_some_business_logic'
	expect_between "$(($(vars .memstats.TotalAlloc) - vars_before))" \
		$((count * bytes * 85 / 100)) $((count * bytes * 130 / 100)) 'TotalAlloc of /debug/vars grew by'
	goto_step 0
}
