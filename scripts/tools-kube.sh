#!/bin/sh
# tools-kube.sh - builds kube-apiserver and etcd, which the tests of the ConfigMap channel run against, and prints their folder.
#
#   scripts/tools-kube.sh           builds them where they are not there yet: ten minutes of two processors, once, and 4 GB in Go's caches
#   scripts/tools-kube.sh --find    only looks: exit 3 when they are not there
#
# Kubernetes' module has `replace` lines, which `go install` refuses. So a small module of its own repeats them and names the
# programs as its tools; that pins all that they are made of. Needs Go 1.26. A second run does nothing.
#
#   BATON_CACHE     where to keep them; default ${XDG_CACHE_HOME:-~/.cache}/baton
set -eu

kubernetes=1.37.2
etcd=3.7.0
say() { printf 'tools-kube: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

into=${BATON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}/kube-$kubernetes-$etcd
case ${1:-} in
'') ;;
--find) [ -e "$into/.built" ] && echo "$into" && exit 0 || exit 3 ;;
*) echo 'usage: scripts/tools-kube.sh [--find]' >&2 && exit 2 ;;
esac

mkdir -p "$into"
exec 9>"$into/.lock"
flock 9
if [ -e "$into/.built" ]; then
    echo "$into"
    exit 0
fi
command -v go >/dev/null || die "'go' is missing (Debian: golang, or https://go.dev/dl); 1.26 or newer"
go version | grep -q 'go1\.\(2[6-9]\|[3-9][0-9]\)' || die "$(go version) is too old: 1.26 or newer is needed"

say "building kube-apiserver $kubernetes and etcd $etcd once into $into: ten minutes or more"
cd "$into"
rm -f go.mod go.sum
export GOTOOLCHAIN=local CGO_ENABLED=0
go mod init example.invalid/tools/kube 2>/dev/null
theirs=$(go list -m -f '{{.GoMod}}' "k8s.io/kubernetes@v$kubernetes") || die "the module k8s.io/kubernetes cannot be had"
for module in $(awk '$2 == "=>" && $3 ~ /^\.\/staging/ { print $1 }' "$theirs"); do
    go mod edit "-replace=$module=$module@v0.${kubernetes#1.}"
done
go mod edit "-require=k8s.io/kubernetes@v$kubernetes"
go get -tool k8s.io/kubernetes/cmd/kube-apiserver "go.etcd.io/etcd/server/v3@v$etcd" >&2

version=k8s.io/component-base/version
flags="-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${kubernetes#1.}"
go build -trimpath -o etcd go.etcd.io/etcd/server/v3 >&2
go build -trimpath -ldflags "${flags%.*}" -o kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver >&2
./kube-apiserver --version >&2
: >.built
echo "$into"
