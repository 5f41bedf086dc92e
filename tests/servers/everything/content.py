"""What the server's answers are made of: texts, a picture, a sound, a document. No handlers."""

import mcp_types as types

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YQAAAAA="


def text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


def picture() -> types.ImageContent:
    return types.ImageContent(type="image", data=PICTURE, mime_type="image/png")


def sound() -> types.AudioContent:
    return types.AudioContent(type="audio", data=SOUND, mime_type="audio/wav")


def document(uri: str, value: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    resource = types.TextResourceContents(uri=uri, mime_type=mime_type, text=value)
    return types.EmbeddedResource(type="resource", resource=resource)


def said(value: str) -> types.CallToolResult:
    """A tool's answer of one text."""
    return types.CallToolResult(content=[text(value)])
