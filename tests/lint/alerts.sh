#!/usr/bin/env bash
# Prometheus' settings and alert rules are well-formed, and each alert tells a leak from what is none
# (tests/alerts).
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

if ! command -v promtool >/dev/null; then
	echo "promtool is missing; type: sudo apt-get install prometheus"
	echo "(which starts a server, too; where it is not wanted: sudo systemctl disable --now prometheus)"
	exit 1
fi
promtool check config docker/prometheus/prometheus.yml
promtool test rules tests/alerts/*.yml
