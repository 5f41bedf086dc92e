#!/bin/sh
# Resolves requirements/*.in into requirements/*.txt: every package with its hashes, no address of any index.
# Usage: scripts/lock.sh UV [--upgrade]
set -eu
cd "$(dirname "$0")/.."
uv=$1
shift
for name in run build image examples test; do
    "$uv" pip compile --quiet --generate-hashes --universal --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' "$@" \
        "requirements/$name.in" --output-file "requirements/$name.txt"
done
if grep -n '://' requirements/*.txt; then
    echo 'scripts/lock.sh: an address is in a lock file' >&2
    exit 1
fi
