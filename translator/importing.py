"""Documents of other shapes → a policy: YAML of two dialects, and fragments without version and default.

What comes out is the canonical text of a policy, so that what is printed is what is compiled. No files are read here.
Source: policy-semantics, sections 10, 11 and 15.14.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from translator import canonical, check, document, intercept, rulesyaml, source, yamlsource
from translator.errors import PolicyRejected, Problem
from translator.inventory import Tool
from translator.report import Report, quote, shorten
from translator.rewrite import policy, standing
from translator.tree import Node

Default: TypeAlias = Literal["allow", "deny"]
_BODY = frozenset(("$schema", "description", "hide", "all_tools", "tools"))
"""Members of a policy that is a fragment only because it lacks version and default."""
_NO_FRAGMENT = "leave --fragment-default out"
_FRAGMENT = (
    "--fragment-default deny (or allow) makes it one; the default is the fate of the tools that it does not name"
)


class Dialect(StrEnum):
    """What a document is written in."""

    POLICY = "policy"
    INTERCEPT = "intercept"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class Imported:
    """The policy as canonical text, and what its author should know. A warning is a problem that stops nothing."""

    text: str
    dialect: Dialect
    warnings: tuple[Problem, ...] = ()


class _Placed(Report):
    """Points into the document as written, never by the id of a rule that is not in it."""

    def add(self, node: Node, message: str, hint: str = "", *, rule: str | None = None) -> None:  # noqa: ARG002
        super().add(node, message, hint)


def import_policy(
    text: bytes,
    *,
    dialect: Dialect | None = None,
    fragment_default: Default | None = None,
    tools: Mapping[str, Tool] | None = None,
    policy_id: str = "",
) -> Imported:
    """The policy that the document stands for. `policy_id` only labels the problems.

    Shape: without a `dialect`, text that begins with `{` is JSON, and YAML is told by the members of its rules.
    `fragment_default` is for a fragment, and for nothing else; `tools` are the server's, for their input schemas.
    Raises: PolicyRejected with every problem, each at its place in the document.
    """
    report, remarks = _Placed(), Report()
    decoded = source.decode(text, report)
    root = None
    if not report:
        if dialect is None and decoded.lstrip().startswith("{"):
            dialect = Dialect.POLICY
        is_json = dialect is Dialect.POLICY
        root = source.read(decoded, report) if is_json else yamlsource.read(decoded, report, remarks)
    if root is not None:
        root = _whole(root, fragment_default, report)
    if root is not None and dialect is None:
        dialect = _detected(root, report)
    if root is None or dialect is None:
        raise PolicyRejected(_told(report, decoded, policy_id))
    if dialect is not Dialect.POLICY:
        rules = intercept.rules if dialect is Dialect.INTERCEPT else rulesyaml.rules(tools)
        root = policy(root, rules, report, remarks)
    made = document.policy(root, report)
    if made is not None:
        check.check(made, report)
    if report:
        raise PolicyRejected(_told(report, decoded, policy_id))
    written = canonical.text(root)
    if len(written.encode()) > source.MAX_BYTES:
        message = f"the imported policy is larger than {source.MAX_BYTES} bytes"
        raise PolicyRejected((Problem(policy_id, "", 1, 1, message, "split the policy"),))
    warnings = _told(remarks, decoded, policy_id)
    return Imported(written, dialect, tuple(replace(each, code="import", severity="warning") for each in warnings))


def _told(report: Report, text: str, policy_id: str) -> tuple[Problem, ...]:
    """The problems, each once: a node that stands in two rules is read twice."""
    return tuple(dict.fromkeys(report.problems(text, policy_id)))


def _whole(root: Node, default: Default | None, report: Report) -> Node | None:
    """The document with version and default; None, and a problem, when it is unclear whether it has them."""
    held = root.value
    if not isinstance(held, dict):
        return root
    is_fragment = "version" not in held and "default" not in held
    if not is_fragment and default is not None:
        report.add(root, "is no fragment: it has a version or a default", _NO_FRAGMENT)
        return None
    if not is_fragment:
        return root
    if default is None:
        report.add(root, "is no whole policy: it has neither version nor default", _FRAGMENT)
        return None
    body = held if "tools" in held and held.keys() <= _BODY else {"tools": standing(root, held)}
    return standing(root, {"version": standing(root, "1"), "default": standing(root, default), **body})


def _detected(root: Node, report: Report) -> Dialect | None:
    """The dialect by the first member that only one has; Intercept's, when both have all and mean the same.

    None, and a problem, when members of both are there.
    """
    first: dict[Dialect, Node] = {}
    for rule in _rules(root):
        for node in rule.values():
            dialect = _only_in(node)
            if dialect is not None:
                first.setdefault(dialect, node)
    if len(first) > 1:
        (_, one), (other_dialect, other) = first.items()
        elsewhere = shorten(one.pointer())
        message = f"{quote(str(other.key))} as here is of the dialect {other_dialect}, but {elsewhere} is not"
        report.add(other, message, "say which it is: --dialect intercept or --dialect rules")
        return None
    return next(iter(first), Dialect.INTERCEPT)


def _rules(root: Node) -> "list[dict[str, Node]]":
    """The rules of all tools, as far as the document has the shape for them."""
    tools = root.value.get("tools") if isinstance(root.value, dict) else None
    found = []
    for tool in tools.value.values() if tools is not None and isinstance(tools.value, dict) else ():
        listed = tool.value.get("rules") if isinstance(tool.value, dict) else None
        for rule in listed.value if listed is not None and isinstance(listed.value, list) else ():
            if isinstance(rule.value, dict):
                found.append(rule.value)
    return found


def _only_in(member: Node) -> Dialect | None:
    """The dialect that alone has this member of a rule, or this value in it."""
    match member.key, member.value:
        case ("conditions" | "state" | "on_deny", _) | ("action", "evaluate"):
            return Dialect.INTERCEPT
        case ("validate", _) | ("action", "allow") | ("rate_limit", dict()):
            return Dialect.RULES
        case "reason", _ if not _asks(member):
            return Dialect.RULES
        case _:
            return None


def _asks(reason: Node) -> bool:
    """Does it stand in a rule that asks for an approval? Both dialects have that."""
    rule = reason.parent.value if reason.parent else None
    action = rule.get("action") if isinstance(rule, dict) else None
    return action is not None and action.value == "require_approval"
