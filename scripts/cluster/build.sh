#!/usr/bin/env bash
# Builds Kubernetes and Flux from Go's module proxy into $K8S_CACHE/bin, once: about ten minutes on two idle cores, 5 GB of
# disk while it builds and 0.7 GB afterwards. What comes is checked by Go's checksum database.
# Usage: build.sh [kubernetes | coredns | flux | pause]...
. "$(dirname "$0")/settings.sh"
command -v go >/dev/null || { say "Go 1.26 or later is needed to build Kubernetes and Flux."; exit 1; }
mkdir -p "$BIN"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=mod -buildvcs=false -trimpath"

compiled() { # compiled FOLDER NAME PACKAGE FLAGS...
    folder=$1 name=$2 package=$3 begun=$SECONDS
    shift 3
    [ ! -x "$BIN/$name" ] || return 0
    say "building $name"
    (cd "$folder" && nice go build "$@" -o "$BIN/.$name" "$package" 2> >(grep -v '^go: ' >&2))
    mv "$BIN/.$name" "$BIN/$name"
    say "$name: $((SECONDS - begun)) s"
}

kubernetes() {
    # The module replaces its parts by folders of its repository; here they are replaced by what was published.
    folder=$K8S_CACHE/kubernetes-$K8S_VERSION parts=v0.${K8S_VERSION#1.}
    mkdir -p "$folder"
    if [ ! -s "$folder/go.mod" ]; then
        theirs=$(cd "$folder" && go mod download -json "k8s.io/kubernetes@v$K8S_VERSION" | awk -F'"' '$2 == "GoMod" { print $4 }')
        awk -v version="v$K8S_VERSION" -v parts="$parts" '
            BEGIN { print "module kubernetes\n\nrequire k8s.io/kubernetes " version "\n" }
            $1 == "go" { print }
            $3 ~ "^./staging/" && $2 == "=>" { print "replace " $1 " => " $1 " " parts }
        ' "$theirs" >"$folder/go.mod.part"
        mv "$folder/go.mod.part" "$folder/go.mod"
    fi
    stamp="-s -w"
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        stamp+=" -X $package.gitVersion=v$K8S_VERSION -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$K8S_VERSION") -X $package.gitTreeState=clean"
    done
    for name in kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do
        compiled "$folder" "$name" "k8s.io/kubernetes/cmd/$name" -tags notest,grpcnotrace -ldflags "$stamp"
    done
}

coredns() { # with the plugins that a test needs: the whole one also compiles the kits of three clouds
    folder=$K8S_CACHE/coredns
    mkdir -p "$folder"
    [ -x "$BIN/coredns" ] || {
        printf 'package main\n\nimport (\n\t"github.com/coredns/coredns/coremain"\n%s)\n\nfunc main() { coremain.Run() }\n' \
            "$(for plugin in bind cache errors forward kubernetes; do printf '\t_ "github.com/coredns/coredns/plugin/%s"\n' $plugin; done)
" >"$folder/main.go"
        printf 'module coredns\n\ngo 1.26.0\n\nrequire github.com/coredns/coredns %s\n' "$COREDNS_VERSION" >"$folder/go.mod"
    }
    compiled "$folder" coredns . -ldflags "-s -w"
}

flux() { # the newest controllers that Go 1.26 builds
    folder=$K8S_CACHE/flux-$FLUX_VERSION
    mkdir -p "$folder" "$K8S_CACHE/flux-crds"
    {
        printf 'module flux\n\ngo 1.26.0\n\n'
        for name in kustomize-controller source-controller; do
            printf 'require github.com/fluxcd/%s v%s\nreplace github.com/fluxcd/%s/api => github.com/fluxcd/%s/api v%s\n' \
                $name "$FLUX_VERSION" $name $name "$FLUX_VERSION"
        done
        # Of the first, the proxy has no newer one; the second, a commit, is what Flux itself takes.
        echo 'replace github.com/fluxcd/pkg/artifact => github.com/fluxcd/pkg/artifact v0.18.1'
        echo 'replace github.com/opencontainers/go-digest => github.com/opencontainers/go-digest v1.0.1-0.20220411205349-bde1400a84be'
    } >"$folder/go.mod.new"
    [ -s "$folder/go.mod" ] || cp "$folder/go.mod.new" "$folder/go.mod"
    for name in source-controller kustomize-controller; do
        compiled "$folder" $name "github.com/fluxcd/$name" -ldflags "-s -w"
        ls "$K8S_CACHE/flux-crds/${name%-controller}".* >/dev/null 2>&1 ||
            install -m 644 "$(cd "$folder" && go list -m -f '{{.Dir}}' "github.com/fluxcd/$name")"/config/crd/bases/*.yaml "$K8S_CACHE/flux-crds/"
    done
}

pause() { # the first process of each pod: it reaps what is left to it, and ends when told to
    folder=$K8S_CACHE/pause
    mkdir -p "$folder"
    printf 'module pause\n\ngo 1.26.0\n' >"$folder/go.mod"
    cat >"$folder/main.go" <<'GO'
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for one := range told {
		if one != syscall.SIGCHLD {
			return
		}
		for pid := 1; pid > 0; {
			pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		}
	}
	os.Exit(0)
}
GO
    compiled "$folder" pause . -ldflags "-s -w"
}

[ $# -gt 0 ] || set -- kubernetes coredns flux pause
for wanted in "$@"; do "$wanted"; done
