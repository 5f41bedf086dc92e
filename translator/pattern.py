"""Is a regular expression one that OPA can use? Asks RE2, and refuses what Go's regexp refuses besides.

Python's `re` has another syntax and must not come in here.
"""

import re2  # type: ignore[import-untyped]

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def fault(text: str) -> str:
    """Why the pattern is refused; empty when it is good. Source: policy-semantics, sections 5 and 15.10."""
    try:
        re2.compile(text, _OPTIONS)
    except re2.error as error:
        return str(error)
    return ""
