#!/bin/sh
# Makes the virtual environment $1 with Python 3.11 or newer; fetches what Debian leaves out when root.
set -eu
target=$1
[ -x "$target/bin/pip" ] && exit 0

say() {
    echo "setup: $*" >&2
    exit 1
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null || say "no $python found; install Python 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || say "$python is older than 3.11; set PYTHON=/path/to/a/newer/python3"
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    fi
    "$python" -c 'import venv, ensurepip' 2>/dev/null || say "Python's venv module is missing; install the package python3-venv (apt-get install python3-venv)"
fi
"$python" -m venv "$target"
