# Sourced by the other scripts of this folder: what a cluster is made of, and where. The environment outranks each.
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${K8S_CACHE:=$TOP/.cache/k8s}"      # what is built once
: "${K8S_RUN:=/var/lib/regate-cluster}"    # one cluster's state; short, since paths of sockets may have 107 characters
: "${K8S_VERSION:=1.35.4}" "${COREDNS_VERSION:=v1.15.0}" "${FLUX_VERSION:=1.9.5}"
: "${K8S_BRIDGE:=regate-k8s}" "${K8S_NODE:=node1}" "${K8S_DOMAIN:=cluster.local}"
: "${K8S_POD_CIDR:=10.244.0.0/16}" "${K8S_POD_GATEWAY:=10.244.0.1}"
: "${K8S_SERVICE_CIDR:=10.96.0.0/16}" "${K8S_SERVICE_FIRST:=10.96.0.1}" "${K8S_DNS_IP:=10.96.0.10}"
: "${K8S_PORT:=16443}"                 # of the API server; the others are fixed: 23790 to 23800, 20248 to 20259, 10053
BIN=$K8S_CACHE/bin PKI=$K8S_RUN/pki LOGS=$K8S_RUN/logs SOCKET=$K8S_RUN/containerd/containerd.sock
KUBECTL=$BIN/kubectl ADMIN=$K8S_RUN/admin.kubeconfig ETCD=http://127.0.0.1:23790 PAUSE=localhost/regate-pause:1
PIDS=$K8S_RUN/pids

say() { echo "cluster: $*" >&2; }
kube() { "$KUBECTL" --kubeconfig "$ADMIN" "$@"; }
ours() { ctr --address "$SOCKET" -n k8s.io "$@"; }
