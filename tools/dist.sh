#!/usr/bin/env bash
# Builds what a release consists of into dist/: the program for each platform, its bill of materials, and the checksums of all files.
# The commit must have the tag of a version, which Go writes into the programs. The same commit gives the same programs on every machine.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(git describe --exact-match --tags --match 'v[0-9]*' 2>/dev/null) || {
  echo 'dist: the commit has no tag such as v0.1.0' >&2
  exit 1
}
if [ -n "$(git status --porcelain)" ]; then
  echo 'dist: the work tree has changes that are not committed' >&2
  exit 1
fi
# None of them needs a C library.
platforms=${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64}
# No module requires it, since only a release needs it.
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

rm -rf dist
mkdir dist
for platform in $platforms; do
  file=dist/harmont-billing_${version#v}_${platform/\//_}
  [ "${platform%/*}" != windows ] || file=$file.exe
  echo "$file"
  GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 \
    go build -trimpath -buildvcs=true -ldflags=-s -o "$file" ./cmd/harmont-billing
done
file=dist/harmont-billing_${version#v}.cdx.json
echo "$file"
go run "$sbom" app -json -licenses -noserial -output "$file" -main cmd/harmont-billing .
(cd dist && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
