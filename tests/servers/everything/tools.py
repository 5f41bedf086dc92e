"""The server's tools: one short table of what each answers, and the tools that talk to the client meanwhile."""

import asyncio
from typing import Any

import mcp_types as types
import rounds
import tasks
from content import document, picture, said, sound, text
from mcp.server import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from rounds import Answer, Handler, Params, sample

Context = ServerRequestContext[Any]
CHANGES = InMemorySubscriptionBus()
PAUSE_S = 0.02
IMPATIENT_S = 12.5
"""The suite leaves a stream after 10 s, and waits 5 s for the rest of it. Over stdio no server can close one."""

CONTENTS: dict[str, list[types.ContentBlock]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [picture()],
    "test_audio_content": [sound()],
    "test_embedded_resource": [document("test://embedded-resource", "This is an embedded resource content.")],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        picture(),
        document("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json"),
    ],
    "json_schema_2020_12_tool": [text("Its schema is what matters.")],
    "test_header_argument": [text("Its header is what matters.")],
    "test_logging_tool": [text("Nothing was asked to be logged.")],
}

STRING = {"type": "string"}
SCHEMAS: dict[str, dict[str, Any]] = {
    "test_sampling": {"type": "object", "properties": {"prompt": STRING}, "required": ["prompt"]},
    "test_elicitation": {"type": "object", "properties": {"message": STRING}, "required": ["message"]},
    "test_header_argument": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    },
    "greet": {"type": "object", "properties": {"name": STRING}},
    "slow_compute": {"type": "object", "properties": {"seconds": {"type": "number"}, "label": STRING}},
    "confirm_delete": {"type": "object", "properties": {"filename": STRING}},
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {"$anchor": "addressDef", "type": "object", "properties": {"street": STRING, "city": STRING}}
        },
        "properties": {
            "name": STRING,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": STRING,
            "email": STRING,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}

DEFAULTS = {
    "name": {"type": "string", "description": "Your name", "default": "John Doe"},
    "age": {"type": "integer", "description": "Your age", "default": 30},
    "score": {"type": "number", "description": "Your score", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "description": "Whether you are verified", "default": True},
}
CHOICES = {
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {
        "type": "string",
        "oneOf": [{"const": f"value{n}", "title": f"{title} Option"} for n, title in enumerate(("First", "Second"), 1)],
    },
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2)]},
    },
}


async def with_logging(context: Context, _params: Params) -> Answer:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.session.send_log_message("info", line, related_request_id=context.request_id)
        await asyncio.sleep(PAUSE_S)
    return said("Tool with logging executed successfully")


async def with_progress(context: Context, _params: Params) -> Answer:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(PAUSE_S)
    return said("Tool with progress executed successfully")


async def with_sampling(context: Context, params: Params) -> Answer:
    asked = sample((params.arguments or {})["prompt"]).params
    result = await context.session.create_message(
        asked.messages, max_tokens=asked.max_tokens, related_request_id=context.request_id
    )
    return said(f"LLM response: {getattr(result.content, 'text', '')}")


async def elicited(context: Context, message: str, properties: dict[str, Any], required: list[str]) -> Answer:
    schema = {"type": "object", "properties": properties, "required": required}
    result = await context.session.elicit_form(message, schema, related_request_id=context.request_id)
    return said(f"User response: action={result.action}, content={result.content}")


async def with_elicitation(context: Context, params: Params) -> Answer:
    message = (params.arguments or {})["message"]
    return await elicited(context, message, {"response": {"type": "string"}}, ["response"])


async def with_defaults(context: Context, _params: Params) -> Answer:
    return await elicited(context, "Please review these defaults", DEFAULTS, [])


async def with_choices(context: Context, _params: Params) -> Answer:
    return await elicited(context, "Please choose", CHOICES, [])


async def with_error(_context: Context, _params: Params) -> Answer:
    return said("This tool intentionally returns an error for testing").model_copy(update={"is_error": True})


async def with_reconnection(context: Context, _params: Params) -> Answer:
    """Has the client come back for the answer: closes its stream midway, or outlasts the suite's patience with it."""
    await context.session.send_log_message("info", "Before the break", related_request_id=context.request_id)
    await asyncio.sleep(PAUSE_S)
    if context.close_sse_stream is not None:
        await context.close_sse_stream()
        await asyncio.sleep(PAUSE_S)
    else:
        await asyncio.sleep(IMPATIENT_S)
    return said("Reconnection test completed successfully")


async def without_capability(context: Context, _params: Params) -> Answer:
    if not context.session.check_client_capability(types.ClientCapabilities(sampling=types.SamplingCapability())):
        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(code=types.MISSING_REQUIRED_CLIENT_CAPABILITY, message="Sampling is required", data=data)
    return said("The client can sample.")


async def streaming(context: Context, _params: Params) -> Answer:
    """In this era a stream carries no request of the server's own."""
    await context.session.report_progress(1, 1)
    return rounds.asked({"user_name": rounds.NAME})


async def change_tools(_context: Context, _params: Params) -> Answer:
    await CHANGES.publish(ToolsListChanged())
    return said("The list of tools changed.")


async def change_prompts(_context: Context, _params: Params) -> Answer:
    await CHANGES.publish(PromptsListChanged())
    return said("The list of prompts changed.")


def fixed(name: str) -> Handler:
    async def handle(_context: Context, _params: Params) -> Answer:
        return types.CallToolResult(content=CONTENTS[name])

    return handle


TOOLS: dict[str, Handler] = {
    **{name: fixed(name) for name in CONTENTS},
    "test_tool_with_logging": with_logging,
    "test_tool_with_progress": with_progress,
    "test_sampling": with_sampling,
    "test_elicitation": with_elicitation,
    "test_elicitation_sep1034_defaults": with_defaults,
    "test_elicitation_sep1330_enums": with_choices,
    "test_error_handling": with_error,
    "test_reconnection": with_reconnection,
    "test_missing_capability": without_capability,
    "test_streaming_elicitation": streaming,
    "test_trigger_tool_change": change_tools,
    "test_trigger_prompt_change": change_prompts,
    **rounds.TOOLS,
    **tasks.TOOLS,
}


def schema_of(name: str) -> dict[str, Any] | None:
    return SCHEMAS.get(name, {"type": "object", "properties": {}}) if name in TOOLS else None


async def list_tools(_context: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    tools = [
        types.Tool(
            name=name, description=f"{name}: a tool of the conformance suite", input_schema=schema_of(name) or {}
        )
        for name in TOOLS
    ]
    return types.ListToolsResult(tools=tools)


async def call_tool(context: Context, params: Params) -> Any:
    if params.name not in TOOLS:
        raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name}")
    return await TOOLS[params.name](context, params)
