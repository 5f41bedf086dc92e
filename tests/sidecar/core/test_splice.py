import msgspec
import pytest

from sidecar.core import splice


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        (b'{"a": {"b" : [1.50, "\\u00e9"]}}', ("a", "b"), b'[1.50, "\\u00e9"]'),
        (b'{"a": 1 }', ("a",), b"1"),
        (b'{"\\u0061": 1}', ("a",), b"1"),
        (b'{"a": null}', ("a",), b"null"),
        (b'{"a": 1}', ("b",), None),
        (b'{"a": 1}', ("a", "b"), None),
        (b'{"a": [1]}', ("a", "b"), None),
        (b"nonsense", ("a",), None),
        (b"{}", (), b"{}"),
    ],
)
def test_get_value_at_a_path(text: bytes, path: tuple[str, ...], value: bytes | None) -> None:
    assert splice.get(text, *path) == value


def test_put_value_leaves_all_others_as_they_were() -> None:
    text = b'{"id": 1, "x": {"n": 1.50, "e": 1E2, "_meta": {"t": "old", "s": "\\u00e9"}}, "y": [ 1 ]}'
    put = splice.put(text, ("x", "_meta", "t"), b'"new"')
    assert put == b'{"id":1,"x":{"n":1.50,"e":1E2,"_meta":{"t":"new","s":"\\u00e9"}},"y":[ 1 ]}'
    assert splice.put(b"{}", ("id",), b"7") == b'{"id":7}'


def test_put_below_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        splice.put(b"{}", ("a", "b"), b"1")
    with pytest.raises(msgspec.MsgspecError):
        splice.put(b"[]", ("a",), b"1")


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"1", 1), (b'"1"', "1"), (b"1.0", None), (b"true", None), (b"null", None), (b"{", None), (None, None)],
)
def test_scalar_is_a_string_or_an_integer(text: bytes | None, value: object) -> None:
    assert splice.scalar(text) == value
