"""Source: mcp-gateway.md G26, G27."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import validator_for

from sidecar.core import listing
from sidecar.errors import Broken

SCHEMAS = Path(__file__).parents[2] / "eras" / "schema"
A = '{"name":"a","inputSchema":{"type":"object"}}'
B = '{ "inputSchema" : {"properties":{"n":{"maximum":1e400}}}, "name" : "b" , "x":"\\u00e9" }'


def answer(tools: str, more: str = "") -> bytes:
    return f'{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}]{more}}}}}'.encode()


def filtered(data: bytes, *visible: str, modern: bool = False, ttl_cap_ms: int = 1000) -> bytes:
    return listing.filtered(data, visible, modern=modern, ttl_cap_ms=ttl_cap_ms)


def test_names_of_a_list_are_in_order() -> None:
    assert listing.names(answer(f"{B},{A},{A}")) == ("b", "a", "a")
    assert listing.names(answer("")) == ()


@pytest.mark.parametrize(
    "data",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"tools"}]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{"listChanged":true}}}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"tools":[{"name":"a"}]}}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":"none"}}',
        b'{"jsonrpc":"2.0","id":1,"result":[{"tools":[]}]}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no \\"tools\\""}}',
        b'{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"tools":[{"name":"a"}]}}',
        b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
        b'{"jsonrpc":"2.0","id":1,"result":{"text":"\\u0074\\u0000"}}',
        b"[]",
        b"[1,[],{}]",
        b"{}",
        b"tools",
        b"",
        b"<html>no tools today</html>",
        b"tools \xff\xfe",
        b"\0",
        b'{"text":"\xff tools"}',
        b'{"n":' + b"[" * 100_000,
    ],
)
def test_names_of_anything_else_are_none(data: bytes) -> None:
    assert listing.names(data) is None
    assert filtered(data) is data


def test_filtered_drops_hidden_tools_and_nothing_else() -> None:
    data = b'{ "id" : 1, "result" : {"x":[1, 2],"tools" : [ %b , %b,%b ] , "nextCursor":"","_meta":{"a":1.50}} }\n' % (
        A.encode(),
        B.encode(),
        A.encode(),
    )
    assert filtered(data, "b") == (
        b'{ "id" : 1, "result" : {"x":[1, 2],"tools" : [%b] , "nextCursor":"","_meta":{"a":1.50}} }\n' % B.encode()
    )
    assert filtered(data) == (
        b'{ "id" : 1, "result" : {"x":[1, 2],"tools" : [] , "nextCursor":"","_meta":{"a":1.50}} }\n'
    )


def test_filtered_with_nothing_hidden_is_the_same_object() -> None:
    for data in (answer(f"{A}, {B}"), answer(""), b"\xef\xbb\xbf" + answer(A)):
        assert filtered(data, "a", "b") is data


@pytest.mark.parametrize(
    "entry",
    [
        "null",
        "5",
        '"a"',
        '["a"]',
        "{}",
        '{"name":null}',
        '{"name":5}',
        '{"name":["a"]}',
        '{"name":"A"}',
        '{"name":"a "}',
        '{"name":"a\\u0000"}',
        '{"name":"a","name":"a"}',
        '{"name":"b","name":"a"}',
        '{"name":"a","n\\u0061me":"b"}',
        '{"name":"a","Name":"b"}',
        '{"name":"a","name\\u0000":"b"}',
        '{"NAME":"a"}',
        '{"name":"a\\ud800"}',
        '{"name":"\\udc00"}',
    ],
)
def test_filtered_entry_without_one_plain_visible_name_is_dropped(entry: str) -> None:
    assert filtered(answer(f"{entry},{A}"), "a") == answer(A)
    assert b"\\ud" not in repr(listing.names(answer(entry))).encode()


@pytest.mark.parametrize(
    "entry",
    [
        '{"n\\u0061me":"\\u0061"}',
        '{"name":"a","title":"x","title":"y"}',
        '{"name":"a","inputSchema":{"properties":{"Name":{},"name":{}}}}',
        '{"name":"a","x":{"name":1,"name":2}}',
        '{"name":"a","n":NaN,"m":-Infinity}',
        '{"name":"a","d":"tab\there"}',
        '{"name":"a","n":' + "9" * 10_000 + "}",
    ],
)
def test_filtered_odd_but_readable_entry_stays(entry: str) -> None:
    data = answer(f"{B},{entry}")
    assert listing.names(data) == ("b", "a")
    assert filtered(data, "a") == answer(entry)


def test_filtered_name_beyond_ascii_is_compared_exactly() -> None:
    data = answer('{"name":"d\\u00e9p"},{"name":"de\\u0301p"},{"name":"\\ud83d\\ude00"}')
    assert filtered(data, "d\u00e9p", "\U0001f600") == answer('{"name":"d\\u00e9p"},{"name":"\\ud83d\\ude00"}')


HIDDEN = '{"name":"hidden"}'
DISGUISES = [
    answer(HIDDEN).replace(b'"tools"', b'"t\\u006fols"'),
    answer(HIDDEN).replace(b'"tools"', b'"\\u0074\\u006f\\u006f\\u006c\\u0073"'),
    answer(HIDDEN).replace(b'"tools"', b'"Tools"'),
    answer(HIDDEN).replace(b'"tools"', b'"TOOLS"'),
    answer(HIDDEN).replace(b'"tools"', '"tool\u017f"'.encode()),
    answer(HIDDEN).replace(b'"tools"', b'"tool\\u017F"'),
    answer(HIDDEN).replace(b'"tools"', b'"tools\\u0000"'),
    answer(HIDDEN).replace(b'"tools"', b'"to\\u0000ols"'),
    answer(HIDDEN).replace(b'"result"', b'"Result"'),
    answer(HIDDEN).replace(b'"result"', b'"r\\u0065sult"'),
    answer(HIDDEN, ',"tools":[]'),
    answer("", f',"tools":[{HIDDEN}]'),
    answer("", f',"Tools":[{HIDDEN}]'),
    answer(HIDDEN).replace(b'"id":1', b'"id":1,"result":{}'),
    answer(HIDDEN).replace(b'"id":1', b'"id":1,"error":{"code":1,"message":""}'),
    answer(HIDDEN)[:-1] + b',"error":{"code":1,"message":""}}',
    answer(HIDDEN).replace(b'"id":1', b'"method":"x"'),
    answer(HIDDEN).replace(b'"id":1', b'"id":null'),
    answer(HIDDEN)[:-1] + b',"result":5}',
    answer(HIDDEN)[:-1] + b',"result":{"tools":[%b]}}' % HIDDEN.encode(),
    b'{"tools":[%b]}' % HIDDEN.encode(),
    b'{"result":{"result":{"tools":[%b]}}}' % HIDDEN.encode(),
    b"[" + answer(HIDDEN) + b"]",
    b"[5," + answer("") + b" , " + answer(HIDDEN) + b"]",
    answer("") + answer(HIDDEN),
    answer("") + b"\n" + answer(HIDDEN) + b"\n",
    b"{}\xef\xbb\xbf" + answer(HIDDEN),
    b"\xef\xbb\xbf" + answer(HIDDEN),
    b"\x0b\x0c\xc2\xa0" + answer(HIDDEN) + b"\xe2\x80\xa8",
    answer(HIDDEN).decode().encode("utf-16"),
    answer(HIDDEN).decode().encode("utf-16-le"),
    answer(HIDDEN).decode().encode("utf-16-be"),
    answer(HIDDEN).decode().encode("utf-32"),
    answer(HIDDEN).decode().encode("utf-32-be"),
    answer(f'{{"name":"h","x":"\\u0068","n":NaN}},{HIDDEN}').replace(b'"h"', b'"hidden"'),
]


@pytest.mark.parametrize("data", DISGUISES)
def test_filtered_disguised_list_is_still_filtered(data: bytes) -> None:
    found = listing.names(data)
    assert found is not None
    assert set(found) == {"hidden"}
    kept = filtered(data)
    assert b"hidden" not in kept
    assert filtered(data, "hidden") is data
    assert listing.names(kept) == ()


@pytest.mark.parametrize(
    "data",
    [
        answer(HIDDEN)[:-1],
        answer(HIDDEN)[:-20],
        answer(HIDDEN) + b"}",
        answer(HIDDEN) + b" x",
        b"x " + answer(HIDDEN),
        b"/**/" + answer(HIDDEN),
        answer(HIDDEN + ","),
        answer(HIDDEN).replace(b'"id":1', b'"id":1,'),
        answer(HIDDEN).replace(b'"id":1', b'"id" 1'),
        answer(HIDDEN).replace(b'"id":1', b"id:1"),
        answer(HIDDEN).replace(b'"', b"'"),
        answer(HIDDEN).replace(b'"hidden"', b'"hidden\xff"'),
        answer(HIDDEN).replace(b"[", b"{").replace(b"]", b"}"),
        answer('{"name":"a"}').replace(b"[", b"").replace(b"]", b""),
        answer(HIDDEN).replace(b'"tools"', b'"\\u0074ools"').replace(b"}}", b"}"),
        answer(HIDDEN).replace(b'"hidden"', b"[" * 100_000),
        answer(f"{HIDDEN} {A}"),
        b"{" + answer(HIDDEN),
        b'{"result":{"tools":[1',
        b'{"result":{"tools":[',
        b'{"result":{"tools":',
        b'{"result":{"tools"',
        b'"tools":[',
        b'"tools"',
        b' "Tools" ',
        b'"t\\u006fols" :',
        answer(HIDDEN).decode().encode("utf-16") + b"x",
        b"\0" + answer(HIDDEN),
        b"\0" + answer(HIDDEN) + b" ",
    ],
)
def test_read_what_may_be_a_list_but_is_unreadable_is_broken(data: bytes) -> None:
    with pytest.raises(Broken) as caught:
        listing.read(data)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        (',"ttlMs":500,"cacheScope":"public"', ',"ttlMs":500,"cacheScope":"private"'),
        (',"cacheScope":"private","ttlMs":1000', ',"cacheScope":"private","ttlMs":1000'),
        (',"cacheScope":"private","ttlMs":1001', ',"cacheScope":"private","ttlMs":1000'),
        (',"cacheScope":"private","ttlMs":-5', ',"cacheScope":"private","ttlMs":0'),
        (',"cacheScope":"private","ttlMs":1.5e2', ',"cacheScope":"private","ttlMs":150'),
        (',"cacheScope":"private","ttlMs":1e999', ',"cacheScope":"private","ttlMs":1000'),
        (',"cacheScope":"private","ttlMs":-1e999', ',"cacheScope":"private","ttlMs":0'),
        (',"cacheScope":"private","ttlMs":' + "9" * 5000, ',"cacheScope":"private","ttlMs":1000'),
        (',"cacheScope":"private","ttlMs":NaN', ',"cacheScope":"private","ttlMs":0'),
        (',"cacheScope":"private","ttlMs":"5"', ',"cacheScope":"private","ttlMs":0'),
        (',"cacheScope" : null , "ttlMs" : null ', ',"cacheScope" : "private" , "ttlMs" : 0 '),
        (',"ttlMs":5,"cacheScope":"public","ttlMs":9999', ',"ttlMs":5,"cacheScope":"private","ttlMs":1000'),
        (',"ttlMs":5,"cacheScope":"private","CacheScope":"public"',) * 2,
    ],
)
def test_filtered_modern_hints_are_private_and_capped(hints: str, expected: str) -> None:
    expected = expected.replace('"CacheScope":"public"', '"CacheScope":"private"')
    assert filtered(answer(A, hints), "a", modern=True) == answer(A, expected)
    assert filtered(answer(A, hints), "a") == answer(A, hints)


def test_filtered_modern_list_without_hints_gets_them() -> None:
    kept = json.loads(filtered(answer(f"{A},{B}", ',"resultType":"complete"'), "a", modern=True))["result"]
    assert (kept["cacheScope"], kept["ttlMs"], len(kept["tools"])) == ("private", 0, 1)
    schema = json.loads((SCHEMAS / "2026-07-28.json").read_text("utf-8"))
    validator_for(schema)({**schema, "$ref": "#/$defs/ListToolsResult"}).validate(kept)


def test_filtered_modern_hints_outside_a_list_are_not_touched() -> None:
    data = b'{"result":{"ttlMs":9999,"cacheScope":"public","tools":5}}'
    assert filtered(data, modern=True) is data


def test_filtered_private_list_within_the_cap_is_the_same_object() -> None:
    data = answer(A, ',"cacheScope":"private","ttlMs":5')
    assert filtered(data, "a", modern=True) is data


@pytest.mark.parametrize("name", ["to\nols", "\ntools", "t\no\no\nl\ns\n"])
def test_filtered_list_whose_name_is_broken_over_lines_is_one(name: str) -> None:
    broken = answer(f"{HIDDEN},{A}").replace(b'"tools"', f'"{name}"'.encode())
    assert filtered(broken, "a") == answer(A).replace(b'"tools"', f'"{name}"'.encode())


def test_read_list_of_too_many_tools_is_broken() -> None:
    assert listing.names(answer(",".join(["{}"] * 10_000))) == ()
    with pytest.raises(Broken):
        listing.names(answer(",".join(["{}"] * 10_001)))


@pytest.mark.parametrize("size", [382, 10_000])
def test_filtered_large_list_stays_within_memory(size: int) -> None:
    data = answer(",".join(f'{{"name":"t{number}","d":"{"x" * 50}"}}' for number in range(size)))
    tracemalloc.start()
    kept = filtered(data, *(f"t{number}" for number in range(0, size, 2)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(listing.names(kept) or ()) == size // 2
    assert peak < 30 * len(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["a", "b", "\u00e9", "\U0001f600"])
tools = st.lists(values | st.fixed_dictionaries({"name": NAMES}, optional={"x": values}), max_size=5)


@given(tools, values, st.booleans(), st.sampled_from([None, 1]))
def test_filtered_any_list_keeps_all_but_the_hidden(
    entries: list[Any], extra: Any, ascii_only: bool, indent: int | None
) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "result": {"x": extra, "tools": entries, "nextCursor": ""}}
    try:
        data = json.dumps(message, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    message["result"]["tools"] = [  # type: ignore[index]
        entry for entry in entries if isinstance(entry, dict) and entry.get("name") in ("a", "\u00e9")
    ]
    assert json.loads(filtered(data, "a", "\u00e9")) == message
