"""The guards of the gateway, each with the one place that would be left out to be without it. Runs nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """What `id` demands (`what`), and how the tree is without it: `there` in `file` becomes `gone`."""

    id: str
    what: str
    file: str
    there: str
    gone: str


GUARDS = (
    Guard(
        "G1",
        "UTF-8 only",
        "sidecar/core/strict.py",
        "data.decode()",
        'data.decode(json.detect_encoding(data), "replace")',
    ),
    Guard(
        "G1",
        "no NaN",
        "sidecar/core/strict.py",
        'raise Malformed(f"The message holds {name}',
        'return Number(name)  # (f"{name}',
    ),
    Guard("G2", "no doubled names", "sidecar/core/strict.py", "if len(members) != len(pairs):", "if False:"),
    Guard("G2", "no look-alike names", "sidecar/core/names.py", "if names <= self.exact:", "if True:"),
    Guard(
        "G3",
        "no batches",
        "sidecar/core/jsonrpc.py",
        'raise BatchRefused("Batches are not accepted: send one message per request.")',
        'return Notification(body, "notifications/batch", {})',
    ),
    Guard(
        "G4",
        "ids are strings or integers",
        "sidecar/core/jsonrpc.py",
        """raise Malformed("The message's id is neither a string nor an integer.")""",
        "return str(value)",
    ),
    Guard(
        "G4",
        "no call without an id",
        "sidecar/core/jsonrpc.py",
        'if not method.startswith("notifications/"):',
        "if False:",
    ),
    Guard("G5", "shape of a call", "sidecar/core/jsonrpc.py", "            _check_call(params)\n", ""),
    Guard(
        "G6",
        "odd tool names",
        "sidecar/core/messages.py",
        "if not is_tool_name(tool) and not inventory.advertised(tool):",
        "if False:",
    ),
    Guard("G7", "form of a POST", "sidecar/downstream/guard.py", "            _post(headers)\n", "            pass\n"),
    Guard(
        "G7",
        "size of a body",
        "sidecar/downstream/connection.py",
        "if request.size_bytes > self._limit_bytes:",
        "if False:",
    ),
    Guard("G8", "Host and Origin", "sidecar/downstream/http.py", "self._guard.place(headers)", "pass"),
    Guard(
        "G9",
        "a token",
        "sidecar/downstream/guard.py",
        'raise NoToken("A bearer token is required.")',
        'return Grant("nobody", server, None)',
    ),
    Guard(
        "G10",
        "the body tells the era",
        "sidecar/core/era.py",
        'if isinstance(message, Request):\n        raise Malformed(f"params._meta',
        'if False:\n        raise Malformed(f"params._meta',
    ),
    Guard(
        "G11",
        "Mcp-Name is the body's",
        "sidecar/core/era.py",
        """raise HeaderMismatch(f"The Mcp-Name header does not match the message's {key}.")""",
        "pass",
    ),
    Guard("G11", "headers once", "sidecar/core/era.py", "if len(headers.get(name, ())) > 1:", "if False:"),
    Guard("G12", "encoded values", "sidecar/core/era.py", "wrapped = _sentinel(text)", "wrapped = None"),
    Guard(
        "G13",
        "mirrored arguments",
        "sidecar/core/era.py",
        "        _check_params(message, headers, inventory)\n",
        "        pass\n",
    ),
    Guard(
        "G14",
        "fields of a modern request",
        "sidecar/core/era.py",
        "if not isinstance(meta[VERSION_KEY], str) or not isinstance(meta.get(CAPABILITIES_KEY), dict):",
        "if False:",
    ),
    Guard(
        "G14",
        "known revisions",
        "sidecar/core/era.py",
        "    if version in MODERN:\n        return _MODERN[str(version).encode()]\n",
        "    if True:\n        return _MODERN[MODERN[0].encode()]\n",
    ),
    Guard(
        "G15", "modern codes", "sidecar/core/era.py", "VERSION_KEY in meta and isinstance(message, Request)\n", "True\n"
    ),
    Guard("G16", "codes of our own", "sidecar/core/denial.py", "DENIED = 40301", "DENIED = -32001"),
    Guard(
        "G18",
        "allowlist of requests",
        "sidecar/core/headers.py",
        "if (name in REQUEST or name.startswith(_PARAM)) and ",
        "if ",
    ),
    Guard("G18", "allowlist of answers", "sidecar/upstream/http.py", "if name in RESPONSE:", "if True:"),
    Guard(
        "G21",
        "sessions of one grant",
        "sidecar/downstream/sessions.py",
        "if hmac.compare_digest(mac.encode(), self._mac(upstream_id, grant, elicits=elicits).encode()):",
        "if True:",
    ),
    Guard(
        "G26",
        "hidden tools",
        "sidecar/core/listing.py",
        " for entry in entries if entry.name in kept]",
        " for entry in entries]",
    ),
    Guard(
        "G26",
        "lists in streams",
        "sidecar/path/relay.py",
        "data = await self._guard(event.data, to)",
        "data = event.data",
    ),
    Guard(
        "G26",
        "disguised lists",
        "sidecar/core/listing.py",
        '        b"tools" in lower\n',
        "        b'\"tools\":' in data\n",
    ),
    Guard(
        "G54",
        "look-alike methods",
        "sidecar/core/messages.py",
        "            _check_method(message.method, modern=envelope.modern)\n",
        "",
    ),
    Guard(
        "G54",
        "look-alike arguments",
        "sidecar/core/messages.py",
        "if known is not None and known.imitated(members.keys()):",
        "if False:",
    ),
    Guard("G54", "no Upgrade", "sidecar/downstream/guard.py", 'if b"upgrade" in headers:', "if False:"),
)
