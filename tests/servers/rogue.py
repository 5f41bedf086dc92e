"""A raw stdio MCP server, of both eras, that misbehaves on demand: each tool is one way to behave, flags set others."""

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


def start_sleeper(detached: bool) -> int:
    return subprocess.Popen(["sleep", "1000"], start_new_session=detached).pid


def raw(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def echo(request_id: object, params: dict) -> None:
    answer(request_id, params["arguments"]["text"])


def silent(request_id: object, params: dict) -> None:
    """No answer."""


def kill(request_id: object, params: dict) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(request_id: object, params: dict) -> None:
    sys.exit("fatal: out of coffee")


def close(request_id: object, params: dict) -> None:
    os.close(1)
    time.sleep(1000)


def deaf(request_id: object, params: dict) -> None:
    answer(request_id, "no longer listening")
    time.sleep(1000)


def junk(request_id: object, params: dict) -> None:
    raw(b"Listening on stdio...\n{'not': 'json'}\n[1, 2]\n\xff\xfe\n\n{}\n")
    answer(request_id, "after the junk")


def broken(request_id: object, params: dict) -> None:
    raw(b'{"jsonrpc":"2.0","id":%b,"result":{"x":NaN}}\n' % json.dumps(request_id).encode())


def deep(request_id: object, params: dict) -> None:
    depth = params["arguments"]["depth"]
    raw(b'{"jsonrpc":"2.0","id":%d,"result":%b%b}\n' % (request_id, b"[" * depth, b"]" * depth))


def huge(request_id: object, params: dict) -> None:
    answer(request_id, "x" * params["arguments"]["bytes"])


def spawn(request_id: object, params: dict) -> None:
    answer(request_id, str(start_sleeper(bool(params["arguments"].get("detached")))))


def pid(request_id: object, params: dict) -> None:
    answer(request_id, str(os.getpid()))


def say_heard(request_id: object, params: dict) -> None:
    answer(request_id, json.dumps(heard))


def progress(request_id: object, params: dict) -> None:
    token = params["_meta"]["progressToken"]
    for step in range(params["arguments"]["steps"]):
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


def unknown(request_id: object, params: dict) -> None:
    say({"id": request_id, "error": {"code": -32602, "message": "Unknown tool"}})


TOOLS = {
    "broken": broken,
    "close": close,
    "deaf": deaf,
    "deep": deep,
    "echo": echo,
    "elicit": elicit,
    "exit": leave,
    "heard": say_heard,
    "huge": huge,
    "junk": junk,
    "kill": kill,
    "notify": notify,
    "pid": pid,
    "progress": progress,
    "silent": silent,
    "spawn": spawn,
}


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
            TOOLS.get(params["name"], unknown)(request_id, params)
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
        sys.stderr.write(f"child {start_sleeper(False)}\n")
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
