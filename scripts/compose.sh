#!/bin/sh
# Builds Docker's Compose by Go, for tests: `scripts/compose.sh FILE`. Some minutes the first time; no docker is needed.
# `go install` takes no module with exclude directives, so it is built in a copy of its own source, which Go has checked.
set -eu
version=v2.40.3
out=$1
[ ! -x "$out" ] || exit 0
command -v go >/dev/null || { echo "compose.sh: Go is not on PATH" >&2; exit 1; }
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
source=$(cd "$folder" && go mod download -json "github.com/docker/compose/v2@$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
cp -r "$source" "$folder/source"
chmod -R u+w "$folder/source"
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
cd "$folder/source"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" -o "$out.part" ./cmd
mv "$out.part" "$out"
