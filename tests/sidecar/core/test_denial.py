"""Source: mcp-gateway.md G16, G29, G42."""

import json

import pytest

from sidecar.core import denial
from tests.eras.schemas import LEGACY, check

META = {
    "outcome": "deny",
    "rule": "/tools/create_charge/deny_if/always",
    "policy": "ops@7",
    "retry_at": None,
    "approval": None,
}


@pytest.mark.parametrize("revision", LEGACY)
def test_result_legacy_is_a_tool_error_with_the_policy_text(revision: str) -> None:
    answer = json.loads(denial.result(b"4", "Requires human approval.", META, modern=False))
    assert answer == {
        "jsonrpc": "2.0",
        "id": 4,
        "result": {
            "content": [{"type": "text", "text": "[POLICY DENIED] Requires human approval."}],
            "isError": True,
            "_meta": {
                "dev.regate/decision": {
                    "outcome": "deny",
                    "rule": "/tools/create_charge/deny_if/always",
                    "policy": "ops@7",
                }
            },
        },
    }
    check(revision, "CallToolResult", answer["result"])
    check(revision, "JSONRPCResponse", answer)


def test_result_modern_is_complete() -> None:
    meta = {"outcome": "approval_required", "rule": "/tools/create_charge/deny_if/always", "approval": "apr_7Q2"}
    answer = json.loads(denial.result(b'"req-1"', 'Say "yes" \u00e9\n', meta, modern=True))
    check("2026-07-28", "CallToolResultResponse", answer)
    assert answer["id"] == "req-1"
    assert answer["result"]["resultType"] == "complete"
    assert answer["result"]["content"][0]["text"] == '[POLICY DENIED] Say "yes" \u00e9\n'
    assert answer["result"]["_meta"] == {"dev.regate/decision": meta}
    assert "structuredContent" not in answer["result"]


@pytest.mark.parametrize(("id_raw", "expected"), [(b"4", 4), (b'"4"', "4"), (b'"\\u0034"', "4")])
def test_error_keeps_the_type_of_the_id(id_raw: bytes, expected: object) -> None:
    answer = json.loads(denial.error(id_raw, denial.DENIED, denial.text("Requires human approval.")))
    assert answer == {
        "jsonrpc": "2.0",
        "id": expected,
        "error": {"code": 40301, "message": "[POLICY DENIED] Requires human approval."},
    }
    check("2025-06-18", "JSONRPCError", answer)
    check("2025-11-25", "JSONRPCErrorResponse", answer)
    check("2026-07-28", "JSONRPCErrorResponse", answer)


def test_error_without_a_known_id_leaves_it_out() -> None:
    answer = json.loads(denial.error(b"null", -32700, "Not JSON."))
    assert answer == {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Not JSON."}}
    check("2025-11-25", "JSONRPCErrorResponse", answer)
    check("2026-07-28", "JSONRPCErrorResponse", answer)


def test_error_with_data_carries_it() -> None:
    data = {"supported": ["2026-07-28"], "requested": "2099-01-01"}
    answer = json.loads(denial.error(b"3", -32022, "Unsupported.", data))
    assert answer["error"]["data"] == data
    check("2026-07-28", "UnsupportedProtocolVersionError", answer)


@pytest.mark.parametrize(
    ("code", "modern", "legacy"),
    [
        (-32601, 404, 200),
        (-32700, 400, 400),
        (-32600, 400, 400),
        (-32602, 400, 200),
        (-32020, 400, 200),
        (-32021, 400, 200),
        (-32022, 400, 200),
        (-32603, 200, 200),
        (40301, 200, 200),
        (50301, 200, 200),
    ],
)
def test_status_follows_the_code_and_the_era(code: int, modern: int, legacy: int) -> None:
    assert (denial.status(code, modern=True), denial.status(code, modern=False)) == (modern, legacy)


def test_own_codes_lie_outside_the_reserved_range() -> None:
    assert not any(-32768 <= code <= -32000 for code in (denial.DENIED, denial.UNAVAILABLE))
