#!/bin/sh
# Makes local stand-ins for the base images, where none can be pulled: a Debian with Python, and OPA alone.
# Usage: deploy/docker/base.sh [python] [opa] [debian]
#   PYTHON_IMAGE  the name that the Dockerfile asks for       (default python:3.13-slim, from Debian trixie)
#   OPA_IMAGE     likewise; OPA=FILE is the static binary put into it, by default the one that `regate opa` prints
#   DEBIAN_IMAGE  with DEBIAN_PACKAGES (a,b): a Debian for a test's own servers
#   SUITE         the Debian to take: trixie has Python 3.13, bookworm 3.11
#   CACHE         where root file systems are kept: then the next time only loads them
# It needs root and mmdebstrap; packages come from where this machine's apt gets its own, and are checked by its keys.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
: "${SUITE:=trixie}" "${CACHE:=$top/.cache/images}"
: "${PYTHON_IMAGE:=python:3.13-slim}" "${OPA_IMAGE:=openpolicyagent/opa:1.22.0-static}" "${DEBIAN_IMAGE:=regate-test/debian}"
: "${DEBIAN_PACKAGES:=redis-server,prometheus}"

say() {
    echo "base.sh: $*" >&2
}

# rootfs NAME PACKAGES: $CACHE/NAME.tar, a small Debian with these packages
rootfs() {
    tar=$CACHE/$1.tar
    [ -s "$tar" ] && return 0
    [ "$(id -u)" = 0 ] || { say "root is needed to make a root file system"; exit 1; }
    command -v mmdebstrap >/dev/null || { say "mmdebstrap is missing (apt-get install mmdebstrap)"; exit 1; }
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
    mkdir -p "$CACHE"
    trap 'rm -f "$tar.part"' EXIT
    # The machine's own certificates, since a build may have to reach a package index through them.
    mmdebstrap --quiet --mode=root --format=tar --variant=minbase --include="$2" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
        --customize-hook='[ ! -e "$1/usr/bin/python3" ] || ln -sf python3 "$1/usr/bin/python"' \
        --customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/var/log/*.log "$1"/var/log/apt "$1"/etc/resolv.conf "$1"/etc/hostname' \
        --keyring=/usr/share/keyrings "$SUITE" "$tar.part" "$mirror"
    mv "$tar.part" "$tar"
}

# load IMAGE FILE CHANGE...: an image of a root file system, unless there is one of that name
load() {
    image=$1 tar=$2
    shift 2
    docker image inspect "$image" >/dev/null 2>&1 && return 0
    docker import "$@" "$tar" "$image" >/dev/null
    say "made $image ($(docker image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }'))"
}

have() {
    docker image inspect "$1" >/dev/null 2>&1
}

for wanted in "${@:-python opa}"; do
    for name in $wanted; do
        case $name in
        python)
            have "$PYTHON_IMAGE" && continue
            rootfs "python-$SUITE" ca-certificates,python3,python3-pip,python3-venv
            load "$PYTHON_IMAGE" "$CACHE/python-$SUITE.tar" -c 'CMD ["python3"]' -c 'ENV LANG=C.UTF-8' \
                -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
            ;;
        opa)
            have "$OPA_IMAGE" && continue
            opa=${OPA:-$("$top/.venv/bin/regate" opa)}
            opa=$(readlink -f "$opa")
            tar -C "$(dirname "$opa")" --transform 's,.*,opa,' --owner=0 --group=0 -c "$(basename "$opa")" | load "$OPA_IMAGE" - -c 'ENTRYPOINT ["/opa"]' -c 'USER 1000:1000'
            ;;
        debian)
            have "$DEBIAN_IMAGE" && continue
            rootfs "debian-$SUITE-$(echo "$DEBIAN_PACKAGES" | tr , +)" "$DEBIAN_PACKAGES"
            load "$DEBIAN_IMAGE" "$CACHE/debian-$SUITE-$(echo "$DEBIAN_PACKAGES" | tr , +).tar" \
                -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
            ;;
        *)
            say "unknown: $name"
            exit 2
            ;;
        esac
    done
done
