#!/usr/bin/env bash
# Puts images of the local Docker into the cluster of up.sh: load.sh NAME:TAG...
. "$(dirname "$0")/settings.sh"
for image in "$@"; do docker save "$image" | ours images import - >/dev/null; done
