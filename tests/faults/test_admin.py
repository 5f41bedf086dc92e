"""The second address of a real gateway: probes and metrics, from the start to the end."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.served import HEADERS, Served, call, eventually, free_port, serving


def _metrics(admin: str) -> dict[str, float]:
    text = httpx.get(f"{admin}/metrics").raise_for_status().text
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_what_calls_did_and_what_is_in_flight(tmp_path: Path, opa_path: Path) -> None:
    admin = f"http://127.0.0.1:{free_port()}"

    async def scene(gateway: Served) -> None:
        async with asyncio.timeout(60), httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
            waiting = [asyncio.create_task(client.post(gateway.url, json=call("whole", n))) for n in range(3)]
            await asyncio.to_thread(eventually, lambda: _metrics(admin)["regate_in_flight['patient']"] == 3)
            await client.post(gateway.url, json=call("quick"))
            await client.post(gateway.url, json=call("x" * 50))
            await asyncio.to_thread(gateway.release)
            await asyncio.gather(*waiting)

    with serving(tmp_path, opa_path, admin_listen=admin.removeprefix("http://")) as gateway:
        asyncio.run(scene(gateway))
        eventually(lambda: _metrics(admin)["regate_in_flight['patient']"] == 0)
        found = _metrics(admin)
        assert found["regate_calls_total['', 'allow', 'patient']"] == 4
        assert found["regate_calls_total['default_deny', 'deny', 'patient']"] == 1
        assert found["regate_results_total['patient', 'result']"] == 4
        assert found["regate_decision_seconds_count[]"] == 5
        assert found["regate_reservation_seconds_count[]"] == 1
        assert found["regate_upstream_seconds_count['patient']"] == 4
        assert not any("x" * 50 in name for name in found)
        assert httpx.get(f"{gateway.base}/metrics").status_code == 404
        assert httpx.post(f"{admin}/mcp", headers=HEADERS, json=call("quick")).status_code == 405
        (note,) = (tmp_path / "state" / "gateways").glob("*.json")
        assert json.loads(note.read_text())["url"] == admin


def test_probes_follow_the_end_of_a_gateway(tmp_path: Path, opa_path: Path) -> None:
    admin = f"http://127.0.0.1:{free_port()}"
    settings = {"admin_listen": admin.removeprefix("http://"), "drain": {"finish_s": 60}}

    async def scene(gateway: Served) -> None:
        async with asyncio.timeout(60), httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
            waiting = asyncio.create_task(client.post(gateway.url, json=call("whole")))
            await asyncio.to_thread(eventually, gateway.reached)
            assert {page: (await client.get(admin + page)).status_code for page in PAGES} == dict.fromkeys(PAGES, 200)
            gateway.process.send_signal(signal.SIGTERM)
            while (await client.get(f"{admin}/readyz")).status_code == 200:
                pass
            found = {page: (await client.get(admin + page)).status_code for page in PAGES}
            assert found == {"/livez": 200, "/startupz": 200, "/readyz": 503}
            await asyncio.to_thread(gateway.release)
            assert "result" in (await waiting).json()

    with serving(tmp_path, opa_path, **settings) as gateway:
        asyncio.run(scene(gateway))
        assert gateway.process.wait(60) == 0


def test_json_log_is_json_to_the_last_line_and_names_the_trace(tmp_path: Path, opa_path: Path) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    traced = {**HEADERS, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    with serving(tmp_path, opa_path, log_format="json") as gateway:
        twice = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "method": "ping", "params": {"a": "s3cret"}}'
        plain = {**traced, "content-type": "application/json"}
        assert httpx.post(gateway.url, headers=plain, content=twice).status_code == 400
        assert httpx.post(gateway.url, headers={**traced, "authorization": "Bearer t0ken"}, json={}).status_code == 401
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(60) == 0
        lines = [json.loads(line) for line in gateway.log.splitlines()]
    assert "Calls are served." in [line["event"] for line in lines]
    refused = [line for line in lines if line.get("trace_id") == trace]
    assert [line["level"] for line in refused] == ["warning", "warning"]
    assert refused[0]["server"] == refused[1]["server"] == "patient"
    assert refused[0]["grant"] == "tests"
    assert "s3cret" not in gateway.log
    assert "t0ken" not in gateway.log


PAGES = ("/livez", "/startupz", "/readyz")


def test_readiness_of_servers_hangs_on_the_one_beside_the_gateway_and_plain_readiness_does_not(
    tmp_path: Path, opa_path: Path
) -> None:
    upstream, admin = free_port(), f"127.0.0.1:{free_port()}"
    servers = {"patient": {"url": f"http://127.0.0.1:{upstream}/mcp", "transport": "http"}}
    with serving(tmp_path, opa_path, admin_listen=admin, servers=servers) as gateway:
        answer = httpx.get(f"http://{admin}/readyz/servers")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == [f"server patient does not listen at 127.0.0.1:{upstream}"]
        assert httpx.get(f"http://{admin}/readyz").status_code == 200
        with socket.create_server(("127.0.0.1", upstream)):
            assert httpx.get(f"http://{admin}/readyz/servers").json() == {"ready": True, "reasons": []}
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(60) == 0
