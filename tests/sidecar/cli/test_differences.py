from sidecar.cli.differences import markdown, text
from sidecar.proving.budgets import Most
from sidecar.proving.diff import Before, Diff, Shown, Standing, ToolDiff

NONE = Most(None, "")
FREE = Standing("yes", NONE, ())
CLOSED = Standing("no", NONE, ())
ASKS = Standing("with approval", Most("50", "d"), (Most("1000", "args.a by s"), Most(None, "args.b")))


def shown(
    tool: str = "t", arguments: str = "{}", before: tuple[Before, ...] = (), after_s: int = 0, who: str = ""
) -> Shown:
    return Shown(tool, arguments, "denied", "allowed", before, after_s, who)


def diff(*tools: ToolDiff) -> Diff:
    return Diff(tools, "stranger", 0)


ALIKE = ToolDiff(("a", "b", "stranger"), "equivalent", None, None, (), (), FREE, FREE)


def test_text_tells_what_was_called_before() -> None:
    steps = tuple(Before(2, "u", "{}", at) for at in (0, 60, 120, 180))
    one = ToolDiff(("t",), "looser", shown(before=steps, after_s=240, who="another session"), None, (), (), FREE, FREE)
    assert list(text(diff(one)))[1] == (
        "  {}: denied -> allowed after: 2 times u {}; 2 times u {} after 60 s; 2 times u {} after 120 s; "
        "and so on, 8 calls in all; then 240 s after the first; by another session"
    )
    once = ToolDiff(
        ("t",), "both", shown(before=(Before(1, "u", "{}", 0, "another grant"),)), shown(), (), (), FREE, FREE
    )
    lines = list(text(diff(once)))
    assert lines[0] == "t: looser and stricter"
    assert lines[1].endswith("after: once u {} by another grant")


def test_text_tells_the_most_of_a_day_where_it_changes() -> None:
    one = ToolDiff(("t",), "looser", shown(), None, (), (), CLOSED, ASKS)
    assert list(text(diff(one, ALIKE)))[2:] == [
        "  callable: no -> with approval",
        "  most calls per day and grant: none -> 50 (d)",
        "  most spend per day and grant: none -> 1000 (args.a by s), no limit (args.b)",
        "equivalent: a, b, any other tool",
        "Tools: 1 looser, 2 equivalent.",
    ]


def test_text_names_a_few_of_many_tools_and_cuts_what_is_long() -> None:
    many = ToolDiff(tuple(f"t{n}" for n in range(20)), "looser", shown(arguments="x" * 999), None, (), (), FREE, FREE)
    lines = list(text(diff(many)))
    assert lines[0] == "t0, t1, t2, t3, t4, t5, t6, t7 and 12 more: looser"
    assert len(lines[1]) < 400


def test_markdown_tells_what_can_be_called_and_what_no_longer() -> None:
    opened = ToolDiff(("t",), "looser", shown(), None, (), (), CLOSED, ASKS)
    closed = ToolDiff(("u",), "stricter", None, shown("u"), (), (), FREE, CLOSED)
    lines = list(markdown(diff(opened, closed, ALIKE), "old.json", "new.json"))
    assert lines[:3] == [
        "### Policy change: `old.json` → `new.json`",
        "",
        "**Tools: 1 looser, 1 stricter, 2 equivalent.**",
    ]
    assert lines[lines.index("**Becomes callable**") + 2] == "- `t` (with approval)"
    assert lines[lines.index("**Can no longer be called**") + 2] == "- `u`"
    assert "| `t` | none | 50 (`d`) | none | 1000 (`args.a by s`), no limit (`args.b`) |" in lines
    assert "| `a`, `b`, any other tool | no limit | no limit | no limit | no limit |" in lines
    assert not any(line.startswith("| `u` | ") and "none" in line for line in lines)


def test_markdown_tells_what_is_open() -> None:
    one = ToolDiff(("t",), "equivalent", None, None, ("looser",), ("regex `x`",), FREE, FREE)
    lines = list(markdown(diff(one), "a", "b"))
    assert "- `t`, whether looser: `` regex `x` ``" in lines
    assert lines[2] == "**Tools: 1 equivalent; not everything could be decided.**"


def test_markdown_keeps_hostile_names_inside_their_cells() -> None:
    name = "a|b`c``d\n| e | @all <img> `"
    one = ToolDiff((name,), "looser", shown(arguments='{"k": "|`"}'), None, (), (), FREE, FREE)
    lines = list(markdown(diff(one), "a", "b"))
    row = next(line for line in lines if "| looser |" in line)
    assert row.startswith("| ``` a\\|b`c``d\\u000a\\| e \\| @all <img> ` ``` | looser |")
    assert row.count("|") - row.count("\\|") == 6


def test_markdown_bounds_its_tables() -> None:
    many = [ToolDiff((f"t{n}",), "looser", shown(), None, (), (), FREE, FREE) for n in range(250)]
    assert "| … 50 more | | | | |" in list(markdown(diff(*many), "a", "b"))
