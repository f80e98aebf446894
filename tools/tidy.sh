#!/bin/sh
# Runs go mod tidy for the root module, with the folder client in place of the version that go.mod requires, which may not be released
# yet. With -diff, it prints what it would change and fails.
set -eu
cd "$(dirname "$0")/.."

client=github.com/harmont-dev/harmont-billing/client
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp go.mod "$work/go.mod"
# A module that is replaced by a folder has no checksums.
grep -v "^$client " go.sum >"$work/go.sum"
go mod edit -replace="$client=./client" "$work/go.mod"
GOWORK=off go mod tidy -modfile="$work/go.mod" "$@"
if [ $# -eq 0 ]; then
  go mod edit -dropreplace="$client" "$work/go.mod"
  grep "^$client " go.sum >>"$work/go.sum" || true
  cp "$work/go.mod" "$work/go.sum" .
fi
