#!/usr/bin/env bash
# Runs a command with a Kubernetes: that of $KUBECONFIG, or else one of its own on this machine, which ends with it.
# Usage: scripts/cluster/run.sh COMMAND...
#
# In another cluster images come by the command in $CLUSTER_LOAD (`kind load docker-image`, for example), which gets their
# names; without it they must be there, or be pulled. $K8S_CACHE is what is kept of a cluster of its own, 0.7 GB.
. "$(dirname "$0")/settings.sh"
export K8S_CACHE
if [ -n "${KUBECONFIG-}" ]; then
    [ -x "$BIN/source-controller" ] || bash "$TOP/scripts/cluster/build.sh" flux
    exec "$@"
fi

missing=
for pair in docker:docker.io etcd:etcd-server containerd:containerd runc:runc iptables:iptables ip:iproute2 openssl:openssl curl:curl git:git; do
    command -v "${pair%:*}" >/dev/null || missing+=" ${pair#*:}"
done
[ -x "${CNI_BIN:-/usr/lib/cni}/bridge" ] || missing+=" containernetworking-plugins"
if [ "$(id -u)" != 0 ] || ! command -v go >/dev/null || [ -n "$missing" ]; then
    say "a cluster of its own needs root, Go 1.26 or later, and${missing:- the packages that are here} (apt-get install${missing:- nothing more}); or give KUBECONFIG"
    exit 1
fi
docker info >/dev/null 2>&1 || { say "no Docker answers, which images are built with; see scripts/docker.sh"; exit 1; }
bash "$TOP/scripts/cluster/build.sh"
trap 'trap "" INT TERM; bash "$TOP/scripts/cluster/down.sh" --purge' EXIT
trap 'exit 130' INT TERM
[ ! -s "$PIDS" ] || { say "an earlier run did not end its cluster"; bash "$TOP/scripts/cluster/down.sh" --purge; }
bash "$TOP/scripts/cluster/up.sh"
export KUBECONFIG=$ADMIN CLUSTER_LOAD="bash $TOP/scripts/cluster/load.sh" PATH="$BIN:$PATH"
"$@"
