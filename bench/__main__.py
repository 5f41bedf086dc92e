"""`make bench`: measures direct, forwarder and gateway in one run, then bundles of many sizes; prints what it found."""

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import report, size
from bench.measure import measured
from bench.stage import built

_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_PARTS = ("calls", "size")
_BEGIN = {"calls": "<!-- figures: written by make bench -->\n", "size": "<!-- sizes: written by make bench -->\n"}
_END = "<!-- end of figures -->"


def main() -> int:
    """0 whether goals are met or missed: a figure is a finding, not a failure. Wrong answers raise."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one stretch of load (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the medians are taken (default 5)")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {_DOCUMENT.name}")
    parser.add_argument("--folder", type=Path, help="where state is kept meanwhile (default: a temporary folder)")
    parser.add_argument(
        "--only", choices=_PARTS, help="calls through the gateway, or bundles of many sizes (default both)"
    )
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    for part in _PARTS if options.only is None else (options.only,):
        with tempfile.TemporaryDirectory(prefix="regate-bench-", dir=options.folder) as name:
            text = _measured(part, options.rounds, options.seconds, Path(name))
        print(text)
        if options.write:
            _write(part, text)
    return 0


def _measured(part: str, rounds: int, seconds: float, folder: Path) -> str:
    if part == "size":
        return f"{_conditions(f'medians of {rounds} interleaved rounds')}\n\n{size.run(rounds, folder)}"
    with built(folder) as stage:
        results = measured(stage, rounds, seconds, folder)
    return f"{_conditions(f'medians of {rounds} interleaved rounds of {seconds:g} s')}\n\n{report.markdown(results)}"


def _conditions(how: str) -> str:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{day}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}; {how}."


def _write(part: str, text: str) -> None:
    document = _DOCUMENT.read_text(encoding="utf-8")
    begin = _BEGIN[part]
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(_END)
    if not found or not closed:
        sys.exit(f"{_DOCUMENT.name} has no place for the figures: {begin.strip()} … {_END}")
    _DOCUMENT.write_text(f"{before}{begin}\n{text}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
