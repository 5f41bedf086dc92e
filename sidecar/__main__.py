"""`regate`, and `python -m sidecar`, which is the same."""

import sys


def main() -> int:
    """Runs one command and returns its exit code; 130 when Ctrl-C came before it began."""
    try:
        return _run()
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    """A plain `regate health` is answered without loading the other commands."""
    if sys.argv[1:2] == ["health"] and (code := _health(sys.argv[2:])) is not None:
        return code
    from sidecar.cli import main as cli

    return cli()


def _health(arguments: list[str]) -> int | None:
    """The exit code, or None where the whole command line is needed, if only to say what is wrong."""
    from sidecar import checkup

    asked = checkup.wanted(arguments)
    if asked is None:
        return None
    try:
        well, line = checkup.check(asked)
    except Exception:
        return None
    print(f"regate: {ascii(line)[1:-1]}", file=sys.stdout if well else sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
