"""The flags that name one server and its policy, for every command that takes them. What they mean is in `single`."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from sidecar.cli.binding import (
    ApprovalBy,
    ApprovalOption,
    HiddenCalls,
    HiddenCallsOption,
    ListOf,
    ListOption,
    Policed,
    PolicedMethodsOption,
)
from sidecar.cli.images import ImageFlags, ImageOption, MountOption, NetworkOption, UserOption
from sidecar.cli.single import (
    ApprovalMapOption,
    EnvOption,
    HeaderOption,
    NameOption,
    PolicyOption,
    Single,
    UpstreamOption,
)
from sidecar.cli.terminal import StateOption, state_directory

CommandArgument = Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND", hidden=True)]


def _single(
    policy: PolicyOption,
    command: CommandArgument = None,
    upstream: UpstreamOption = None,
    state: StateOption = None,
    name: NameOption = None,
    env: EnvOption = None,
    header: HeaderOption = None,
    approval_map: ApprovalMapOption = None,
    list_of: ListOption = ListOf.hidden,
    policed_methods: PolicedMethodsOption = Policed.tools,
    hidden_calls: HiddenCallsOption = HiddenCalls.denied,
    approval: ApprovalOption = ApprovalBy.later,
    image: ImageOption = None,
    network: NetworkOption = None,
    mount: MountOption = None,
    user: UserOption = None,
) -> Single:
    return Single(
        policy,
        command or (),
        upstream,
        name,
        env or (),
        header or (),
        approval_map,
        state_directory(state),
        list_of,
        policed_methods,
        hidden_calls,
        approval,
        ImageFlags(image, network, mount or (), user),
    )


def of_single(run: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: with the flags in place of its first parameter, the `Single` they make."""
    ours = inspect.signature(_single).parameters
    theirs = list(inspect.signature(run).parameters.values())[1:]

    def command(**given: Any) -> None:
        run(_single(**{name: given.pop(name) for name in ours}), **given)

    command.__name__, command.__doc__ = run.__name__, run.__doc__
    command.__annotations__ = {one.name: one.annotation for one in (*ours.values(), *theirs)}
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*ours.values(), *theirs)]
    vars(command)["__signature__"] = inspect.Signature(named)
    return command
