#!/usr/bin/env bash
# Prepares the release of both modules at one version: checks, the requirement of the root module, its commit, and the tags. It pushes
# nothing, and prints what to push in which order.
#
#   tools/release.sh v0.1.0
#   tools/release.sh v0.1.0 --rehearse   without make check test, to try it on a copy of the repository
set -euo pipefail
cd "$(dirname "$0")/.."

client=github.com/harmont-dev/harmont-billing/client
version=${1:-}
fail() { echo "release: $*" >&2; exit 1; }

[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "usage: tools/release.sh VERSION [--rehearse], where VERSION is, for example, v0.1.0"
[ $# -eq 1 ] || [ "$2" = --rehearse ] || fail "unknown argument: $2"
[ -z "$(git status --porcelain)" ] || fail 'the working tree has changes; commit them first'
for tag in "client/$version" "$version"; do
  git rev-parse -q --verify "refs/tags/$tag" >/dev/null && fail "the tag $tag exists"
done
grep -q "^## \[${version#v}\]" CHANGELOG.md || fail "CHANGELOG.md has no section ## [${version#v}]"

trap 'git checkout -q -- go.mod go.sum go.work' EXIT
# The checksums of the client depend on its files alone, so they are known before its tag is pushed.
sed -i -E "s|^([[:space:]]*$client) v[^ ]+\$|\1 $version|" go.mod
sed -i -E "s|^(replace $client) v[^ ]+ |\1 $version |" go.work
# Lines are in the order of modules; those of one module stay in their order.
sums=$(go run ./internal/release sums "$version")
others=$(grep -v "^$client " go.sum)
printf '%s\n%s\n' "$others" "$sums" | LC_ALL=C sort -s -k1,1 >go.sum
[ $# -gt 1 ] || make check test
# Installs and builds both modules as their users do, from a folder in place of a server of modules.
TEST_LONG=1 go test -count=1 ./internal/release

git commit -q -m "Release $version" go.mod go.sum go.work
git tag -a "client/$version" -m "client $version" HEAD~1
git tag -a "$version" -m "$version"
trap - EXIT

cat <<TEXT
The tags client/$version and $version are made. Push the client first, since the root module requires it:

  git push origin client/$version
  GOWORK=off GOFLAGS=-mod=readonly go mod download $client   # compares it with go.sum
  git push origin HEAD $version

To undo all of it before the first push:

  git tag -d client/$version $version && git reset --hard HEAD~1
TEXT
