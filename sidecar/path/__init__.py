"""The path of a message: judged, forwarded as it came, answered. It begins in `exchange`; no adapter is known here."""
