#!/bin/sh
# What CI does with policies, one word each; the workflow files of GitHub and GitLab only call this. Needs git and regate.
#   policies.sh check              every mistake and lint, each policy beside its server's tools
#   policies.sh test               every case of tests/
#   policies.sh coverage           every rule is hit by a case ($COVERAGE percent, 100)
#   policies.sh diff BASE          what the change since BASE does to calls, in Markdown on standard output
#   policies.sh build KEY OUTPUT   the signed bundle of what is checked out ($ALGORITHM, ES256)
#   policies.sh push bundle.tar.gz BRANCH   commits the bundle to a branch, for Flux or Argo CD to make a ConfigMap of
set -eu
cd "$(dirname "$0")/.."

each() { # each COMMAND: runs COMMAND NAME for every policy; goes on after a failure, and fails at the end
    worst=0
    for policy in policies/*.json; do
        "$1" "$(basename "$policy" .json)" || worst=1
    done
    return "$worst"
}

check() {
    set -- "policies/$1.json" "tools/$1.json"
    [ -f "$2" ] || { regate check "$1" --format "${FORMAT:-text}"; return; }
    regate check "$1" --tools "$2" --format "${FORMAT:-text}"
}

cases() {
    [ -f "tests/$1.jsonl" ] || { echo "policies/$1.json has no cases: write tests/$1.jsonl" >&2; return 1; }
    regate test "tests/$1.jsonl" --policy "policies/$1.json"
}

coverage() {
    regate coverage "policies/$1.json" --cases "tests/$1.jsonl" --fail-under "${COVERAGE:-100}"
}

changed() { # the names of policies that are not in both, or differ
    { git ls-tree --name-only "$1" policies/; ls policies/*.json; } | sort -u | while read -r policy; do
        git show "$1:./$policy" 2>/dev/null | cmp -s - "$policy" 2>/dev/null || basename "$policy" .json
    done
}

compared() { # compared BASE NAME
    old="$scratch/$2.json"
    echo "### $2"
    if ! git show "$1:./policies/$2.json" >"$old" 2>/dev/null; then
        echo "A new policy. Nothing could be called under this name before."
    elif [ ! -f "policies/$2.json" ]; then
        echo "The policy is gone. Every call of a grant that names it is denied."
    elif [ -f "tools/$2.json" ]; then
        regate diff "$old" "policies/$2.json" --tools "tools/$2.json" --format markdown || [ $? -eq 3 ]
    else
        regate diff "$old" "policies/$2.json" --format markdown || [ $? -eq 3 ]
    fi
    echo
}

difference() {
    git rev-parse --quiet --verify "$1^{commit}" >/dev/null || { echo "no such commit: $1" >&2; exit 2; }
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    names=$(changed "$1")
    [ -n "$names" ] || echo "No policy has changed."
    for name in $names; do compared "$1" "$name"; done
}

build() { # the serial only grows: the gateway refuses a bundle that is older than the one it has
    [ "$(git rev-parse --is-shallow-repository)" = false ] || { echo "the clone is shallow: fetch it whole" >&2; exit 2; }
    regate build policies -o "$2" --git --serial "$(git rev-list --count --first-parent HEAD)" \
        --sign "$1" --alg "${ALGORITHM:-ES256}"
}

push() { # one commit of two files, made without touching what is checked out
    GIT_INDEX_FILE=$(mktemp -u)
    export GIT_INDEX_FILE
    trap 'rm -f "$GIT_INDEX_FILE"' EXIT
    for file in "$1" kustomization.yaml; do
        git update-index --add --cacheinfo "100644,$(git hash-object -w "$file"),$(basename "$file")"
    done
    set -- "$2" "$(git write-tree)" "Bundle of $(git rev-parse --short HEAD)"
    if git fetch -q origin "$1" 2>/dev/null; then
        [ "$(git rev-parse "FETCH_HEAD^{tree}")" = "$2" ] && { echo "nothing new"; return; }
        set -- "$1" "$(git commit-tree "$2" -p FETCH_HEAD -m "$3")"
    else
        set -- "$1" "$(git commit-tree "$2" -m "$3")"
    fi
    git push -q origin "$2:refs/heads/$1"
}

case "${1-}" in
check) each check ;;
test) each cases ;;
coverage) each coverage ;;
diff) difference "${2:?a commit to compare with}" ;;
build) build "${2:?the file with the key}" "${3:?the bundle to write}" ;;
push) push "${2:?the bundle}" "${3:?the branch}" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
