"""Argument paths: text → segments. What a segment finds is Rego's business."""

from collections.abc import Sequence

from translator.report import Report, quote
from translator.tree import Node

ROOT = "args"
MAX_SEGMENTS = 32


def path(node: Node, report: Report) -> tuple[str, ...]:
    """The segments after `args`; empty, and a fault, when the string at `node` is not a path.

    Source: policy-semantics, section 5.
    """
    text = node.value
    if not isinstance(text, str):
        report.wrong_type(node, "a path such as args.amount")
        return ()
    root, *segments = text.split(".")
    if root != ROOT:
        report.add(node, f"the path {quote(text)} does not start with {quote('args.')}", _hint(text))
    elif not segments:
        report.add(node, f"the path {quote(text)} names no argument", "write args.name")
    elif not all(segments):
        report.add(node, f"the path {quote(text)} has an empty segment", "write args.name, or args.list.*.name")
    elif len(segments) > MAX_SEGMENTS:
        report.add(node, f"the path has {len(segments)} segments, more than {MAX_SEGMENTS}")
    else:
        return tuple(segments)
    return ()


def written(segments: Sequence[str]) -> str:
    """The path as it stands in the document."""
    return ".".join((ROOT, *segments))


def _hint(text: str) -> str:
    if text.startswith("state."):
        return "counters belong in limits"
    return f"write {quote('args.' + text)}" if text and not text.startswith(".") else ""
