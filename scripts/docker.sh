#!/bin/sh
# Runs a command with a Docker daemon: the one that answers here, or else, for root, one of its own that ends with it.
# Usage: scripts/docker.sh COMMAND...
#
# The daemon of its own keeps its images in .cache/docker, makes no bridge, no rule of iptables and no route, and leaves
# no process, mount, network or control group behind. Who is not root and has no Docker gets the command without one:
# tests that need it then skip themselves.
set -eu

docker info >/dev/null 2>&1 && exec "$@"
[ "$(id -u)" = 0 ] || exec "$@"

install() {
    # policy-rc.d keeps Debian from starting a service.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && policy= || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        docker.io iptables mmdebstrap || echo "docker.sh: no Docker: apt-get cannot install docker.io" >&2
    [ -z "$policy" ] || rm -f "$policy"
}
for needed in dockerd docker mmdebstrap; do
    if ! command -v "$needed" >/dev/null && command -v apt-get >/dev/null; then
        install >/dev/null
        break
    fi
done
command -v dockerd >/dev/null || exec "$@"
if [ -e /sys/class/net/docker0 ]; then
    echo "docker.sh: the bridge docker0 is another Docker's, which does not answer; none is started beside it" >&2
    exec "$@"
fi

run=$(mktemp -d) group=/regate-$$ daemon=
mkdir -p .cache/docker
key=/etc/docker/key.json folder=/etc/docker
[ -e "$key" ] && key=
[ -e "$folder" ] && folder=

finish() {
    trap '' INT TERM
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" || true
    fi
    awk -v run="$run/" 'index($2, run) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
    find /sys/fs/cgroup -depth -type d -path "*$group*" -exec rmdir {} + 2>/dev/null || true
    [ -z "$key" ] || rm -f "$key"
    [ -z "$folder" ] || rmdir "$folder" 2>/dev/null || true
    rm -rf "$run"
}
trap finish EXIT
trap 'exit 130' INT TERM

setsid dockerd --host "unix://$run/docker.sock" --data-root "$PWD/.cache/docker" --exec-root "$run/exec" \
    --pidfile "$run/pid" --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --cgroup-parent "$group" >.cache/docker.log 2>&1 </dev/null &
daemon=$!
export DOCKER_HOST="unix://$run/docker.sock"
tries=0
until docker info >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" = 300 ] || ! kill -0 "$daemon" 2>/dev/null; then
        echo "docker.sh: dockerd does not start here: $(tail -n 1 .cache/docker.log)" >&2
        unset DOCKER_HOST
        break
    fi
    sleep 0.2
done
"$@"
