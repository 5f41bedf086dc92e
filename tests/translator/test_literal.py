import json
import subprocess
import unicodedata
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator import literal
from translator.program import Json, Number

TEXTS = (
    "",
    "plain",
    'a "quote" and a back\\slash',
    "line\nfeed\r\ttab",
    "} if { true } # comment",
    "nul \x00 bell \x07 escape \x1b delete \x7f next line \x85",
    "line separator \u2028 paragraph \u2029 byte-order mark \ufeff",
    "turned \u202e round \u2066 isolate \u200b nothing",
    "é 漢 😀 \U0010ffff \ufffd \uffff tag \U000e0041",
    "${x} {{y}} `z` %s \\u0041",
)


def number(text: str) -> Number:
    return Number(text, Decimal(text))


NUMBERS: list[Json] = [
    number(text) for text in ("-0.0", "1e2", "-1e400", "0.1", "1.5e-8", "9007199254740993", "1e-1000")
]
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("pay", '"pay"'),
        ('say "hi"', r'"say \"hi\""'),
        ("a\\b", r'"a\\b"'),
        ("a\nb\r\t", r'"a\nb\r\t"'),
        ("\x00\u2028\u202e\xa0", r'"\u0000\u2028\u202e\u00a0"'),
        ("é漢😀", '"é漢😀"'),
        ("\U000e0041", r'"\udb40\udc41"'),
    ],
)
def test_string_is_quoted_on_one_line(text: str, written: str) -> None:
    assert literal.string(text) == written


@given(st.text())
def test_string_of_any_text_is_one_visible_line_with_the_same_meaning(text: str) -> None:
    written = literal.string(text)
    assert json.loads(written) == text
    assert not {unicodedata.category(char) for char in written} & {"Cc", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(char) for char in written} & TURNING
    assert len(written.splitlines()) == 1


def test_note_escapes_what_lies_beyond_the_basic_plane_as_yaml_reads_it() -> None:
    assert literal.note('a "b"\n\U000e0041😀') == '"a \\"b\\"\\n\\U000e0041😀"'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("-0.0", "0"),
        ("0e999999", "0"),
        ("1", "1"),
        ("60.0", "60"),
        ("1e2", "100"),
        ("-2.50", "-2.5"),
        ("0.1", "0.1"),
        ("0.30000000000000000004", "0.30000000000000000004"),
        ("12.034", "12.034"),
        ("0.000001", "0.000001"),
        ("-0.0000001", "-1e-7"),
        ("1.5e-8", "1.5e-8"),
        ("100000000000000000000", "100000000000000000000"),
        ("-1000000000000000000000", "-1e21"),
        ("9007199254740993", "9007199254740993"),
        ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        ("1E400", "1e400"),
        ("1e-1000", "1e-1000"),
    ],
)
def test_number_has_one_canonical_text(text: str, written: str) -> None:
    assert literal.number(Decimal(text)) == written


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_number_keeps_its_exact_value(value: Decimal) -> None:
    assert Decimal(literal.number(value)) == value
    assert literal.number(value) == literal.number(value.normalize()) or len(value.as_tuple().digits) > 28


@pytest.mark.parametrize(
    ("json_value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ("a\n", r'"a\n"'),
        (number("1.0"), "1"),
        ([], "[]"),
        ({}, "{}"),
        (["a", number("2"), None, [False]], '["a", 2, null, [false]]'),
        ({'k"': {"b": number("1")}, "a": []}, r'{"k\"": {"b": 1}, "a": []}'),
    ],
)
def test_value_is_a_term_on_one_line(json_value: Json, written: str) -> None:
    assert literal.value(json_value) == written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("git", ".git"),
        ("_x1", "._x1"),
        ("input", ".input"),
        ("1a", '["1a"]'),
        ("with-dash", '["with-dash"]'),
        ("with", '["with"]'),
        ("not", '["not"]'),
        ("", '[""]'),
        ("é", '["é"]'),
        ("a\n", r'["a\n"]'),
    ],
)
def test_step_is_bare_only_where_rego_allows_it(name: str, written: str) -> None:
    assert literal.step(name) == written


def module_of(package: str) -> str:
    return (
        f"# METADATA\n# title: {literal.note(''.join(TEXTS))}\npackage literals{literal.step(package)}\n\n"
        f"texts := {literal.value(list(TEXTS))}\n\nnumbers := {literal.value(NUMBERS)}\n\n"
        f"members := {literal.value({text: text for text in TEXTS})}\n"
    )


def opa(opa_path: Path, *arguments: str | Path) -> str:
    done = subprocess.run([opa_path, *arguments], capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


@pytest.mark.parametrize("package", ["plain", "with", 'a "quote" and é 漢 😀'])
def test_opa_leaves_literals_as_they_are_written(package: str, opa_path: Path, tmp_path: Path) -> None:
    """Not so a package named with a control: OPA 1.22 loads it, but formats it into what it cannot parse."""
    module = tmp_path / "literals.rego"
    module.write_text(module_of(package), encoding="utf-8")
    assert opa(opa_path, "fmt", "--fail", "--list", module) == ""


def test_opa_reads_back_every_text_and_number(opa_path: Path, tmp_path: Path) -> None:
    package = "".join(TEXTS)
    module = tmp_path / "literals.rego"
    module.write_text(module_of(package), encoding="utf-8")
    opa(opa_path, "check", "--strict", module)
    answer = opa(opa_path, "eval", "--data", module, "data.literals", "--format", "raw")
    [(name, found)] = json.loads(answer, parse_int=Decimal, parse_float=Decimal).items()
    assert name == package
    assert found["texts"] == list(TEXTS)
    assert found["members"] == {text: text for text in TEXTS}
    assert found["numbers"] == [each.value for each in NUMBERS]
