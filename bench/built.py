"""`regate build` of a folder, and then the most memory it held, in bytes: a process of its own to be measured."""

import resource
import sys

from sidecar.cli import main

if __name__ == "__main__":
    code = main(["build", sys.argv[1], "-o", sys.argv[2]])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    sys.exit(code)
