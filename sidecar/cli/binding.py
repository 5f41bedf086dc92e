"""How a policy is bound to a grant, as options of the commands that make one."""

from enum import StrEnum
from typing import Annotated

import typer


class ListOf(StrEnum):
    """What a grant's lists hold."""

    hidden = "hidden"
    callable = "callable"


class Policed(StrEnum):
    """What a grant closes."""

    tools = "tools"
    all = "all"


class HiddenCalls(StrEnum):
    """How a call of a hidden tool is answered."""

    denied = "denied"
    unknown = "unknown"


class ApprovalBy(StrEnum):
    """What a call that needs approval does."""

    later = "later"
    wait = "wait"
    confirm = "confirm"


ListOption = Annotated[
    ListOf,
    typer.Option("--list", help="What lists hold: all that is not hidden, or only what the default does not deny."),
]
PolicedMethodsOption = Annotated[
    Policed,
    typer.Option("--policed-methods", help="With all, resources, prompts and unknown methods are closed too."),
]
HiddenCallsOption = Annotated[
    HiddenCalls,
    typer.Option(
        "--hidden-calls", help="With unknown, a hidden tool's call is answered as if there were no such tool."
    ),
]
ApprovalOption = Annotated[
    ApprovalBy,
    typer.Option("--approval", help="A call that needs approval: denied until later, held, or confirmed by the user."),
]
