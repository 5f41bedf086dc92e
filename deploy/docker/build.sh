#!/bin/sh
# Builds the product image: `deploy/docker/build.sh [NAME]`, by default regate:VERSION. The wheels that go into it are
# downloaded first, by this machine's pip as it is configured, so that the build itself asks no network.
# PYTHON_IMAGE and OPA_IMAGE are used as they are here; where they are not, docker pulls them.
set -eu
cd "$(dirname "$0")/../.."
: "${PYTHON_IMAGE:=python:3.13-slim}" "${OPA_IMAGE:=openpolicyagent/opa:1.22.0-static}" "${PIP:=.venv/bin/python -m pip}"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' sidecar/__init__.py)
name=${1:-regate:$version}

tag=$(docker run --rm --network none --entrypoint python3 "$PYTHON_IMAGE" -c \
    'import platform, sys; print("%d.%d" % sys.version_info[:2], platform.machine())')
python=${tag% *} machine=${tag#* }
stamp=.cache/wheels/.for-$python-$machine-$(cat requirements/run.txt requirements/image.txt | sha256sum | cut -c 1-16)
if [ ! -e "$stamp" ]; then
    rm -rf .cache/wheels
    mkdir -p .cache/wheels
    for lock in run image; do
        $PIP download -q --require-hashes --only-binary :all: --no-deps --python-version "$python" \
            --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
            --dest .cache/wheels -r "requirements/$lock.txt"
    done
    touch "$stamp"
fi
docker build -q -f deploy/docker/Dockerfile -t "$name" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --build-arg "OPA_IMAGE=$OPA_IMAGE" . >/dev/null
base=$(docker image inspect --format '{{.Size}}' "$PYTHON_IMAGE")
all=$(docker image inspect --format '{{.Size}}' "$name")
echo "$name: $((all / 1000000)) MB, of which $(((all - base) / 1000000)) MB are over $PYTHON_IMAGE"
