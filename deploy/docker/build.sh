#!/bin/sh
# Builds images: `deploy/docker/build.sh [regate | bare | sample]...`, by default regate; bare is regate without OPA. They are
# called regate:VERSION, regate-bare:VERSION and regate-sample:VERSION; REGATE_IMAGE, BARE_IMAGE and SAMPLE_IMAGE name them
# otherwise.
#
# The wheels that go into them are downloaded first, by this machine's pip as it is configured, so that the build itself
# asks no network, and no address gets into an image. PYTHON_IMAGE and OPA_IMAGE are used as they are here; where they
# are not, docker pulls them.
set -eu
cd "$(dirname "$0")/../.."
: "${PYTHON_IMAGE:=python:3.13-slim}" "${OPA_IMAGE:=openpolicyagent/opa:1.22.0-static}" "${PIP:=.venv/bin/python -m pip}"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' sidecar/__init__.py)
: "${REGATE_IMAGE:=regate:$version}" "${BARE_IMAGE:=regate-bare:$version}" "${SAMPLE_IMAGE:=regate-sample:$version}"

target=$(docker run --rm --network none --entrypoint python3 "$PYTHON_IMAGE" -c \
    'import platform, sys; print("%d.%d" % sys.version_info[:2], platform.machine())')
python=${target% *} machine=${target#* }

# wheels FOLDER LOCK...: what the lock files name, for the Python of the image
wheels() {
    folder=.cache/$1
    shift
    stamp=$folder/.for-$python-$machine-$(for lock in "$@"; do cat "requirements/$lock.txt"; done | sha256sum | cut -c 1-16)
    [ ! -e "$stamp" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    for lock in "$@"; do
        $PIP download -q --require-hashes --only-binary :all: --no-deps --python-version "$python" \
            --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
            --dest "$folder" -r "requirements/$lock.txt"
    done
    touch "$stamp"
}

# built NAME DOCKERFILE ARGUMENT...: with the builder that every docker has
built() {
    name=$1 file=$2
    shift 2
    DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0} docker build --network none -f "$file" -t "$name" \
        --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" "$@" . >.cache/build.log 2>&1 || { cat .cache/build.log >&2; exit 1; }
    base=$(docker image inspect --format '{{.Size}}' "$PYTHON_IMAGE")
    all=$(docker image inspect --format '{{.Size}}' "$name")
    echo "$name: $((all / 1000000)) MB, of which $(((all - base) / 1000000)) MB are over $PYTHON_IMAGE"
}

for wanted in "${@:-regate}"; do
    case $wanted in
    regate | bare)
        name=$REGATE_IMAGE
        [ "$wanted" = regate ] || name=$BARE_IMAGE
        wheels wheels run image
        built "$name" deploy/docker/Dockerfile --target "$wanted" --build-arg "OPA_IMAGE=$OPA_IMAGE" --build-arg "VERSION=$version" \
            --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
        ;;
    sample)
        wheels wheels-sample examples
        built "$SAMPLE_IMAGE" deploy/compose/sample/Dockerfile
        ;;
    *)
        echo "build.sh: unknown: $wanted" >&2
        exit 2
        ;;
    esac
done
