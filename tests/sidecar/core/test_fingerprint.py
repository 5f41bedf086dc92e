"""Source: policy-semantics section 8, canonical arguments."""

import hashlib
import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.fingerprint import fingerprint


def of(arguments: bytes) -> str:
    return fingerprint("s", "g", "t", arguments)


@pytest.mark.parametrize(
    "spellings",
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', b' { "b" : 2 , "a" : 1 } '),
        (b'{"a":"\\u0041\\/"}', b'{"a":"A/"}', b'{"\\u0061":"A/"}'),
        (b'{"a":100}', b'{"a":1e2}', b'{"a":100.00}', b'{"a":1E+2}', b'{"a":0.1e3}', b'{"a":1000e-1}'),
        (b'{"a":0}', b'{"a":-0}', b'{"a":0.000}', b'{"a":0e5}', b'{"a":-0.0e-9}'),
        (b'{"a":-1.5}', b'{"a":-15e-1}'),
        (b'{"a":"\\ud83d\\ude00"}', '{"a":"\U0001f600"}'.encode()),
    ],
)
def test_fingerprint_same_call_in_another_spelling_is_the_same(spellings: tuple[bytes, ...]) -> None:
    assert len({of(spelling) for spelling in spellings}) == 1


DIFFERENT = [
    b"{}",
    b'{"a":1}',
    b'{"a":-1}',
    b'{"a":"1"}',
    b'{"a":true}',
    b'{"a":false}',
    b'{"a":null}',
    b'{"a":[]}',
    b'{"a":[1]}',
    b'{"a":[[1]]}',
    b'{"a":{}}',
    b'{"a":{"b":1}}',
    b'{"a":[1,2]}',
    b'{"a":[2,1]}',
    b'{"A":1}',
    b'{"b":1}',
    b'{"a":"null"}',
    b'{"a":""}',
    b'{"a":" "}',
    b'{"a":10}',
    b'{"a":0.1}',
    b'{"a":"1e0"}',
    b'{"a":9007199254740992}',
    b'{"a":9007199254740993}',
    b'{"a":0.1000000000000000055511151231257827}',
    b'{"a":1e1000}',
    b'{"a":1e999}',
    b'{"a":1e-1000}',
    '{"a":"\u00e9"}'.encode(),
    '{"a":"e\u0301"}'.encode(),
    b'{"a":"b\\",\\"c\\":\\"d"}',
    b'{"a":"b","c":"d"}',
]


def test_fingerprint_different_calls_never_share_one() -> None:
    same = [(one, other) for one, other in combinations(DIFFERENT, 2) if of(one) == of(other)]
    assert same == []


@pytest.mark.parametrize(
    "other", [("S", "g", "t"), ("s", "G", "t"), ("s", "g", "T"), ("g", "s", "t"), ('s","g', "t", ""), ("", "sg", "t")]
)
def test_fingerprint_binds_server_grant_and_tool(other: tuple[str, str, str]) -> None:
    assert fingerprint("s", "g", "t", b"{}") != fingerprint(*other, b"{}")


def test_fingerprint_deepest_arguments_that_policy_takes_have_one() -> None:
    assert of(b'{"a":' + b"[" * 127 + b"]" * 127 + b"}") != of(b'{"a":' + b"[" * 126 + b"]" * 126 + b"}")


def test_fingerprint_is_the_hex_of_a_sha256_that_stays() -> None:
    assert (
        of(b'{"a":[1.50,"x",null,{"c":true,"b":-0}]}')
        == hashlib.sha256(b'["s","g","t",{"a":[15e-1,"x",null,{"b":0,"c":true}]}]').hexdigest()
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(one=st.dictionaries(st.text(), _JSON, max_size=3), other=st.dictionaries(st.text(), _JSON, max_size=3))
def test_fingerprint_equal_exactly_when_the_documents_are(one: dict[str, object], other: dict[str, object]) -> None:
    plain, shuffled = json.dumps(one).encode(), json.dumps(dict(reversed(one.items())), ensure_ascii=False).encode()
    assert of(plain) == of(shuffled)
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (of(plain) == of(json.dumps(other).encode())) is same
