#!/usr/bin/env bash
# Compares the exported Go API with that of the newest released version, and fails if programs that use it may no longer compile. A break that
# is meant has a line in the section [Unreleased] of CHANGELOG.md that begins with "- Breaking:".
#
#   tools/check-api.sh PACKAGE…      each a folder, such as client or server
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/harmont-dev/harmont-billing
apidiff=$PWD/bin/apidiff
base=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null) || {
  echo 'check-api: no version is released, so there is no API to compare with.'
  exit 0
}
released=$(mktemp -d)
trap 'rm -rf "$released"' EXIT
git archive "$base" | tar -xf - -C "$released"

changes=
for package in "$@"; do
  [ -d "$released/$package" ] || continue # it is new
  (cd "$released" && "$apidiff" -w "$released/api" "$module/$package")
  found=$("$apidiff" -incompatible "$released/api" "$module/$package")
  [ -z "$found" ] || changes+="$package: $found"$'\n'
done
[ -n "$changes" ] || exit 0
printf 'What has changed since %s:\n%s' "$base" "$changes" >&2
if awk '/^## \[/ { unreleased = /^## \[Unreleased\]/ } unreleased && /^- Breaking:/ { found = 1 } END { exit !found }' CHANGELOG.md; then
  echo 'check-api: CHANGELOG.md has a line about it.' >&2
  exit 0
fi
echo 'Programs that use these packages may no longer compile. If that is meant, say in CHANGELOG.md, in a line "- Breaking: …", what they have to do.' >&2
exit 1
