"""Source: YAML 1.1 and its type repository, yaml.org/type."""

import time
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from translator.number import number
from translator.program import Number
from translator.yamlscalar import CORE, Read, Unreadable, plain, tagged


def _number(text: str) -> Number:
    value = number(text)
    assert value is not None
    return value


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_plain_null(text: str) -> None:
    assert plain(text) == Read(None)


@pytest.mark.parametrize(
    ("text", "value", "surprise"),
    [
        ("true", True, ""),
        ("FALSE", False, ""),
        ("yes", True, "is read as true"),
        ("On", True, "is read as true"),
        ("NO", False, "is read as false"),
        ("off", False, "is read as false"),
    ],
)
def test_plain_boolean_of_yaml_1_1(text: str, value: bool, surprise: str) -> None:
    assert plain(text) == Read(value, surprise)


@pytest.mark.parametrize(
    "text", ["abc", "y", "N", "tRUE", "usd", "30/hour", "=", "<<", "-", ".", "+", "é", "1.2.3", "5 x"]
)
def test_plain_text_is_text(text: str) -> None:
    assert plain(text) == Read(text)


@pytest.mark.parametrize("text", ["0", "-0", "50000", "9007199254740993", "0.10", "-1.50", "1.5e+3", "1.0E-400"])
def test_plain_number_that_json_has_is_kept_as_written(text: str) -> None:
    assert plain(text) == Read(_number(text))


@pytest.mark.parametrize("text", ["1e3", "1E400", "-1.5e3", "12e45"])
def test_plain_number_of_json_that_yaml_1_1_takes_for_text_is_a_number_and_told(text: str) -> None:
    assert plain(text) == Read(_number(text), "is read as a number")


@pytest.mark.parametrize(
    ("text", "literal"), [("+5", "5"), (".5", "0.5"), ("5.", "5"), ("010.50", "10.50"), ("+1.5e+3", "1.5e+3")]
)
def test_plain_number_that_only_json_lacks_is_the_same_number(text: str, literal: str) -> None:
    assert plain(text) == Read(_number(literal))


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("0777", "511"),
        ("-017", "-15"),
        ("0_7", "7"),
        ("00", "0"),
        ("0x1F", "31"),
        ("0b1010", "10"),
        ("1_000_000", "1000000"),
        ("1_0.5_0", "10.50"),
        ("0_", "0"),
        ("1:30", "90"),
        ("01:30.5", "90.5"),
        ("-190:20:30", "-685230"),
        ("1:30.25", "90.25"),
    ],
)
def test_plain_number_that_others_read_otherwise_is_that_of_yaml_1_1_and_told(text: str, literal: str) -> None:
    assert plain(text) == Read(_number(literal), f"is read as {literal}")


@pytest.mark.parametrize("text", ["08", "0o17", "+1e3", "1_0e5", "019"])
def test_plain_text_that_others_read_as_a_number_is_told(text: str) -> None:
    assert plain(text) == Read(text, "is read as text")


@pytest.mark.parametrize("text", ["01:30", "0b2", "0b", "0x", "0xg", "0x_", "1:60", "0:", "12:34:"])
def test_plain_text_that_is_nearly_a_number_is_text(text: str) -> None:
    assert plain(text) == Read(text)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".NaN"])
def test_plain_number_that_json_lacks_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable) as error:
        plain(text)
    assert error.value.message == "is no number that JSON has"


@pytest.mark.parametrize("text", ["2026-11-20", "2026-1-2", "2026-11-20T10:00:00Z", "2026-11-20 10:00:00.5 +1"])
def test_plain_date_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable) as error:
        plain(text)
    assert (error.value.message, error.value.hint) == (
        "is a date, and JSON has none",
        "put it in quotes to make it text",
    )


@pytest.mark.parametrize(
    "text", ["1e1001", "1" * 101, "0x" + "f" * 3001, "1" + ":1" * 1501, "0x" + "f" * 90, "1_" * 99 + "1" * 9]
)
def test_plain_number_out_of_range_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match="out of range"):
        plain(text)


def test_plain_of_megabytes_takes_no_time() -> None:
    before = time.process_time()
    for text in (
        "1" * 10**6 + "x",
        "0x" + "_" * 10**6,
        ":1" * 10**6,
        "1:1" * 10**6 + "x",
        "1_" * 10**6 + "e",
        "1." * 10**6,
        "2026-01-01 " + " " * 10**6,
    ):
        assert plain(text).value == text
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("text", "tag", "value"),
    [
        ("5", "str", "5"),
        ("no", "str", "no"),
        ("5", "int", Number("5", Decimal(5))),
        ("0.5", "float", Number("0.5", Decimal("0.5"))),
        ("yes", "bool", True),
        ("", "null", None),
    ],
)
def test_tagged_scalar_is_what_its_tag_says(text: str, tag: str, value: Any) -> None:
    assert tagged(text, CORE + tag) == value


@pytest.mark.parametrize(
    ("text", "tag", "message"),
    [
        ("x", CORE + "int", "is not what its tag !!int says"),
        ("1", CORE + "bool", "is not what its tag !!bool says"),
        ("x", CORE + "null", "is not what its tag !!null says"),
        ("x", CORE + "binary", "has the tag tag:yaml.org,2002:binary, which is not read here"),
        (
            "x",
            CORE + "python/object:os.system",
            "has the tag tag:yaml.org,2002:python/object:os.system, which is not read here",
        ),
        ("x", "!own", "has the tag !own, which is not read here"),
    ],
)
def test_tagged_scalar_of_another_kind_is_unreadable(text: str, tag: str, message: str) -> None:
    with pytest.raises(Unreadable) as error:
        tagged(text, tag)
    assert (error.value.message, error.value.hint) == (message, "remove the tag")


@given(st.text("0123456789+-._:eExbo", min_size=1, max_size=8))
def test_plain_agrees_with_pyyaml_unless_told_or_refused(text: str) -> None:
    try:
        expected = yaml.SafeLoader.construct_document(loader := yaml.SafeLoader(""), loader_node(loader, text))
    except (ValueError, yaml.YAMLError):
        return
    try:
        read = plain(text)
    except Unreadable:
        return
    if read.surprise == "is read as a number":
        assert expected == text
    elif isinstance(expected, int | float):
        assert isinstance(read.value, Number)
        assert float(read.value.value) == pytest.approx(float(expected))
    else:
        assert read.value == expected


def loader_node(loader: yaml.SafeLoader, text: str) -> yaml.ScalarNode:
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    return yaml.ScalarNode(tag, text)
