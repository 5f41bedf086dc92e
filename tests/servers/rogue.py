"""A raw stdio MCP server, of both eras, that misbehaves on demand. Each tool is one way to behave; flags are set at the start."""

import json
import os
import signal
import subprocess
import sys
import time

FLAGS = set(sys.argv[1:])
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
heard: list[dict] = []
waiting: dict[str, object] = {}


def say(message: dict) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(request_id: object, text: str) -> None:
    say({"id": request_id, "result": {"content": [{"type": "text", "text": text}]}})


def spawn(arguments: dict) -> str:
    return str(subprocess.Popen(["sleep", "1000"], start_new_session=bool(arguments.get("detached"))).pid)


def progress(request_id: object, params: dict) -> None:
    token = params["_meta"]["progressToken"]
    for step in range(params["arguments"].get("steps", 1)):
        say({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
    answer(request_id, "done")


def notify(request_id: object, params: dict) -> None:
    for number in range(params["arguments"]["count"]):
        say({"method": "notifications/message", "params": {"level": "info", "data": number}})
    answer(request_id, "notified")


def elicit(request_id: object, params: dict) -> None:
    server_id = f"server-{len(waiting)}"
    waiting[server_id] = request_id
    say({"id": server_id, "method": "roots/list"})


def raw(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def junk(request_id: object, params: dict) -> None:
    raw(b"Listening on stdio...\n{'not': 'json'}\n[1, 2]\n\xff\xfe\n\n{}\n")
    answer(request_id, "after the junk")


def call(request_id: object, params: dict) -> None:
    arguments = params.get("arguments", {})
    match params["name"]:
        case "echo":
            answer(request_id, arguments["text"])
        case "silent":
            pass
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            print("fatal: out of coffee", file=sys.stderr, flush=True)
            sys.exit(3)
        case "close":
            os.close(1)
            time.sleep(1000)
        case "junk":
            junk(request_id, params)
        case "broken":
            raw(b'{"jsonrpc":"2.0","id":%b,"result":{"x":NaN}}\n' % json.dumps(request_id).encode())
        case "huge":
            answer(request_id, "x" * arguments["bytes"])
        case "spawn":
            answer(request_id, spawn(arguments))
        case "pid":
            answer(request_id, str(os.getpid()))
        case "environment":
            answer(request_id, json.dumps(dict(os.environ)))
        case "heard":
            answer(request_id, json.dumps(heard))
        case "progress":
            progress(request_id, params)
        case "notify":
            notify(request_id, params)
        case "elicit":
            elicit(request_id, params)
        case "deaf":
            answer(request_id, "no longer listening")
            time.sleep(1000)
        case unknown:
            say({"id": request_id, "error": {"code": -32602, "message": f"Unknown tool: {unknown}"}})


def subscribe(request_id: object, params: dict) -> None:
    meta = {SUBSCRIPTION: request_id}
    say({"method": "notifications/subscriptions/acknowledged", "params": {"_meta": meta, "notifications": {}}})
    say({"method": "notifications/tools/list_changed", "params": {"_meta": meta}})
    if params.get("end") == "result":
        say({"id": request_id, "result": {"resultType": "complete", "_meta": meta}})
    elif params.get("end") == "cancelled":
        say({"method": "notifications/cancelled", "params": {"requestId": request_id}})


def request(request_id: object, method: str, params: dict) -> None:
    match method:
        case "initialize" if "--refuse" in FLAGS:
            say({"id": request_id, "error": {"code": -32602, "message": "no"}})
        case "initialize":
            if "--chatty" in FLAGS:
                say({"method": "notifications/message", "params": {"level": "info", "data": "hello"}})
            say({"id": request_id, "result": {"protocolVersion": "2025-11-25", "capabilities": {}}})
        case "server/discover" if "--legacy" in FLAGS:
            say({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})
        case "server/discover":
            say({"id": request_id, "result": {"resultType": "complete", "supportedVersions": ["2026-07-28"]}})
        case "tools/call":
            call(request_id, params)
        case "subscriptions/listen":
            subscribe(request_id, params)
        case _:
            say({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    if "--crash" in FLAGS:
        sys.exit("Traceback: no module named spam")
    if "--stubborn" in FLAGS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--family" in FLAGS:
        print(f"child {spawn({})}", file=sys.stderr, flush=True)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        heard.append(message)
        if "method" in message and "id" in message:
            request(message["id"], message["method"], message.get("params", {}))
        elif "method" not in message and message.get("id") in waiting:
            answer(waiting.pop(message["id"]), json.dumps(message.get("result", message.get("error"))))
    if "--stubborn" in FLAGS:
        time.sleep(1000)


main()
