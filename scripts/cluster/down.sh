#!/usr/bin/env bash
# Ends the cluster of $K8S_RUN, also after a crash: its own processes, mounts, networks, control groups and rules, and no
# others. $K8S_RUN/logs stays; with --purge the whole folder goes.
. "$(dirname "$0")/settings.sh"
set +e
[ -d "$K8S_RUN" ] || exit 0

pid_of() { awk -v name="$1" '$1 == name { pid = $2 } END { print pid }' "$PIDS" 2>/dev/null; }
commanded() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline"; }
lives() { # is the process of this name still ours? Its number may be another's by now.
    local pid
    pid=$(pid_of "$1")
    [ -n "$pid" ] && commanded "$pid" 2>/dev/null | grep -qF -e "$K8S_RUN/" -e "$ETCD"
}
ended() {
    lives "$1" || return 0
    kill "$(pid_of "$1")"
    for _ in $(seq 100); do lives "$1" || return 0; sleep 0.1; done
    kill -KILL "$(pid_of "$1")"
}

ended controller-manager
ended scheduler
networks=$(grep -ohE '/[a-z/]*netns/cni-[0-9a-f-]+' "$K8S_RUN"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/config.json 2>/dev/null | sort -u)
if lives kubelet && lives containerd && kube get --raw=/readyz >/dev/null 2>&1; then
    # In order, the kubelet takes its own things back.
    kube delete mutatingwebhookconfigurations,validatingwebhookconfigurations --all >/dev/null 2>&1
    kube delete pods -A --all --grace-period=1 --timeout=45s >/dev/null 2>&1 || say "some pods did not end in time"
fi
for name in kubelet coredns proxy; do ended $name; done
if lives containerd; then
    for task in $(ours tasks ls -q 2>/dev/null); do ours tasks rm -f "$task" >/dev/null 2>&1; done
fi
ended containerd
for process in /proc/[0-9]*; do # shims outlive their containerd, and carry its socket's path
    case "$(commanded "${process#/proc/}" 2>/dev/null)" in
    *containerd-shim*"-address $SOCKET "*) kill -KILL "${process#/proc/}" 2>/dev/null ;;
    esac
done
if [ -n "$(pid_of kubelet)" ]; then # containers outlive their shims; only a kubelet makes this group
    find /sys/fs/cgroup -path '*/kubepods/*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -KILL 2>/dev/null
fi
ended apiserver
ended etcd
if [ -n "$(pid_of proxy)" ]; then
    "$BIN/kube-proxy" --cleanup --config="$K8S_RUN/proxy.yaml" >"$LOGS/proxy-cleanup.log" 2>&1
    for tables in iptables ip6tables; do # it forgets this chain
        [ -e "$K8S_RUN/had-$tables" ] && continue
        for chain in INPUT OUTPUT; do $tables -D $chain -j KUBE-FIREWALL; done 2>/dev/null
        { $tables -F KUBE-FIREWALL; $tables -X KUBE-FIREWALL; } 2>/dev/null
    done
fi
for way in -i -o; do while iptables -D FORWARD $way "$K8S_BRIDGE" -j ACCEPT 2>/dev/null; do :; done; done
awk -v run="$K8S_RUN/" 'index($2, run) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n 1 umount -l
for network in $networks; do ip netns del "${network##*/}" 2>/dev/null; done
iptables-save -t nat 2>/dev/null | grep -E '^-A POSTROUTING .*name: \\"regate-cluster\\"' | while read -r rule; do
    chain=$(grep -oE 'CNI-[0-9a-f]+' <<<"$rule")
    eval "iptables -t nat -D ${rule#-A }"
    iptables -t nat -F "$chain"
    iptables -t nat -X "$chain"
done
ip link del "$K8S_BRIDGE" 2>/dev/null
for group in /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/kubepods; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
done
rm -f "$PIDS"
[ "${1-}" != --purge ] || rm -rf "$K8S_RUN"
say "down"
