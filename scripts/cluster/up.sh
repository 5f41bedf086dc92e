#!/usr/bin/env bash
# Starts a Kubernetes of one node on this machine, as root, from what build.sh has built. Its state is in $K8S_RUN.
# Afterwards: kubectl --kubeconfig $K8S_RUN/admin.kubeconfig ...; down.sh ends it, also after a crash.
. "$(dirname "$0")/settings.sh"
umask 022
mkdir -p "$K8S_RUN" "$PKI" "$LOGS" "$K8S_RUN/containerd" "$K8S_RUN/cni" "$K8S_RUN/kubelet"
[ ! -s "$PIDS" ] || { say "$PIDS tells of a cluster: run scripts/cluster/down.sh first"; exit 1; }
HOST=${K8S_HOST_IP:-$(ip -4 -o addr show scope global | awk '$2 !~ /^(docker0|br-)/ { sub("/.*", "", $4); print $4; exit }')}

begin() { # begin NAME COMMAND...
    local name=$1
    shift
    setsid "$@" >"$LOGS/$name.log" 2>&1 </dev/null &
    echo "$name $!" >>"$PIDS"
}

await() { # await WHAT COMMAND...
    local what=$1 until=$((SECONDS + 120))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || { say "$what: not within two minutes; see $LOGS"; exit 1; }
        sleep 0.3
    done
}

# --- who is who ---------------------------------------------------------------------------------------------------------
key() { openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/$1.key" 2>/dev/null; }

certificate() { # certificate NAME SUBJECT [NAMES]
    key "$1"
    openssl req -new -key "$PKI/$1.key" -subj "$2" -out "$PKI/$1.csr"
    { echo "keyUsage=critical,digitalSignature"; echo "extendedKeyUsage=serverAuth,clientAuth"; [ -z "${3-}" ] || echo "subjectAltName=$3"; } >"$PKI/$1.ext"
    openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 30 -extfile "$PKI/$1.ext" -out "$PKI/$1.crt" 2>/dev/null
    cat >"$K8S_RUN/$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: regate, cluster: {server: "https://$HOST:$K8S_PORT", certificate-authority: "$PKI/ca.crt"}}]
users: [{name: $1, user: {client-certificate: "$PKI/$1.crt", client-key: "$PKI/$1.key"}}]
contexts: [{name: regate, context: {cluster: regate, user: $1}}]
current-context: regate
Y
}

key ca
openssl req -x509 -new -key "$PKI/ca.key" -days 30 -subj /CN=regate-cluster -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature -out "$PKI/ca.crt"
key sa
openssl pkey -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub"
names=$(printf 'DNS:%s,' localhost kubernetes kubernetes.default kubernetes.default.svc "kubernetes.default.svc.$K8S_DOMAIN")
certificate apiserver /CN=kube-apiserver "${names}IP:127.0.0.1,IP:$HOST,IP:$K8S_SERVICE_FIRST"
certificate admin /O=system:masters/CN=admin
certificate kubelet "/O=system:nodes/CN=system:node:$K8S_NODE" "DNS:$K8S_NODE,IP:$HOST"
for one in controller-manager scheduler proxy; do certificate $one /CN=system:kube-$one; done

# --- the control plane --------------------------------------------------------------------------------------------------
begin etcd etcd --name regate --data-dir "$K8S_RUN/etcd" --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" \
    --listen-peer-urls http://127.0.0.1:23800 --initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster regate=http://127.0.0.1:23800
await etcd curl -fsS "$ETCD/health"
# Without its cache of watches: over Debian's old etcd, which sends no progress, it may fall minutes behind.
begin apiserver "$BIN/kube-apiserver" --etcd-servers="$ETCD" --secure-port="$K8S_PORT" --bind-address=0.0.0.0 --advertise-address="$HOST" \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" --client-ca-file="$PKI/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
    --service-cluster-ip-range="$K8S_SERVICE_CIDR" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-client-certificate="$PKI/admin.crt" --kubelet-client-key="$PKI/admin.key" \
    --kubelet-preferred-address-types=InternalIP --enable-aggregator-routing=true --profiling=false --watch-cache=false
await "the API server" kube get --raw=/readyz
begin controller-manager "$BIN/kube-controller-manager" --kubeconfig="$K8S_RUN/controller-manager.kubeconfig" --leader-elect=false \
    --use-service-account-credentials=true --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" --bind-address=127.0.0.1 --secure-port=20257
begin scheduler "$BIN/kube-scheduler" --kubeconfig="$K8S_RUN/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1 --secure-port=20259

# --- the node: a containerd and a network of its own --------------------------------------------------------------------
cat >"$K8S_RUN/cni/10-regate.conflist" <<J
{"cniVersion": "0.4.0", "name": "regate-cluster", "plugins": [
  {"type": "bridge", "bridge": "$K8S_BRIDGE", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$K8S_RUN/ipam", "ranges": [[{"subnet": "$K8S_POD_CIDR", "gateway": "$K8S_POD_GATEWAY"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
J
cat >"$K8S_RUN/containerd/config.toml" <<T
version = 2
root = "$K8S_RUN/containerd/root"
state = "$K8S_RUN/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE"
  enable_unprivileged_ports = true
  # A root without CAP_SYS_RESOURCE cannot write a negative oom_score_adj.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_BIN:-/usr/lib/cni}"
    conf_dir = "$K8S_RUN/cni"
T
begin containerd containerd --config "$K8S_RUN/containerd/config.toml"
await containerd ours version
docker image inspect "$PAUSE" >/dev/null 2>&1 || tar -C "$BIN" -c pause | docker import -c 'ENTRYPOINT ["/pause"]' - "$PAUSE" >/dev/null
docker save "$PAUSE" | ours images import - >/dev/null
cat >"$K8S_RUN/kubelet/config.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PKI/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$PKI/kubelet.crt"
tlsPrivateKeyFile: "$PKI/kubelet.key"
port: 20250
readOnlyPort: 0
healthzPort: 20248
containerRuntimeEndpoint: "unix://$SOCKET"
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
enforceNodeAllocatable: []
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%", imagefs.inodesFree: "1%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
clusterDomain: $K8S_DOMAIN
clusterDNS: ["$K8S_DNS_IP"]
podLogsDir: "$K8S_RUN/podlogs"
volumePluginDir: "$K8S_RUN/kubelet/plugins"
configMapAndSecretChangeDetectionStrategy: Watch
syncFrequency: ${K8S_SYNC:-1m}
Y
begin kubelet "$BIN/kubelet" --config="$K8S_RUN/kubelet/config.yaml" --kubeconfig="$K8S_RUN/kubelet.kubeconfig" \
    --root-dir="$K8S_RUN/kubelet/root" --cert-dir="$PKI" --hostname-override="$K8S_NODE" --node-ip="$HOST"

# --- Services and names -------------------------------------------------------------------------------------------------
cat >"$K8S_RUN/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: "$K8S_RUN/proxy.kubeconfig"}
mode: iptables
iptables: {localhostNodePorts: false}
clusterCIDR: "$K8S_POD_CIDR"
hostnameOverride: "$K8S_NODE"
healthzBindAddress: "127.0.0.1:20256"
metricsBindAddress: "127.0.0.1:20249"
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y
for tables in iptables ip6tables; do ! $tables -S KUBE-FIREWALL >/dev/null 2>&1 || touch "$K8S_RUN/had-$tables"; done
begin proxy "$BIN/kube-proxy" --config="$K8S_RUN/proxy.yaml"
# A Docker on this machine drops what is forwarded and not its own.
for way in -i -o; do iptables -I FORWARD $way "$K8S_BRIDGE" -j ACCEPT; done
printf '.:10053 {\n  bind %s\n  errors\n  kubernetes %s in-addr.arpa {\n    kubeconfig %s\n    pods insecure\n  }\n  forward . /etc/resolv.conf\n  cache 10\n}\n' \
    "$HOST" "$K8S_DOMAIN" "$ADMIN" >"$K8S_RUN/Corefile"
begin coredns "$BIN/coredns" -conf "$K8S_RUN/Corefile"
kube apply -f - >/dev/null <<Y
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: regate-cluster-proxy}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:node-proxier"}
subjects: [{kind: User, name: "system:kube-proxy"}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: "$K8S_DNS_IP"
  ports: [{name: dns, protocol: UDP, port: 53, targetPort: 10053}, {name: dns-tcp, protocol: TCP, port: 53, targetPort: 10053}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-host, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, protocol: UDP, port: 10053}, {name: dns-tcp, protocol: TCP, port: 10053}]
endpoints: [{addresses: ["$HOST"], conditions: {ready: true}}]
Y
await "the node" kube wait --for=condition=Ready "node/$K8S_NODE" --timeout=1s
await "the default service account" kube get serviceaccount default
say "up in $SECONDS s: $ADMIN"
