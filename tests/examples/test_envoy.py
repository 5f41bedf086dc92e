"""Envoy's question as opa-envoy-plugin puts it, answered by stock OPA with the bundle of `regate build`."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import translator

FOLDER = Path(translator.__file__).parents[1] / "examples" / "envoy"
REQUEST = json.loads((FOLDER / "request.json").read_bytes())
QUERY = "[answer | some asked in input; answer := data.regate.envoy.answer with input as asked]"
Answers = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def answers(opa_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What OPA answers to each of these inputs, in order."""
    bundle = tmp_path_factory.mktemp("envoy") / "bundle.tar.gz"
    bundle.write_bytes(translator.translate({"tools": (FOLDER / "tools.json").read_bytes()}).data)

    def ask(*asked: Any) -> list[dict[str, Any]]:
        command = [opa_path, "eval", "--bundle", bundle, "--bundle", FOLDER, "--stdin-input", "--format", "raw", QUERY]
        done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, timeout=60, check=True)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        assert len(found) == len(asked)
        return found

    return ask


def asked(body: str, *, method: str = "POST", **headers: str) -> Any:
    """The example's request with another body. What it has parsed stays: nobody is to look at that."""
    made = copy.deepcopy(REQUEST)
    http = made["attributes"]["request"]["http"]
    http["body"], http["method"] = body, method
    http["headers"] = {name: value for name, value in http["headers"].items() if not name.startswith("mcp-")} | headers
    return made


def call(tool: Any, arguments: Any = None, **more: Any) -> str:
    return json.dumps({"method": "tools/call", "params": {"name": tool, "arguments": arguments, **more}})


def test_request_of_the_example_is_allowed(answers: Answers) -> None:
    assert answers(REQUEST) == [{"allowed": True}]


PASS = {
    "no arguments": call("read"),
    "at the bound": call("pay", {"amount": 10}),
    "members that nobody judges": call("read", {"a:b": 'x": {"y'}, _meta={"k": 1}, requestState="s"),
    "escapes": '{"method": "tools\\/call", "params": {"name": "r\\u0065ad"}}',
    "another method": '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
    "a notification": '{"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}}',
    "an answer": '{"jsonrpc": "2.0", "id": 1, "result": {"content": [{"a": []}]}}',
}
DENIED = {
    "over the bound by less than a float holds": (
        call("pay").replace("null", '{"amount": 10.0000000000000000001}'),
        "Payments above 10 are refused.",
    ),
    "far over": (call("pay", {"amount": 1e300}), "Payments above 10 are refused."),
    "beyond a float": (call("pay").replace("null", '{"amount": 1e400}'), "Payments above 10 are refused."),
    "a text": (call("pay", {"amount": "11"}), None),
    "hidden": (call("admin"), 'Tool "admin" is hidden by policy'),
    "unknown": (call("other"), 'Tool "other" is not permitted by policy'),
    "with a limit": (call("spend"), "This call has limits, which only the gateway counts."),
    "arguments a list": (call("read", [1]), "Tool arguments must be a JSON object."),
    "name a number": (call(1), None),
    "no name": ('{"method": "tools/call", "params": {}}', None),
    "no params": ('{"method": "tools/call"}', None),
    "params a list": ('{"method": "tools/call", "params": ["read"]}', None),
    "a batch": (f"[{call('read')}]", None),
    "two messages": (f"{call('read')}{call('pay')}", None),
    "empty": ("", None),
    "no JSON": ("method: tools/list", None),
    "YAML": ("{method: tools/list}", None),
    "a comment": ('{"method": "tools/list"} # {"method": "tools/call"}', None),
    "name twice": ('{"method": "tools/call", "params": {"name": "admin", "name": "read"}}', None),
    "method twice": ('{"method": "tools/call", "params": {"name": "admin"}, "method": "tools/list"}', None),
    "twice by an escape": ('{"method": "tools/call", "m\\u0065thod": "tools/list", "params": {"name": "admin"}}', None),
    "argument twice": (
        '{"method": "tools/call", "params": {"name": "pay", "arguments": {"amount": 99, "amount": 1}}}',
        None,
    ),
    "twice deep in a list": ('{"method": "tools/list", "params": {"a": [[{"b": 1, "b": 2}]]}}', None),
    "another case": ('{"Method": "tools/call", "method": "tools/list", "params": {"name": "admin"}}', None),
    "another case of params": ('{"method": "tools/call", "params": {"Name": "admin", "name": "read"}}', None),
    "a long s": ('{"method": "tools/call", "param\\u017f": {"name": "admin"}, "params": {"name": "read"}}', None),
    "a Kelvin sign": ('{"method": "tools/call", "params": {"name": "read", "\\u212a": 1}}', None),
}


def test_messages_that_pass(answers: Answers) -> None:
    found = answers(*map(asked, PASS.values()))
    assert {name: answer["allowed"] for name, answer in zip(PASS, found, strict=True)} == dict.fromkeys(PASS, True)


def test_messages_that_are_denied(answers: Answers) -> None:
    found = answers(*(asked(body) for body, _ in DENIED.values()))
    for (name, (_, says)), answer in zip(DENIED.items(), found, strict=True):
        assert (name, answer["allowed"], answer["http_status"]) == (name, False, 403)
        assert says is None or answer["body"] == f"[POLICY DENIED] {says}"


def test_headers_that_say_another_thing_than_the_body_are_denied(answers: Answers) -> None:
    right = {"mcp-method": "tools/call", "mcp-name": "read"}
    given = [asked(call("read"), **right), *(asked(call("read"), **right | {name: "x"}) for name in right)]
    assert [answer["allowed"] for answer in answers(*given)] == [True, False, False]


def test_who_is_not_known_is_denied(answers: Answers) -> None:
    stranger, nobody, partial = (copy.deepcopy(REQUEST) for _ in range(3))
    stranger["attributes"]["source"]["principal"] = "spiffe://example.org/other"
    del nobody["attributes"]["source"]["principal"]
    partial["truncated_body"] = True
    found = answers(stranger, nobody, partial, {})
    assert [answer["allowed"] for answer in found] == [False] * 4
    assert found[0]["body"] == found[1]["body"] == "[POLICY DENIED] Nobody known asks."


def test_streams_and_ends_of_sessions_pass_without_a_body(answers: Answers) -> None:
    given = [asked(body, method=method) for method in ("GET", "DELETE", "PUT", "HEAD") for body in ("", call("admin"))]
    assert [answer["allowed"] for answer in answers(*given)] == [True, False, True, False, False, False, False, False]


def test_without_the_policies_nothing_passes(opa_path: Path) -> None:
    command = [opa_path, "eval", "--bundle", FOLDER, "--stdin-input", "--format", "raw", "data.regate.envoy.answer"]
    done = subprocess.run(command, input=json.dumps(REQUEST), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 or not json.loads(done.stdout)["allowed"]


def test_rego_is_formatted_and_strict(opa_path: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    bundle.write_bytes(translator.translate({}).data)
    subprocess.run([opa_path, "fmt", "--fail", "--list", FOLDER], check=True, timeout=60)
    subprocess.run([opa_path, "check", "--strict", "--bundle", bundle, FOLDER], check=True, timeout=60)


def test_settings_fail_closed_and_ask_for_signatures() -> None:
    envoy = yaml.safe_load((FOLDER / "envoy.yaml").read_text())["typed_config"]
    assert envoy["failure_mode_allow"] is False
    assert envoy["with_request_body"]["allow_partial_message"] is False
    opa = yaml.safe_load((FOLDER / "opa.yaml").read_text())
    assert all(bundle["signing"]["keyid"] in opa["keys"] for bundle in opa["bundles"].values())
