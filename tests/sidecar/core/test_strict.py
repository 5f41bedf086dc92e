"""Source: mcp-gateway.md G1, G2."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.strict import Number, read
from sidecar.errors import Malformed


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{}", {}),
        (b" \t\r\n[1 , 2.50]\n ", [Number("1"), Number("2.50")]),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": Number("1")}, "b": {"a": Number("1")}}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        ('"\u2028\u00e9"'.encode(), "\u2028\u00e9"),
        (b"[1e400, -0, 0.0E+1]", [Number("1e400"), Number("-0"), Number("0.0E+1")]),
        (b"9" * 100_000, Number("9" * 100_000)),
        (b"[true,false,null]", [True, False, None]),
        (b'"__proto__"', "__proto__"),
    ],
)
def test_read_strict_json_is_its_value(data: bytes, value: object) -> None:
    assert read(data) == value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", -32700),
        (b"   ", -32700),
        (b"\xef\xbb\xbf{}", -32700),
        ("{}".encode("utf-16"), -32700),
        ("{}".encode("utf-16-le"), -32700),
        ("{}".encode("utf-32"), -32700),
        (b'"\xff"', -32700),
        (b'"\xc0\xaf"', -32700),
        (b'"\xed\xa0\x80"', -32700),
        (b'"\xf4\x90\x80\x80"', -32700),
        (b"NaN", -32700),
        (b"[Infinity]", -32700),
        (b"[-Infinity]", -32700),
        (b'{"a":-Infinity}', -32700),
        (b'"\\ud800"', -32700),
        (b'{"\\udc00":1}', -32700),
        (b'"\\ud83d\\ud83d"', -32700),
        (b'"\\ude00\\ud83d"', -32700),
        (b'"a\x00b"', -32700),
        (b'"a\nb"', -32700),
        (b'"a\tb"', -32700),
        (b"[" * 100_000, -32700),
        (b"[" * 100_000 + b"]" * 100_000, -32700),
        (b'{"a":' * 100_000, -32700),
        (b"{} {}", -32700),
        (b"{}\x00", -32700),
        (b"{}\x0b", -32700),
        (b"{}//", -32700),
        (b"/**/{}", -32700),
        (b"{'a':1}", -32700),
        (b"{a:1}", -32700),
        (b'{"a":1,}', -32700),
        (b"[1,]", -32700),
        (b"[01]", -32700),
        (b"[+1]", -32700),
        (b"[1.]", -32700),
        (b"[.5]", -32700),
        (b"[0x10]", -32700),
        (b"[1_000]", -32700),
        ("[\uff11]".encode(), -32700),
        (b'"\\x41"', -32700),
        (b'"\\u00"', -32700),
        (b'"\\u+041"', -32700),
        (b'{"a"', -32700),
        (b'{"a":1', -32700),
        (b'"a', -32700),
        (b"tru", -32700),
        (b'{"a":1,"a":1}', -32600),
        (b'{"a":1,"\\u0061":2}', -32600),
        (b'[{"x":[{"a":1,"b":2,"a":3}]}]', -32600),
    ],
)
def test_read_anything_else_is_refused(data: bytes, code: int) -> None:
    with pytest.raises(Malformed) as caught:
        read(data)
    assert caught.value.rpc_code == code
    assert caught.value.http_status == 400
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("depth", range(100, 1200, 50))
def test_read_surrogates_at_any_depth_never_crashes(depth: int) -> None:
    data = b"[" * depth + b'"\\ud83d\\ude00"' + b"]" * depth
    with suppress(Malformed):
        assert read(data) == json.loads(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(json_values)
def test_read_what_json_writes_is_the_same(value: object) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert read(text) == value
