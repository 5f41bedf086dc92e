"""Source: mcp-gateway.md G2, G54."""

import pytest

from sidecar.core.names import Known, bare_method, fold, is_tool_name

LOOK_ALIKES = ["NAME", "Name", "na\u006d\u0045", "name\0", "\0name", "na\0me"]


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_known_imitated_by_a_look_alike_says_so(name: str) -> None:
    assert Known(["name"]).imitated({name})


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("params", "param\u017f"),  # long s
        ("task", "tas\u212a"),  # kelvin
        ("id", "\u0131d"),  # dotless i
        ("id", "\u0130D"),  # dotted capital I
        ("progressToken", "progresstoken"),
        ("progressToken", "PROGRESSTO\u212aEN"),
    ],
)
def test_known_imitated_beyond_ascii_says_so(known: str, name: str) -> None:
    assert Known([known]).imitated({name})


@pytest.mark.parametrize("names", [set(), {"name"}, {"name", "other"}, {"nam"}, {"name "}, {"n\u0430me"}])
def test_known_imitated_by_none_passes(names: set[str]) -> None:
    assert not Known(["name"]).imitated(names)


def test_known_that_fold_alike_do_not_imitate_each_other() -> None:
    assert not Known(["Amount", "amount"]).imitated({"Amount", "amount"})


def test_fold_keeps_plain_lower_case() -> None:
    assert fold("progress_token") == "progress_token"


@pytest.mark.parametrize(
    "method",
    [
        "Tools/Call",
        "TOOLS/CALL",
        " tools/call",
        "tools/call ",
        "tools/call\n",
        "tools/call\0",
        "tools/c\0all",
        "tools%2fcall",
        "tools%2Fcall",
        "tools%252fcall",
        "%74ools/call",
        "tools\\u002fcall",
        "tools\\u{002f}call",
        "tools\\x2fcall",
        "tools&#47;call",
        "tools&#x2f;call",
        "tools\uff0fcall",
        "tools\u2215call",
        "tools\u2044call",
        "tools\\call",
        "tools//call",
        "/tools/call",
        "tools/call/",
        "tool\u017f/call",
        "\uff54\uff4f\uff4f\uff4c\uff53/call",
        "tools/\u200bcall",
        "tools\u00ad/call",
        "\ufefftools/call",
    ],
)
def test_bare_method_of_a_look_alike_is_the_policed_one(method: str) -> None:
    assert bare_method(method) == "tools/call"


@pytest.mark.parametrize(
    "method",
    [
        "tools/calls",
        "tools.call",
        "tool/call",
        "resources/read",
        "x/tools/call",
        "%2525252525252fx",
        "",
        "/",
        "%",
        "&#9999999;",
    ],
)
def test_bare_method_of_another_is_not_policed(method: str) -> None:
    assert bare_method(method) not in ("tools/call", "tools/list")


def test_bare_method_of_a_long_name_takes_linear_time() -> None:
    assert len(bare_method("%25" * 100_000)) < 300_000


@pytest.mark.parametrize("name", ["a", "delete_repo", "A.b-c_9", "x" * 128])
def test_is_tool_name_of_the_common_form_passes(name: str) -> None:
    assert is_tool_name(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "delete_repo ", "delete_repo\n", "a/b", "d\u00e9p\u00f4t", "a\0", "\uff41"]
)
def test_is_tool_name_of_another_form_fails(name: str) -> None:
    assert not is_tool_name(name)
