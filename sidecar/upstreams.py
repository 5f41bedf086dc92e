"""Settings → the servers behind the gateway, with what is shown to them. Opens nothing yet."""

from collections.abc import Callable
from functools import partial

from sidecar.errors import SidecarError
from sidecar.ports import Headers, Upstream
from sidecar.settings.auth import Credentials
from sidecar.settings.model import Server, Settings
from sidecar.upstream import tokens
from sidecar.upstream.container import Image
from sidecar.upstream.credentials import Credential, Credentialed
from sidecar.upstream.dockerd import Mount, Spec, require_package
from sidecar.upstream.either import EitherUpstream
from sidecar.upstream.http import HttpUpstream
from sidecar.upstream.sessions import SessionUpstream
from sidecar.upstream.sse import SseUpstream
from sidecar.upstream.stdio import LineUpstream, StdioUpstream


def made_upstream(
    name: str, server: Server, settings: Settings, warn: Callable[[SidecarError], None], *, sole_client: bool
) -> Upstream:
    """One server. Raises: SettingsError (a secret is missing, or the package that an image needs)."""
    if server.url is not None:
        return _by_url(name, server.url, server, settings, warn)
    if server.image is not None:
        return _in_container(name, server.image, server, settings, sole_client=sole_client)
    assert server.command is not None
    return StdioUpstream(
        server.command,
        server.env,
        str(server.cwd) if server.cwd is not None else None,
        name=name,
        answer_timeout_s=server.timeout_s,
        idle_s=settings.children.idle_s,
        max_children=settings.children.max_per_server,
        sole_client=sole_client,
        withhold=secret_variables(settings),
    )


def _in_container(name: str, image: str, server: Server, settings: Settings, *, sole_client: bool) -> Upstream:
    require_package()
    how = server.container
    spec = Spec(
        image,
        server.command or (),
        server.env,
        network=how.network,
        mounts=[Mount(mount.source, mount.target, mount.writable) for mount in how.mounts],
        user=how.user,
        memory_mb=how.memory_mb,
        cpus=how.cpus,
        pids=how.pids,
    )
    return LineUpstream(
        Image(spec, settings.state, name=name),
        answer_timeout_s=server.timeout_s,
        idle_s=settings.children.idle_s,
        max_children=settings.children.max_per_server,
        sole_client=sole_client,
    )


def conversations(upstream: Upstream) -> int:
    """How many conversations the gateway has open with a server by itself: processes, or streams."""
    if isinstance(upstream, Credentialed):
        return conversations(upstream.upstream)
    if isinstance(upstream, EitherUpstream):
        return conversations(upstream.older)
    return upstream.conversations if isinstance(upstream, SessionUpstream) else 0


def _by_url(name: str, url: str, server: Server, settings: Settings, warn: Callable[[SidecarError], None]) -> Upstream:
    secrets = {header.lower().encode(): secret.read().encode("latin-1") for header, secret in server.headers.items()}
    headers: Headers = tuple(secrets.items())
    if server.credentials is None:
        return _by_transport(name, url, server, settings, lambda: headers)
    credential = _credential(server.credentials, settings, warn)
    shown = _by_transport(name, url, server, settings, lambda: (*headers, *credential.headers()))
    return Credentialed(shown, credential)


def _by_transport(
    name: str, url: str, server: Server, settings: Settings, credentials: Callable[[], Headers]
) -> Upstream:
    """The server at a URL, by the transport that is set; where none is, whichever it answers by."""
    newer = HttpUpstream(url, credentials=credentials, first_byte_s=server.timeout_s)
    if server.transport == "http":
        return newer
    older = SseUpstream(
        url,
        name=name,
        credentials=credentials,
        answer_timeout_s=server.timeout_s,
        idle_s=settings.children.idle_s,
        max_sessions=settings.children.max_per_server,
    )
    return older if server.transport == "sse" else EitherUpstream(newer, older)


def _credential(credentials: Credentials, settings: Settings, warn: Callable[[SidecarError], None]) -> Credential:
    if credentials.oauth is not None:
        oauth = credentials.oauth
        get = tokens.ClientCredentials(
            oauth.token_url,
            oauth.client_id,
            oauth.client_secret.read,
            scope=oauth.scope,
            resource=oauth.resource,
            in_form=oauth.client_auth == "post",
        ).get
    elif credentials.command is not None:
        get = partial(tokens.from_command, credentials.command, credentials.refresh_s, secret_variables(settings))
    elif credentials.file is not None:
        get = partial(tokens.from_file, credentials.file, credentials.refresh_s)
    else:
        assert credentials.env is not None
        get = partial(tokens.from_variable, credentials.env)
    return Credential(get, warn, header=credentials.header)


def secret_variables(settings: Settings) -> frozenset[str]:
    """The environment variables that hold secrets of ours: no child process gets them."""
    names = [grant.token_env for grant in settings.grants.values()]
    for server in settings.servers.values():
        names += [secret.env for secret in server.headers.values()]
        if server.credentials is not None:
            names.append(server.credentials.env)
            if server.credentials.oauth is not None:
                names.append(server.credentials.oauth.client_secret.env)
    return frozenset(name for name in names if name is not None)
