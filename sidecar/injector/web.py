"""The injector's own HTTP service: two questions of the API server's, and health. Answers by `review`; knows no MCP."""

from collections.abc import Awaitable, Callable

from sidecar.downstream.request import Answering, Head, Whole, Writer
from sidecar.errors import ProtocolError, SidecarError
from sidecar.injector import review
from sidecar.injector.review import Exempt
from sidecar.injector.template import Template

BODY_BYTES = 8 * 1024 * 1024
"""The longest question: an object of 1.5 MiB, as it was and as it is to be, with room for its escapes."""

_JSON = (b"content-type", b"application/json")


class Injector:
    """What answers the API server. `warn` is told, in one line, of every question that is refused or unreadable."""

    def __init__(self, template: Template, exempt: Exempt, warn: Callable[[SidecarError], None]) -> None:
        self._questions: dict[str, Callable[[bytes], bytes]] = {
            "/mutate": lambda body: review.mutated(body, template),
            "/validate": lambda body: review.validated(body, template, exempt),
        }
        self._warn = warn

    @property
    def body_limit_bytes(self) -> int:
        """The longest question, in bytes."""
        return BODY_BYTES

    def admit(self, head: Head) -> Answering:
        """How a request will be answered. Raises: ProtocolError (404, 405)."""
        if head.path == "/healthz":
            return _healthy
        question = self._questions.get(head.path)
        if question is None:
            raise ProtocolError("Nothing is served here. Ask /mutate or /validate.", http_status=404)
        if head.method != "POST":
            raise ProtocolError("Ask with POST.", http_status=405)

        async def answer(body: bytes, writer: Writer) -> None:
            try:
                status, told = 200, question(body)
            except ProtocolError as error:
                status, _, told = self.refuse(head, error)
            await writer.write(status, [_JSON], told)

        return answer

    def refuse(self, _head: Head | None, error: SidecarError) -> Whole:
        """The answer to what cannot be answered. The API server then does what its failurePolicy says."""
        self._warn(error)
        return getattr(error, "http_status", 400), [(b"content-type", b"text/plain")], f"{error}\n".encode()


def _healthy(_body: bytes, writer: Writer) -> Awaitable[None]:
    return writer.write(200, [_JSON], b'{"ok":true}')
