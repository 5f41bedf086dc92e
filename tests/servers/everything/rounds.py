"""Tools of the modern era that ask the client for input and go on when the call comes again with the answers."""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types
from content import said, text
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError

Context = ServerRequestContext[Any]
Params = types.CallToolRequestParams
Answer = types.CallToolResult | types.InputRequiredResult | dict[str, Any]
Handler = Callable[[Context, Params], Awaitable[Answer]]
Requests = Mapping[str, types.ElicitRequest | types.CreateMessageRequest | types.ListRootsRequest]


def form(message: str, **fields: str) -> types.ElicitRequest:
    """A form of required fields, each with its JSON type."""
    schema = {"type": "object", "properties": {k: {"type": v} for k, v in fields.items()}, "required": list(fields)}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(question: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=text(question))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))


NAME = form("What is your name?", name="string")
CONFIRM = form("Please confirm", ok="boolean")
ROOTS = types.ListRootsRequest()
ONE_ROUND: Mapping[str, Requests] = {
    "test_input_required_result_elicitation": {"user_name": NAME},
    "test_input_required_result_sampling": {"capital_question": sample("What is the capital of France?")},
    "test_input_required_result_list_roots": {"client_roots": ROOTS},
    "test_input_required_result_request_state": {"confirm": CONFIRM},
    "test_input_required_result_tampered_state": {"confirm": CONFIRM},
    "test_input_required_result_multiple_inputs": {
        "user_name": NAME,
        "greeting": sample("Generate a greeting"),
        "client_roots": ROOTS,
    },
}
STATEFUL = {
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_multiple_inputs",
}
STEPS: tuple[tuple[str, types.ElicitRequest], ...] = (
    ("step1", form("Step 1: What is your name?", name="string")),
    ("step2", form("Step 2: What is your favorite color?", color="string")),
)


def asked(requests: Requests, **state: Any) -> types.InputRequiredResult:
    """The answer that asks; the state is sealed by the server's boundary."""
    return types.InputRequiredResult(input_requests=dict(requests), request_state=json.dumps(state) if state else None)


def answers(params: Params) -> dict[str, Any]:
    given = params.input_responses or {}
    return {key: value.model_dump(by_alias=True, exclude_none=True, mode="json") for key, value in given.items()}


def one_round(name: str, requests: Requests) -> Handler:
    async def handle(_context: Context, params: Params) -> Answer:
        given = answers(params)
        if not requests.keys() <= given.keys():
            return asked(requests, **({"nonce": str(uuid.uuid4())} if name in STATEFUL else {}))
        if name in STATEFUL and params.request_state is None:
            raise MCPError(code=types.INVALID_PARAMS, message="requestState is missing")
        return said(f"{'state-ok: ' if name in STATEFUL else ''}{json.dumps(given, sort_keys=True)}")

    return handle


async def multi_round(_context: Context, params: Params) -> Answer:
    done = json.loads(params.request_state)["done"] if params.request_state else 0
    if done < len(STEPS) and STEPS[done][0] in answers(params):
        done += 1
    if done == len(STEPS):
        return said("Both steps are done.")
    return asked(dict([STEPS[done]]), done=done, nonce=str(uuid.uuid4()))


async def capabilities(context: Context, params: Params) -> Answer:
    if params.input_responses:
        return said(f"received {', '.join(params.input_responses)}")
    declared = context.session.client_capabilities or types.ClientCapabilities()
    requests: dict[str, Any] = {}
    if declared.elicitation is not None:
        requests["elicit_input"] = form("A value, please", value="string")
    if declared.sampling is not None:
        requests["sample_input"] = sample("Say anything")
    return asked(requests, nonce=str(uuid.uuid4())) if requests else said("The client declared nothing to ask.")


TOOLS: dict[str, Handler] = {
    **{name: one_round(name, requests) for name, requests in ONE_ROUND.items()},
    "test_input_required_result_multi_round": multi_round,
    "test_input_required_result_capabilities": capabilities,
}
