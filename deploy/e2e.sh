#!/usr/bin/env bash
# The end-to-end test on the highest level that this machine carries, with bin/localkube built before. What failed is said
# once more at the end, because the rest is long.
set -euo pipefail
cd "$(dirname "$0")/.."
build=(env CGO_ENABLED=0 go build -trimpath -buildvcs=false)
level=$(bin/localkube level)

case "$level" in 3*) bin/localkube deps ;; esac
case "$level" in [23]*) bin/localkube build ;; esac
"${build[@]}" -ldflags "-s -w" -o bin/ ./cmd/trimtab ./cmd/modelserver
"${build[@]}" -tags crashpoints -o bin/trimtab-crash ./cmd/trimtab

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export CGO_ENABLED=0
cd deploy/localkube
run() {
	go test -count=1 -v "$@" 2>&1 | tee "$log" && return
	echo "== What failed"
	grep -A2 -E '^ *[a-z_]+_test\.go:[0-9]+: |^panic: |^ *--- FAIL' "$log" | cut -c1-400 | tail -n 80
	exit 1
}
case "$level" in 3*) run -timeout 15m -tags cluster . ;; esac
run -timeout 60m -tags e2e ./e2e
