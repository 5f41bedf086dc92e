#!/bin/sh
# Puts an OCI registry into FOLDER for tests: the one on PATH, or Debian's, unpacked and not installed.
# Usage: scripts/registry.sh FOLDER
set -eu
folder=$1
mkdir -p "$folder"
cd "$folder"

found() { command -v docker-registry || command -v registry; }
debian() { apt-get download -qq docker-registry && dpkg -x docker-registry_*.deb unpacked && rm docker-registry_*.deb; }

if found >/dev/null; then
    ln -sf "$(found)" registry
elif command -v apt-get >/dev/null && command -v dpkg >/dev/null &&
    { debian || { [ "$(id -u)" = 0 ] && apt-get update -qq && debian; }; } >/dev/null 2>&1; then
    ln -sf unpacked/usr/bin/docker-registry registry
else
    echo "No OCI registry here and no way to get one: tests that need it are skipped (package docker-registry)." >&2
fi
