"""`python -m translator check|build`: the translator without the gateway. Only arguments and files are handled here."""

import argparse
import sys
from pathlib import Path

from translator import PolicyRejected, translate


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or 1 with every problem on standard error. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="python -m translator", description="Policies in, a bundle for OPA out.")
    parser.add_argument("command", choices=["check", "build"])
    parser.add_argument("policies", nargs="+", type=Path, metavar="policy.json", help="its name is the policy's id")
    parser.add_argument("-o", "--output", type=Path, default=Path("bundle.tar.gz"), help="default: %(default)s")
    parser.add_argument("--approval-map", action="append", default=[], metavar="TEXT", help="a deny text that asks")
    options = parser.parse_args(arguments)
    if len({path.stem for path in options.policies}) < len(options.policies):
        parser.error("two policies of one name")
    try:
        texts = {path.stem: path.read_bytes() for path in options.policies}
        bundle = translate(texts, approval_map=options.approval_map)
        if options.command == "build":
            options.output.write_bytes(bundle.data)
    except (PolicyRejected, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
