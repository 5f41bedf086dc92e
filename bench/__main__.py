"""`make bench`: measures direct, forwarder and gateway in one run and prints figures, ratios and goals."""

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import report
from bench.measure import measured
from bench.stage import built

_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- figures: written by make bench -->\n", "<!-- end of figures -->"


def main() -> int:
    """0 whether goals are met or missed: a figure is a finding, not a failure. Wrong answers raise."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one stretch of load (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the medians are taken (default 5)")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {_DOCUMENT.name}")
    parser.add_argument("--folder", type=Path, help="where state is kept meanwhile (default: a temporary folder)")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    with tempfile.TemporaryDirectory(prefix="regate-bench-", dir=options.folder) as name:
        folder = Path(name)
        with built(folder) as stage:
            results = measured(stage, options.rounds, options.seconds, folder)
    text = f"{_conditions(options.rounds, options.seconds)}\n\n{report.markdown(results)}"
    print(text)
    if options.write:
        _write(text)
    return 0


def _conditions(rounds: int, seconds: float) -> str:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"{day}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}; "
        f"medians of {rounds} interleaved rounds of {seconds:g} s."
    )


def _write(text: str) -> None:
    document = _DOCUMENT.read_text(encoding="utf-8")
    before, found, rest = document.partition(_BEGIN)
    _, closed, after = rest.partition(_END)
    if not found or not closed:
        sys.exit(f"{_DOCUMENT.name} has no place for the figures: {_BEGIN.strip()} … {_END}")
    _DOCUMENT.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
