-- For wrk: one line for a script instead of a report for a person.
-- REQUESTS REQUESTS_PER_SECOND P99_US ERRORS
done = function(summary, latency)
	local errors = summary.errors
	io.write(string.format("figures %d %.1f %d %d\n", summary.requests,
		summary.requests * 1e6 / summary.duration, latency:percentile(99),
		errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
