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
  own=$(grep "^$client " go.sum || true)
  cp "$work/go.mod" go.mod
  # By module alone: the versions of one stay in the order of go mod tidy.
  { cat "$work/go.sum"; [ -z "$own" ] || echo "$own"; } | LC_ALL=C sort -s -k1,1 >go.sum
fi
