"""OPA: its binary, the supervised process, the bundle it holds, and the client that asks it."""
