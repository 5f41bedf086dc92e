"""What a server says it has: the result of tools/list, read as untrusted text. Not what a policy makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from translator import source
from translator.errors import InventoryRejected
from translator.report import Report, quote
from translator.tree import Node

MAX_TOOLS = 10_000
_SHAPES = 'save the whole result of tools/list, {"tools": […]}'


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as its server describes it.

    `schema` is its inputSchema, None when there is none that can be relied on. The hints are its annotations: None
    where it has none of that name, or one that is no boolean.
    """

    name: str
    schema: Node | None = None
    description: str = ""
    read_only: bool | None = None
    destructive: bool | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The tools of one server, by name, in the order of its list."""

    tools: Mapping[str, Tool]


def read(text: bytes) -> Inventory:
    """The tools that the document lists.

    Shape: `{"tools": […]}`, `{"result": {"tools": […]}}`, or the array alone. A tool that is listed twice has no schema
    to rely on.
    Raises: InventoryRejected with every problem.
    """
    report = Report()
    decoded = ""
    if len(text) > source.MAX_BYTES:
        report.unreadable(0, f"the list of tools is larger than {source.MAX_BYTES} bytes")
    else:
        decoded = source.decode(text, report)
        if not report and not decoded.strip():
            report.unreadable(0, "the list of tools is empty", _SHAPES)
    root = None if report else source.read(decoded, report)
    tools = _tools(_listed(root, report), report) if root else {}
    if report:
        raise InventoryRejected(report.problems(decoded, ""))
    return Inventory(tools)


def _listed(root: Node, report: Report) -> list[Node]:
    held = root
    for name in ("result", "tools"):
        if isinstance(held.value, dict) and name in held.value:
            cursor = held.value.get("nextCursor")
            if cursor is not None and cursor.value is not None:
                report.add(cursor, "this is one page of several", "save the tools of all pages in one list")
            held = held.value[name]
    if isinstance(held.value, list):
        if len(held.value) > MAX_TOOLS:
            report.add(held, f"lists more than {MAX_TOOLS} tools")
        return held.value[:MAX_TOOLS]
    if isinstance(held.value, dict):
        report.add(held, f"lacks the member {quote('tools')}", _SHAPES)
    else:
        report.wrong_type(held, "an array of tools", _SHAPES)
    return []


def _tools(listed: list[Node], report: Report) -> dict[str, Tool]:
    tools: dict[str, Tool] = {}
    for node in listed:
        members = node.value
        name = members.get("name") if isinstance(members, dict) else None
        if not isinstance(members, dict):
            report.wrong_type(node, "a tool (object)")
        elif name is None:
            report.add(node, f"lacks the member {quote('name')}")
        elif not isinstance(name.value, str):
            report.wrong_type(name, "a string")
        elif name.value in tools:
            tools[name.value] = Tool(name.value)
        else:
            tools[name.value] = _tool(name.value, members)
    return tools


def _tool(name: str, members: Mapping[str, Node]) -> Tool:
    schema, annotations, described = (members.get(each) for each in ("inputSchema", "annotations", "description"))
    hints = annotations.value if annotations is not None and isinstance(annotations.value, dict) else {}
    text = described.value if described is not None else ""
    return Tool(
        name,
        schema,
        text if isinstance(text, str) else "",
        _hint(hints, "readOnlyHint"),
        _hint(hints, "destructiveHint"),
    )


def _hint(hints: Mapping[str, Node], name: str) -> bool | None:
    node = hints.get(name)
    return node.value if node is not None and isinstance(node.value, bool) else None
