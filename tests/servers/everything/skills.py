"""The skills extension: one skill, its files as resources, and the methods that list, get and walk it."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError

EXTENSION = "io.modelcontextprotocol/skills"
SETTINGS = {"directoryRead": True}
Context = ServerRequestContext[Any]

NAME, DESCRIPTION = "reading-notes", "Read notes aloud"
ROOT = f"skill://{NAME}"
SKILL = f"{ROOT}/SKILL.md"
FOLDER = f"{ROOT}/references"
FILES = {
    SKILL: f"---\nname: {NAME}\ndescription: {DESCRIPTION}\n---\n\nRead the notes, one after the other.\n",
    f"{FOLDER}/GUIDE.md": "Slowly.\n",
}
CACHE = {"ttlMs": 60_000, "cacheScope": "public"}


def resources() -> list[types.Resource]:
    manifest = types.Resource(uri=SKILL, name=NAME, description=DESCRIPTION, mime_type="text/markdown")
    others = [_resource(uri, "text/markdown") for uri in FILES if uri != SKILL]
    return [manifest, *others]


def read(uri: str) -> types.TextResourceContents:
    return types.TextResourceContents(uri=uri, mime_type="text/markdown", text=FILES[uri])


def _resource(uri: str, mime_type: str) -> types.Resource:
    return types.Resource(uri=uri, name=uri.rpartition("/")[2], mime_type=mime_type)


def _entry() -> dict[str, Any]:
    files = [
        {"uri": uri, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", "size": len(text.encode())}
        for uri, text in FILES.items()
    ]
    return {"uri": SKILL, "frontmatter": {"name": NAME, "description": DESCRIPTION}, "resources": files}


class ByUri(types.RequestParams):
    uri: str


async def list_skills(_context: Context, _params: types.PaginatedRequestParams) -> dict[str, Any]:
    return {"skills": [_entry()], **CACHE}


async def get_skill(_context: Context, params: ByUri) -> dict[str, Any]:
    if params.uri != SKILL:
        raise MCPError(code=types.INVALID_PARAMS, message="Unknown skill", data={"uri": params.uri})
    return {"skill": _entry(), **CACHE}


async def read_directory(_context: Context, params: ByUri) -> dict[str, Any]:
    children = {
        ROOT: [*resources()[:1], _resource(FOLDER, "inode/directory")],
        FOLDER: resources()[1:],
    }.get(params.uri.rstrip("/"))
    if children is None:
        raise MCPError(code=types.INVALID_PARAMS, message="Not a directory", data={"uri": params.uri})
    return {"resources": [child.model_dump(by_alias=True, exclude_none=True, mode="json") for child in children]}


METHODS: dict[str, tuple[type[types.RequestParams], Callable[..., Awaitable[dict[str, Any]]]]] = {
    "skills/list": (types.PaginatedRequestParams, list_skills),
    "skills/get": (ByUri, get_skill),
    "resources/directory/read": (ByUri, read_directory),
}
