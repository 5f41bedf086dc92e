"""`helm test`: is the gateway ready, does it let a call pass that it should, and deny one that it should?

Standard library only: it runs in the gateway's image. argv: the URL of the gateway, the values of `test` as JSON, and the file that holds the token.
"""

import json
import ssl
import sys
import urllib.request

DECISION = "dev.regate/decision"


def main(base, test, token_file=""):
    with _open(urllib.request.Request(f"{base}/readyz")):
        print("ready")
    if not test["server"]:
        return "no calls are made: test.server is empty"
    with open(token_file, encoding="utf-8") as file:
        call = _session(f"{base}/mcp/{test['server']}", file.read().strip())
    for wanted in ("allowed", "denied"):
        if not test[wanted]:
            print(f"{wanted}: no call is given")
            continue
        answer = call("tools/call", test[wanted])
        decision = answer.get("result", {}).get("_meta", {}).get(DECISION)
        fine = "result" in answer and (decision is None) == (wanted == "allowed")
        print(f"{wanted}: {test[wanted]['name']}: {'as it should be' if fine else 'WRONG'}: {decision or 'no denial'}")
        if not fine:
            sys.exit(json.dumps(answer))
    return "the gateway governs"


def _session(url, token):
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    number = 0

    def call(method, params, notify=False):
        nonlocal number
        number += 1
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        body = json.dumps(message if notify else {**message, "id": number}).encode()
        request = urllib.request.Request(url, body, {**headers, "Content-Type": "application/json"})
        with _open(request) as reply:
            if reply.headers.get("Mcp-Session-Id"):
                headers["Mcp-Session-Id"] = reply.headers["Mcp-Session-Id"]
            return {} if notify else _answer(reply, number)

    client = {"name": "helm-test", "version": "1"}
    began = call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
    headers["MCP-Protocol-Version"] = began["result"]["protocolVersion"]
    call("notifications/initialized", {}, notify=True)
    return call


def _answer(reply, number):
    if reply.headers.get_content_type() == "application/json":
        return json.load(reply)
    for line in reply:
        if line.startswith(b"data:") and line[5:].strip():
            message = json.loads(line[5:])
            if message.get("id") == number:
                return message
    sys.exit("the stream ended without an answer")


def _open(request):
    # The certificate is not checked: this asks whether policy holds, and the token is the test's own.
    direct = [urllib.request.ProxyHandler({})]
    if request.full_url.startswith("https:"):
        direct.append(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    return urllib.request.build_opener(*direct).open(request, timeout=30)


if __name__ == "__main__":
    print(main(sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:]))
