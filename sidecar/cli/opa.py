"""`regate opa`: which OPA is used, obtained if need be."""

import typer

from sidecar.cli.terminal import note, printable, say

_EXAMPLE = """\b
Example:
  "$(regate opa)" version

Looked for in this order: $REGATE_OPA, PATH, beside our Python, our cache, the pinned official
release, `go install`.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("opa", epilog=_EXAMPLE)(opa)


def opa() -> None:
    """Find OPA, or get it, and print its path."""
    from sidecar.opa.binary import ensure

    path = ensure(lambda line: note(printable(line)))
    say(str(path))
