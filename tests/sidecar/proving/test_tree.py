import pytest

from sidecar.proving.tree import Place, Tree, found, grown, raw, read, replaced, written

TEXT = b'{"a":[1,{"b":1e400}],"c":9007199254740993}'


def test_tree_is_written_as_it_was_read() -> None:
    assert written(read(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("path", "places"),
    [
        (("a", "*"), [("a", 0), ("a", 2)]),
        (("a", "0"), [("a", 0)]),
        (("a", "00"), []),
        (("a", "3"), []),
        (("o", "*"), [("o", "*")]),
        (("o", "0"), [("o", "0")]),
        (("o", "x"), []),
        (("s", "0"), []),
    ],
)
def test_values_are_found_as_a_policy_finds_them(path: tuple[str, ...], places: list[Place]) -> None:
    tree = read(b'{"a":[1,null,true],"o":{"*":1,"0":2,"x":null},"s":"text"}')
    assert [place for place, _ in found(tree, path)] == places


@pytest.mark.parametrize(
    ("place", "new", "wanted"),
    [
        (("c",), True, b'{"a":[1,{"b":1e400}],"c":true}'),
        (("c",), None, b'{"a":[1,{"b":1e400}]}'),
        (("a", 1, "b"), raw("0.10"), b'{"a":[1,{"b":0.10}],"c":9007199254740993}'),
        (("a", 0), None, b'{"a":[{"b":1e400}],"c":9007199254740993}'),
        ((), {}, b"{}"),
    ],
)
def test_place_is_replaced_and_the_tree_stays(place: Place, new: Tree, wanted: bytes) -> None:
    tree = read(TEXT)
    assert written(replaced(tree, place, new)) == wanted
    assert written(tree) == TEXT


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (("d", "e"), b'{"a":[1,{"b":1e400}],"c":9007199254740993,"d":{"e":true}}'),
        (("a", "*"), b'{"a":[1,{"b":1e400},true],"c":9007199254740993}'),
        (("d", "*", "e"), b'{"a":[1,{"b":1e400}],"c":9007199254740993,"d":[{"e":true}]}'),
        (("c", "e"), b"null"),
        (("a", "7"), b"null"),
    ],
)
def test_path_is_grown_where_it_can_be(path: tuple[str, ...], wanted: bytes) -> None:
    assert written(grown(read(TEXT), path, True)) == wanted
