"""The server's resources, prompts and completions."""

import re
from collections.abc import Callable
from typing import Any

import mcp_types as types
import skills
from content import PICTURE, document, picture, text
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from rounds import form

Context = ServerRequestContext[Any]
Page = types.PaginatedRequestParams | None

TEXTS = {
    "test://static-text": "This is the content of the static text resource.",
    "test://watched-resource": "This one can be watched.",
}
BINARY = "test://static-binary"
TEMPLATE = re.compile(r"test://template/([^/]+)/data")


async def list_resources(_context: Context, _params: Page) -> types.ListResourcesResult:
    texts = [types.Resource(uri=uri, name=uri.removeprefix("test://"), mime_type="text/plain") for uri in TEXTS]
    binary = types.Resource(uri=BINARY, name="static-binary", mime_type="image/png")
    return types.ListResourcesResult(resources=[*texts, binary, *skills.resources()])


async def list_templates(_context: Context, _params: Page) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(
        uri_template="test://template/{id}/data", name="template", mime_type="application/json"
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(_context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    uri = str(params.uri)
    contents: types.TextResourceContents | types.BlobResourceContents
    if uri in TEXTS:
        contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text=TEXTS[uri])
    elif uri in skills.FILES:
        contents = skills.read(uri)
    elif uri == BINARY:
        contents = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PICTURE)
    elif (found := TEMPLATE.fullmatch(uri)) is not None:
        body = f'{{"id": "{found[1]}", "templateTest": true, "data": "Data for ID: {found[1]}"}}'
        contents = types.TextResourceContents(uri=uri, mime_type="application/json", text=body)
    else:
        raise MCPError(code=types.INVALID_PARAMS, message="Resource not found", data={"uri": uri})
    return types.ReadResourceResult(contents=[contents])


Content = types.TextContent | types.ImageContent | types.EmbeddedResource
Prompts = dict[str, tuple[tuple[str, ...], Callable[[dict[str, str]], list[Content]]]]

PROMPTS: Prompts = {
    "test_simple_prompt": ((), lambda _: [text("This is a simple prompt for testing.")]),
    "test_prompt_with_arguments": (
        ("arg1", "arg2"),
        lambda given: [text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")],
    ),
    "test_prompt_with_embedded_resource": (
        ("resourceUri",),
        lambda given: [
            document(given["resourceUri"], "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
    ),
    "test_prompt_with_image": ((), lambda _: [picture(), text("Please analyze the image above.")]),
    "test_input_required_result_prompt": ((), lambda given: [text(f"Prompt with context: {given['context']}")]),
}
ASKING = "test_input_required_result_prompt"


async def list_prompts(_context: Context, _params: Page) -> types.ListPromptsResult:
    prompts = [
        types.Prompt(
            name=name,
            description=f"{name}: a prompt of the conformance suite",
            arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
        )
        for name, (arguments, _) in PROMPTS.items()
    ]
    return types.ListPromptsResult(prompts=prompts)


async def get_prompt(
    _context: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    given = dict(params.arguments or {})
    if params.name not in PROMPTS:
        raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown prompt: {params.name}")
    if params.name == ASKING:
        answer = (params.input_responses or {}).get("user_context")
        if not isinstance(answer, types.ElicitResult):
            return types.InputRequiredResult(
                input_requests={"user_context": form("What context should the prompt use?", context="string")}
            )
        given = {"context": str((answer.content or {}).get("context"))}
    messages = [types.PromptMessage(role="user", content=content) for content in PROMPTS[params.name][1](given)]
    return types.GetPromptResult(messages=messages)


async def complete(_context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    values = [value for value in ("paris", "park", "party") if value.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))
