"""What servers do beside answering, for the operator's log. Never a message's content.

structlog is loaded at the first entry: it is slow to load, and a start-up that has nothing to say need not wait.
"""


def info(event: str, **values: str | int | None) -> None:
    """An entry about normal life."""
    import structlog

    structlog.get_logger().info(event, **values)


def warning(event: str, **values: str | int | None) -> None:
    """An entry about a server that does not behave."""
    import structlog

    structlog.get_logger().warning(event, **values)
