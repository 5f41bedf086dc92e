"""The error tree. Imports nothing of ours.

An exception means that we could not decide or could not act; a denial is a value
(`core.decision.Decision`), never an exception. Each leaf has a stable `code` for programs and a
`hint` that tells a person what to do next.
"""

from collections.abc import Collection, Mapping
from typing import ClassVar, Self

_NAME_LENGTH = 128


class SidecarError(Exception):
    """Root of everything the sidecar raises.

    `str(error)` says what happened in one line; `hint` says what to do; neither holds secrets or
    argument values.
    """

    code: ClassVar[str] = "error"
    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class SettingsError(SidecarError):
    """The operator's settings cannot be used as they are."""

    code = "settings"
    hint = "Correct the named setting and start again."


class ProtocolError(SidecarError):
    """The peer's message cannot be judged, so it is not forwarded.

    `rpc_code` is the JSON-RPC error code, `data` its detail, and `http_status` the status a transport answers with.
    `id_raw` is the message's id as it was written; it, `method` and `tool` are empty (`null`) where unknown.
    """

    code = "protocol"
    rpc_code: int = -32600
    http_status: int = 400
    data: Mapping[str, object] | None = None
    id_raw: bytes = b"null"
    method: str = ""
    tool: str = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        rpc_code: int | None = None,
        http_status: int | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        if rpc_code is not None:
            self.rpc_code = rpc_code
        if http_status is not None:
            self.http_status = http_status
        if data is not None:
            self.data = data

    def about(self, *, id_raw: bytes, method: str, tool: str = "") -> Self:
        """This error, told which message it is about. Long names are cut, since they go into the audit log."""
        self.id_raw = id_raw
        self.method = method[:_NAME_LENGTH]
        self.tool = tool[:_NAME_LENGTH]
        return self


class Malformed(ProtocolError):
    """Not one well-formed JSON-RPC message."""

    code = "malformed"


class UnusualName(Malformed):
    """A tool's name of an unusual form, that the server does not list. `modern` is the era of the call."""

    rpc_code = -32602

    def __init__(self, message: str, *, modern: bool) -> None:
        super().__init__(message)
        self.modern = modern


class BatchRefused(ProtocolError):
    """A JSON array where one message belongs."""

    code = "batch_refused"
    hint = "Send one message per request."


class HeaderMismatch(ProtocolError):
    """A header says something else than the body it mirrors."""

    code = "header_mismatch"
    rpc_code = -32020


class UnsupportedVersion(ProtocolError):
    """A protocol revision the gateway does not know and therefore cannot police."""

    code = "unsupported_version"
    rpc_code = -32022


class StateRefused(ProtocolError):
    """A state that was not sealed for this call, or is used or expired."""

    code = "state_refused"
    rpc_code = -32602


class GrantError(SidecarError):
    """The caller may not use this server."""

    code = "grant"
    http_status: int = 401


class UnknownGrant(GrantError):
    """No token, or none that we issued."""

    code = "unknown_grant"


class NoToken(UnknownGrant):
    """No token at all."""


class InsufficientScope(GrantError):
    """A good token that lacks a scope. `scope` is what it should have."""

    code = "insufficient_scope"
    http_status = 403

    def __init__(self, message: str, scope: Collection[str]) -> None:
        super().__init__(message)
        self.scope = tuple(sorted(scope))


class KeysUnavailable(GrantError):
    """The keys by which tokens are verified cannot be had."""

    code = "keys_unavailable"
    hint = "Look at oauth.jwks_url or oauth.jwks_file; tokens of the authorization server are refused until then."
    http_status = 503


class KeysAwaited(KeysUnavailable):
    """Not decided yet: the keys have to be read first, and then this is to be asked again."""

    code = "keys_awaited"


class WrongServer(GrantError):
    """A good token for another server."""

    code = "wrong_server"
    http_status = 403


class DecisionError(SidecarError):
    """OPA gave no decision that can be trusted; the call is denied as `(unavailable)`."""

    code = "decision"
    hint = "Look at OPA's log and at /readyz; calls are denied until OPA answers."


class OpaUnreachable(DecisionError):
    """OPA is dead, hung or too slow."""

    code = "opa_unreachable"


class DecisionUndefined(DecisionError):
    """OPA holds no such policy, or a rule had no value."""

    code = "decision_undefined"


class DecisionOffShape(DecisionError):
    """OPA's answer is not a decision document."""

    code = "decision_off_shape"


class PolicyStale(DecisionError):
    """What OPA holds is not known to be what its source has, or there is nothing of it."""

    code = "policy_stale"
    hint = "Look at the bundle's source; `regate status` says what is wrong with it."


class UpstreamError(SidecarError):
    """The MCP server behind us did not answer.

    `surely_not_run` is true only when nothing can have reached the server, so that a reservation
    may be given back (policy-semantics, section 7).
    """

    code = "upstream"
    surely_not_run: bool = False


class Unreachable(UpstreamError):
    """No connection: nothing was sent."""

    code = "upstream_unreachable"
    surely_not_run = True


class TimedOut(UpstreamError):
    """Sent, and no answer in time."""

    code = "upstream_timed_out"


class Broken(UpstreamError):
    """Sent, and the answer broke off or cannot be read."""

    code = "upstream_broken"


class StoreError(SidecarError):
    """Counters, grants, approvals or audit cannot be read or written."""

    code = "store"
    hint = "Check that the state directory exists, is writable and has free space."


class StoreSilent(StoreError):
    """No answer: what was asked may have been done."""


class StoreUnfit(StoreError):
    """A store that answers, but is not set up so that it could be trusted with what it is to keep."""

    code = "store_unfit"


class OpaMissing(SidecarError):
    """No OPA binary was found and none could be had."""

    code = "opa_missing"


class CannotDecide(SidecarError):
    """What a tool needs, an OPA that answers or a file, is not to be had, so it can say neither yes nor no."""

    code = "cannot_decide"
