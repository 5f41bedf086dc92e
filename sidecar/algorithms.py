"""The ways a bundle may be signed, by name. A module of its own, since the command line wants no more of signing.

Source: OPA's documentation, "Bundle signing"; RFC 7518, section 3.1.
"""

from typing import Literal, get_args

Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "HS256",
    "HS384",
    "HS512",
]

ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
