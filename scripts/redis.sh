#!/bin/sh
# Links a redis-server into FOLDER for tests; root gets it from Debian. Usage: scripts/redis.sh FOLDER
# Debian's package redis-tools holds the server's own binary under another name, and starts no service.
set -eu
folder=$1
mkdir -p "$folder"

found() { command -v redis-server || command -v redis-check-rdb; }

if ! found >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-tools) \
        >/dev/null 2>&1 || true
fi
if found >/dev/null; then
    ln -sf "$(found)" "$folder/redis-server"
else
    echo "No redis-server here and no way to get one: tests that need it are skipped (package redis-server)." >&2
fi
