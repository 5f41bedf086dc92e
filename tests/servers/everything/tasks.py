"""The tasks extension: tools that go on by themselves, and the methods to watch, feed and stop them."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types
from content import said
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from rounds import Answer, Handler, Params, answers, asked, form

EXTENSION = "io.modelcontextprotocol/tasks"
TTL_MS, POLL_MS = 60_000, 200
Context = ServerRequestContext[Any]


class Task:
    """One job from its start to its end, and what it waits for meanwhile."""

    def __init__(self, job: "Job", arguments: dict[str, Any]) -> None:
        self.id = str(uuid.uuid4())
        self.status = "working"
        self.created = self.updated = dt.datetime.now(dt.UTC)
        self.outcome: dict[str, Any] = {}
        self.pending: dict[str, types.ElicitRequest] = {}
        self._answers: dict[str, Any] = {}
        self._fed = asyncio.Event()
        self._running = asyncio.create_task(self._run(job, arguments))

    async def ask(self, **requests: types.ElicitRequest) -> dict[str, Any]:
        """Every answer, once all of them are there."""
        self.pending = dict(requests)
        self._become("input_required")
        await self._fed.wait()
        self._become("working")
        return self._answers

    def feed(self, given: Mapping[str, Any]) -> None:
        for key in [key for key in given if key in self.pending]:
            del self.pending[key]
            self._answers[key] = given[key]
        if not self.pending:
            self._fed.set()

    def cancel(self) -> None:
        if self.status in ("working", "input_required"):
            self._become("cancelled")
            self._running.cancel()

    def shown(self) -> dict[str, Any]:
        return {
            "taskId": self.id,
            "status": self.status,
            "createdAt": self.created.isoformat(),
            "lastUpdatedAt": self.updated.isoformat(),
            "ttlMs": TTL_MS,
            "pollIntervalMs": POLL_MS,
        }

    def detailed(self) -> dict[str, Any]:
        waiting = {key: request.model_dump(by_alias=True, exclude_none=True) for key, request in self.pending.items()}
        return {**self.shown(), **({"inputRequests": waiting} if waiting else {}), **self.outcome}

    def _become(self, status: str) -> None:
        self.status, self.updated = status, dt.datetime.now(dt.UTC)

    async def _run(self, job: "Job", arguments: dict[str, Any]) -> None:
        try:
            result = await job(self, arguments)
        except MCPError as error:
            self.outcome = {"error": {"code": error.code, "message": error.message}}
            self._become("failed")
        else:
            self.outcome = {"result": result.model_dump(by_alias=True, exclude_none=True, mode="json")}
            self._become("completed")


Job = Callable[[Task, dict[str, Any]], Awaitable[types.CallToolResult]]
TASKS: dict[str, Task] = {}


async def slow_compute(_task: Task | None, arguments: dict[str, Any]) -> types.CallToolResult:
    await asyncio.sleep(float(arguments.get("seconds", 0)))
    return said(f"Computed {arguments.get('label', 'something')}.")


async def failing_job(_task: Task, _arguments: dict[str, Any]) -> types.CallToolResult:
    await asyncio.sleep(0.2)
    return said("This job always fails.").model_copy(update={"is_error": True})


async def protocol_error_job(_task: Task, _arguments: dict[str, Any]) -> types.CallToolResult:
    raise MCPError(code=types.INTERNAL_ERROR, message="This job breaks the protocol.")


async def confirm_delete(task: Task, arguments: dict[str, Any]) -> types.CallToolResult:
    given = await task.ask(confirm=form(f"Delete {arguments.get('filename', 'it')}?", confirm="boolean"))
    return said(f"Answered: {given}")


async def multi_input(task: Task, _arguments: dict[str, Any]) -> types.CallToolResult:
    given = await task.ask(first=form("Your first name?", name="string"), second=form("Your second?", name="string"))
    return said(f"Answered: {sorted(given)}")


async def named_job(_task: Task, arguments: dict[str, Any]) -> types.CallToolResult:
    await asyncio.sleep(0.2)
    return said(f"Done for {arguments['user_name']}.")


def declared(context: Context) -> bool:
    capabilities = context.session.client_capabilities
    return EXTENSION in ((capabilities and capabilities.extensions) or {})


def demand(context: Context) -> None:
    """Raises: MCPError when the client did not say that it knows tasks."""
    if not declared(context):
        data = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        raise MCPError(code=types.MISSING_REQUIRED_CLIENT_CAPABILITY, message="Tasks are required", data=data)


def started(job: Job, arguments: dict[str, Any]) -> dict[str, Any]:
    task = Task(job, arguments)
    TASKS[task.id] = task
    return {"resultType": "task", **task.shown()}


def in_background(job: Job) -> Handler:
    async def handle(context: Context, params: Params) -> Answer:
        demand(context)
        return started(job, params.arguments or {})

    return handle


async def either(context: Context, params: Params) -> Answer:
    if declared(context):
        return started(slow_compute, params.arguments or {})
    return await slow_compute(None, params.arguments or {})


async def rounds_then_task(context: Context, params: Params) -> Answer:
    demand(context)
    given = answers(params).get("user_name")
    if given is None:
        return asked({"user_name": form("What is your name?", name="string")}, phase="asked")
    return started(named_job, {"user_name": given["content"]["name"]})


async def greet(_context: Context, params: Params) -> Answer:
    return said(f"Hello, {(params.arguments or {}).get('name', 'you')}!")


TOOLS: dict[str, Handler] = {
    "greet": greet,
    "slow_compute": either,
    "failing_job": in_background(failing_job),
    "protocol_error_job": in_background(protocol_error_job),
    "confirm_delete": in_background(confirm_delete),
    "multi_input": in_background(multi_input),
    "test_tool_with_task": rounds_then_task,
}


class TaskParams(types.RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


def named(context: Context, params: TaskParams) -> Task:
    """Raises: MCPError unless the client knows tasks, its header names this one, and it exists."""
    if context.request is not None and context.request.headers.get("mcp-name") != params.task_id:
        raise MCPError(code=types.HEADER_MISMATCH, message="Mcp-Name is not the task's id")
    demand(context)
    if params.task_id not in TASKS:
        raise MCPError(code=types.INVALID_PARAMS, message="Unknown task")
    return TASKS[params.task_id]


async def get(context: Context, params: TaskParams) -> dict[str, Any]:
    return {"resultType": "complete", **named(context, params).detailed()}


async def update(context: Context, params: UpdateParams) -> dict[str, Any]:
    named(context, params).feed(params.input_responses)
    return {"resultType": "complete"}


async def cancel(context: Context, params: TaskParams) -> dict[str, Any]:
    named(context, params).cancel()
    return {"resultType": "complete"}


METHODS: dict[str, tuple[type[TaskParams], Callable[..., Awaitable[dict[str, Any]]]]] = {
    "tasks/get": (TaskParams, get),
    "tasks/update": (UpdateParams, update),
    "tasks/cancel": (TaskParams, cancel),
}
