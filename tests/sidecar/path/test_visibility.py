"""Source: mcp-gateway.md G26, G27."""

import json
from collections.abc import Sequence

import pytest

from sidecar.core.inventory import Inventory
from sidecar.core.query import Asker
from sidecar.errors import Broken, DecisionUndefined, OpaUnreachable
from sidecar.path.visibility import Visibility
from sidecar.ports import Grant
from tests.fakes import FakeDecisionPoint

GRANT = Grant("g", "s", "p")
SPELLINGS = [
    b'{"jsonrpc":"2.0","id":%b,"result":{"tools":%b}}',
    b'{"jsonrpc": "2.0", "id": %b, "result": {"tools": %b}}',
    b'{ "jsonrpc":"2.0", "id":%b, "result":{"tools":%b}}',
    b'%.0b{"result":{"tools":%b},"jsonrpc":"2.0","id":ID}',
    b'%.0b{"result":{"tools":%b},"id":ID,"jsonrpc":"2.0"}',
    b'%.0b{"result":{"tools":%b},"id":ID}',
]
IDS = [b"1", b"2", b'"1"', b'"a"', b"11", b"0", b'"a\\"b"', b'"},\\"id\\":1"', b'"\xc3\xa9"', b"-3"]


def listed(*names: str, id_raw: bytes = b"1", spelling: bytes = SPELLINGS[0], note: str = "") -> bytes:
    tools = json.dumps([{"name": name, "description": note} for name in names]).encode()
    return (spelling % (id_raw, tools)).replace(b"ID", id_raw)


def shown(message: bytes) -> list[str]:
    return [tool["name"] for tool in json.loads(message)["result"]["tools"]]


class Desk:
    def __init__(self, *hidden: str) -> None:
        self.opa = FakeDecisionPoint(
            listed=lambda query: [str(name) for name in json.loads(query)["tools"]], hidden=frozenset(hidden)
        )
        self.inventory = Inventory()
        self.generation = 1
        self.visibility = Visibility(self.opa, self.inventory, generation=lambda: self.generation, ttl_cap_ms=1000)

    async def guard(
        self, data: bytes, id_raw: bytes | None = b"1", grant: Grant = GRANT, *, modern: bool = False
    ) -> bytes:
        asker = Asker(policy=grant.policy, server=grant.server, grant=grant.id)
        return await self.visibility.guard(data, grant, asker, modern=modern, id_raw=id_raw)

    @property
    def asked(self) -> int:
        return len(self.opa.tape)


@pytest.mark.parametrize(
    "data",
    [b"", b"not JSON", b'{"jsonrpc":"2.0","id":1,"result":{}}', b'{"id":1,"result":{"content":["x"]}}'],
)
async def test_message_without_tools_passes_as_the_same_object_unasked(data: bytes) -> None:
    desk = Desk()
    assert await desk.guard(data) is data
    assert desk.asked == 0


async def test_list_with_nothing_hidden_passes_as_the_same_object() -> None:
    data = listed("a", "b")
    assert await Desk().guard(data) is data


async def test_list_loses_its_hidden_tools_and_teaches_all() -> None:
    desk = Desk("b d")
    assert shown(await desk.guard(listed("a", "b d", "c"))) == ["a", "c"]
    assert desk.inventory.advertised("b d")
    assert json.loads(desk.opa.queries[0]) == {
        "policy": "p",
        "server": "s",
        "grant": "g",
        "tools": ["a", "b d", "c"],
    }


async def test_list_opa_fails_is_an_error_and_kept_nowhere() -> None:
    desk = Desk("b")
    desk.opa.error = OpaUnreachable("dead")
    with pytest.raises(OpaUnreachable):
        await desk.guard(listed("a", "b"))
    desk.opa.error = None
    assert shown(await desk.guard(listed("a", "b"))) == ["a"]


async def test_list_of_a_policy_that_opa_does_not_hold_is_an_error() -> None:
    desk = Desk()
    desk.opa.revision = ""
    with pytest.raises(DecisionUndefined):
        await desk.guard(listed("a"))


async def test_list_of_a_grant_without_policy_needs_no_revision() -> None:
    desk = Desk("a")
    desk.opa.revision = ""
    assert shown(await desk.guard(listed("a"), grant=Grant("g", "s", None))) == []


async def test_list_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(Broken):
        await Desk().guard(b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"')


async def test_list_modern_is_made_private_also_from_memory() -> None:
    desk = Desk()
    for _ in range(2):
        result = json.loads(await desk.guard(listed("a"), modern=True))["result"]
        assert (result["cacheScope"], result["ttlMs"]) == ("private", 0)
    assert desk.asked == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_memory_same_list_under_other_ids_is_filtered_once_and_answered_right(spelling: bytes) -> None:
    desk = Desk("b")
    for id_raw in IDS:
        data = listed("a", "b", id_raw=id_raw, spelling=spelling)
        answer = await desk.guard(data, id_raw)
        assert answer == await Desk("b").guard(data, id_raw)
        assert json.loads(answer)["id"] == json.loads(id_raw)
    assert desk.asked == 1


@pytest.mark.parametrize("id_raw", [b"1", b'"a"', b"2"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_memory_id_whose_text_occurs_elsewhere_changes_only_the_id(id_raw: bytes, spelling: bytes) -> None:
    desk = Desk("b")
    note = '{"jsonrpc":"2.0","id":1,"id":"a"},"id":1}'
    for one in (b"1", id_raw, b"11"):
        data = listed("a", "b", "1", id_raw=one, spelling=spelling, note=note)
        assert await desk.guard(data, one) == await Desk("b").guard(data, one)


async def test_memory_never_answers_a_list_that_differs_in_anything_but_its_id() -> None:
    desk = Desk("b", "x")
    lists = [
        listed("a", "b"),
        listed("a", "x"),
        listed("a"),
        listed("a", "b", note="1"),
        listed("a", "b") + b"\n",
        listed("a", "b").replace(b'"id":1', b'"id": 1'),
    ]
    for _ in range(2):
        for data in lists:
            assert await desk.guard(data) == await Desk("b", "x").guard(data)


@pytest.mark.parametrize("answered", [b"2", b'"1"', b"null", b"10"])
async def test_memory_list_that_answers_another_id_keeps_that_id(answered: bytes) -> None:
    desk = Desk("b")
    await desk.guard(listed("a", "b"), b"1")
    other = listed("a", "b", id_raw=answered)
    assert await desk.guard(other, b"1") == await Desk("b").guard(other, b"1")


async def test_memory_is_not_asked_for_lists_whose_request_is_not_known() -> None:
    desk = Desk("b")
    for _ in range(2):
        assert shown(await desk.guard(listed("a", "b"), None)) == ["a"]
    assert desk.asked == 2


async def test_memory_a_new_policy_filters_again() -> None:
    desk = Desk("b")
    await desk.guard(listed("a", "b"))
    desk.opa.hidden = frozenset("a")
    desk.generation += 1
    assert shown(await desk.guard(listed("a", "b"))) == ["b"]
    assert shown(await desk.guard(listed("a", "b"))) == ["b"]
    assert desk.asked == 2


async def test_memory_a_policy_that_changes_while_opa_answers_is_not_mistaken_for_the_new_one() -> None:
    desk = Desk("b")

    def slowly(query: bytes) -> Sequence[str]:
        desk.generation += 1
        return [str(name) for name in json.loads(query)["tools"]]

    desk.opa.listed = slowly
    await desk.guard(listed("a", "b"))
    desk.opa.hidden = frozenset({"a", "b"})
    assert shown(await desk.guard(listed("a", "b"))) == []


@pytest.mark.parametrize(
    "other",
    [Grant("h", "s", "p"), Grant("g", "s", "q"), Grant("g", "s", None)],
    ids=["grant", "same_id_other_policy", "same_id_no_policy"],
)
async def test_memory_is_each_grants_own(other: Grant) -> None:
    desk = Desk("b")
    await desk.guard(listed("a", "b"))
    desk.opa.hidden = frozenset("a")
    assert shown(await desk.guard(listed("a", "b"), grant=other)) == ["b"]
    assert shown(await desk.guard(listed("a", "b"))) == ["a"]


async def test_memory_eras_are_kept_apart() -> None:
    desk = Desk("b")
    assert b"cacheScope" in await desk.guard(listed("a", "b"), modern=True)
    assert b"cacheScope" not in await desk.guard(listed("a", "b"), modern=False)


async def test_memory_holds_few_grants_and_few_pages_and_forgets_the_oldest() -> None:
    desk = Desk()
    for number in range(70):
        await desk.guard(listed("a"), grant=Grant(str(number), "s", "p"))
    asked = desk.asked
    await desk.guard(listed("a"), grant=Grant("69", "s", "p"))
    assert desk.asked == asked
    await desk.guard(listed("a"), grant=Grant("0", "s", "p"))
    assert desk.asked == asked + 1
    for number in range(9):
        await desk.guard(listed(str(number)))
    await desk.guard(listed("8"))
    assert desk.asked == asked + 10
    await desk.guard(listed("0"))
    assert desk.asked == asked + 11


async def test_memory_very_long_list_is_not_kept() -> None:
    desk = Desk()
    data = listed("a", note="x" * (4 * 1024 * 1024))
    for _ in range(2):
        assert await desk.guard(data) is data
    assert desk.asked == 2


async def test_memory_list_in_an_unforeseen_spelling_is_not_kept_but_right() -> None:
    desk = Desk("b")
    data = b'\n{"jsonrpc":"2.0","result":{"tools":[{"name":"a"},{"name":"b"}]},"id":1,"x":0}'
    for _ in range(2):
        assert shown(await desk.guard(data)) == ["a"]
    assert desk.asked == 2
