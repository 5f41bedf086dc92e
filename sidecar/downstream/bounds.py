"""What one connection can hold up, in bytes, requests and seconds."""

HEAD_BYTES = 64 * 1024
"""Of a head, and of the body of a request that waits, come no more than these, give or take a read."""

HELD = 16
"""Behind the request that is answered wait so many; the rest is not read until it is its turn."""

CROWD = 256
"""As `HELD`, if they came in one read."""

HEAD_S = 15.0
"""Until a head is whole; and for as long, at most, a request waits for the one before it."""

BODY_S = 15.0
"""Until a body is whole."""

KEPT_S = 75.0
"""Between two requests."""

STALL_S = 60.0
"""Within these, something is taken of what is written."""

LINGER_S = 2.0
"""After the last word, for the client to take it and to go."""

HALF_S = 1.0
"""Who says no more is answered so long: it may have gone."""
