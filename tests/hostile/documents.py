"""Documents to try on the translator: good policies bent out of shape. Tries none of them."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

TEXTS = (
    *(
        "",
        " ",
        "a",
        "*",
        "null",
        "true",
        "0",
        "package",
        "import",
        "default",
        "some",
        "with",
        "every",
        "if",
        "contains",
    ),
    *(
        "in",
        "not",
        "else",
        "as",
        "false",
        "input",
        "data",
        "rego",
        "args",
        "_",
        "stop",
        "limits",
        "tools",
        "gate",
        "item",
    ),
    *(
        '"',
        "\\",
        "\\\\",
        '\\"',
        "`",
        "``",
        "${x}",
        "{{x}}",
        "%s",
        "#",
        "//",
        "/*",
        "\n",
        "\r\n",
        "\t",
        "\x00",
        "\x1b[2J",
    ),
    *("a\nb", 'a" if { true }', "` + data.secret + `", '"] if { 1 == 1 }\nallow := true #', "# METADATA\n# title: x"),
    *(
        "é",
        "é",
        "ß",
        "İ",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\ufffe",
        "\U0001f600",
        "\U000e0041",
        "\ud7ff",
    ),
    *(
        "../../etc/passwd",
        "a/b",
        "~",
        "~0",
        "~1",
        "a.b",
        "args.",
        "args",
        "A" * 300,
        "$",
        "^",
        ".",
        "[",
        "(?i)",
        "(a*)*",
    ),
    *(
        "args.a",
        "args.a.*.b",
        "args.0",
        "args.*",
        "args.a.00",
        "args.a.1",
        "args." + "a." * 31 + "a",
        "args.\n",
        'args."',
        "args.a b",
    ),
)
NUMBERS = (
    *(
        "0",
        "-0",
        "1",
        "-1",
        "0.1",
        "1.0",
        "1e0",
        "1E+2",
        "60",
        "60.0",
        "9007199254740993",
        "9223372036854775808",
        "1e400",
    ),
    *(
        "1e-400",
        "1e1000",
        "1e1001",
        "-1e1000",
        "0.30000000000000004",
        "123456789012345678.123456789",
        "2678400",
        "2678401",
    ),
    *("1" * 100, "1" * 101, "0e999999999", "1e-7", "123456789012345678901234567890"),
)


class Raw(float):
    """A number that is written as this text."""

    def __new__(cls, text: str) -> "Raw":
        made = super().__new__(cls, 0)
        made.text = text  # type: ignore[attr-defined]
        return made

    def __repr__(self) -> str:
        return str(self.text)  # type: ignore[attr-defined]


def seeds() -> list[Any]:
    """Good policies: the translator's golden cases, the examples and the reference's own cases."""
    files = [*ROOT.glob("tests/translator/cases/*/policy.json"), *ROOT.glob("examples/seeds/*/policy.json")]
    found = [json.loads(path.read_text(encoding="utf-8"), parse_float=Raw, parse_int=Raw) for path in sorted(files)]
    for line in (ROOT / "tests/decisions/cases/policy-cases.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line, parse_float=Raw, parse_int=Raw)
        if isinstance(case.get("policy"), dict) and case.get("dialect", "json") == "json":
            found.append(case["policy"])
    return found


def documents(seed: int) -> Iterator[bytes]:
    """Documents without end, the same for the same seed: some are policies, some are none, some no JSON."""
    chance = random.Random(seed)
    good = seeds()
    while True:
        tree = _copied(chance.choice(good))
        for _ in range(chance.choice((1, 1, 2, 3, 5, 9))):
            tree = _bent(tree, chance)
        data = written(tree).encode("utf-8", "surrogatepass")
        if chance.random() < 0.05:
            data = _damaged(data, chance)
        yield data


def written(tree: Any) -> str:
    """The document's text, with some strings as escapes."""
    if isinstance(tree, Raw):
        return repr(tree)
    if isinstance(tree, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(written, tree)) + "]"
    return json.dumps(tree, ensure_ascii=isinstance(tree, str) and len(tree) % 2 == 0)


def _copied(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _copied(inner) for name, inner in tree.items()}
    return [_copied(inner) for inner in tree] if isinstance(tree, list) else tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in inner:
            yield node, key
            waiting.append(value)


def _bent(tree: Any, chance: random.Random) -> Any:
    """The tree with one thing in it changed: most often a text or a number, at times its shape."""
    places = list(_places(tree))
    if not places:
        return tree
    strings = [
        place
        for place in places
        if isinstance(place[0][place[1]], str) and place[1] not in ("op", "version", "default")
    ]
    names = [place for place in places if isinstance(place[0], dict) and isinstance(place[0][place[1]], dict)]
    numbers = [place for place in places if isinstance(place[0][place[1]], Raw)]
    kind = chance.random()
    if kind < 0.45 and strings:
        box, key = chance.choice(strings)
        text = chance.choice(TEXTS)
        box[key] = text if chance.random() < 0.5 else chance.choice((box[key] + text, text + box[key]))
        if key == "path" and chance.random() < 0.8:
            box[key] = "args." + (chance.choice(TEXTS) or "x")
    elif kind < 0.7 and names:
        box, key = chance.choice(names)
        box[chance.choice(TEXTS) if chance.random() < 0.7 else key + chance.choice(TEXTS)] = box.pop(key)
    elif kind < 0.85 and numbers:
        box, key = chance.choice(numbers)
        box[key] = Raw(chance.choice(NUMBERS))
    else:
        box, key = chance.choice(places)
        other, there = chance.choice(places)
        box[key] = chance.choice(
            (_copied(other[there]), [], {}, [_copied(box[key])] * 3, None, True, chance.choice(TEXTS))
        )
    return tree


def _damaged(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + chance.randrange(3) :]
