"""What an operator may set of a grant: whose token it is, and how a policy is bound to it. Reads tokens."""

import hashlib
import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sidecar.errors import SettingsError
from sidecar.settings.values import Located, Model, Secret, Word

_TOKEN_CHARACTERS = 16


class TokenGrant(Model):
    """A token's right to one server under one policy, given in the settings instead of by `regate grants create`."""

    server: str = Field(description="The server the token is good for.")
    policy: str | None = Field(description="The policy its calls are judged by; null means that every call is denied.")
    list: Literal["hidden", "callable"] = Field(
        default="hidden",
        description="`hidden`: lists hold every tool that the policy does not hide. `callable`: they also leave out "
        "what the policy's default denies.",
    )
    policed_methods: Literal["tools", "all"] = Field(
        default="tools",
        description="`tools`: all else passes. `all`: resources, prompts and unknown methods are closed.",
    )
    hidden_calls: Literal["denied", "unknown"] = Field(
        default="denied",
        description="`denied`: a call of a hidden tool is told so. `unknown`: it is answered as if there were no such "
        "tool.",
    )
    approval: Literal["later", "wait", "confirm"] = Field(
        default="later",
        description="What becomes of a call that needs approval. `later`: it is denied, and passes when made again "
        "once approved. `wait`: it is held for an operator. `confirm`: the client's own user is asked. Where a client "
        "can neither wait nor be asked: `later`.",
    )
    token_env: Word | None = Field(default=None, description="The environment variable that holds the token.")
    token_file: Located | None = Field(default=None, description="The file that holds the token.")
    token_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The token's SHA-256 in lower-case hexadecimal digits."
    )

    def token(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The token, or None when only its hash is known. Raises: SettingsError (missing, or too short)."""
        if self.token_sha256 is not None:
            return None
        token = Secret(env=self.token_env, file=self.token_file).read(environ)
        if len(token) < _TOKEN_CHARACTERS or not token.isascii() or " " in token:
            raise SettingsError(
                f"The token of a grant for server {self.server} is too weak.",
                hint=f"Use {_TOKEN_CHARACTERS} or more letters and digits, without spaces: openssl rand -hex 32.",
            )
        return token

    def token_hash(self, environ: Mapping[str, str] = os.environ) -> str:
        """The token's SHA-256, in hexadecimal digits. Raises: SettingsError."""
        token = self.token(environ)
        return hashlib.sha256(token.encode()).hexdigest() if token is not None else str(self.token_sha256)
