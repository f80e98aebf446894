#!/usr/bin/env bash
# Prints a table of what a program costs that imports one Go SDK and nothing else: how many modules it downloads into an empty cache, their
# size, the lines of its go.sum, and the modules in its graph. The other SDKs have fixed versions and come from the network, so this is
# not part of the tests. docs/sdk.md has the table.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
own=$(sed -nE 's|^[[:space:]]*github.com/harmont-dev/harmont-billing/client (v[^ ]+)$|\1|p' go.mod)
go run ./internal/release proxy "$work/proxy" "$own"

measure() { # NAME MODULE VERSION PACKAGE
  local dir cache=$work/cache
  dir=$(mktemp -d -p "$work")
  chmod -R u+w "$cache" 2>/dev/null || true
  rm -rf "$cache"
  (
    cd "$dir"
    export GOMODCACHE=$cache GOWORK=off GOFLAGS=-mod=mod GONOSUMDB='github.com/harmont-dev/*' CGO_ENABLED=0
    GOPROXY=file://$work/proxy,$(go env GOPROXY)
    export GOPROXY
    printf 'package main\n\nimport _ "%s"\n\nfunc main() {}\n' "$4" >main.go
    {
      go mod init example.com/importer
      go get "$2@$3"
      go mod tidy
      go build -o /dev/null .
    } >log 2>&1 || { cat log >&2; exit 1; }
    zips=$(find "$cache/cache/download" -name '*.zip' | grep -c . || true)
    bytes=$(find "$cache/cache/download" -name '*.zip' -printf '%s\n' | awk '{ n += $1 } END { print n }')
    lines=$(grep -c . go.sum)
    graph=$(go list -m all | grep -c .)
    echo "| $1 $3 | $zips | $(awk -v n="$bytes" 'BEGIN { printf "%.1f MB", n / 1e6 }') | $lines | $graph |"
  )
}

echo '| SDK | Modules to download | Size | Lines of go.sum | Modules in the graph |'
echo '|---|---|---|---|---|'
measure harmont-billing/client github.com/harmont-dev/harmont-billing/client "$own" github.com/harmont-dev/harmont-billing/client
measure stripe-go github.com/stripe/stripe-go/v85 v85.0.0 github.com/stripe/stripe-go/v85
measure go-github github.com/google/go-github/v90 v90.0.0 github.com/google/go-github/v90/github
measure openai-go github.com/openai/openai-go/v3 v3.99.0 github.com/openai/openai-go/v3
