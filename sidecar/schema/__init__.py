"""The numbered migrations of each database, as statements. Runs none of them."""

import importlib.resources
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["state", "audit"]


def migrations(kind: Kind) -> list[tuple[int, list[str]]]:
    """The statements that lead to each schema version, lowest first.

    Shape: files `NNNN_name.sql`; a statement ends with a semicolon at the end of its line.
    """
    files = importlib.resources.files(__name__).joinpath(kind).iterdir()
    named = sorted((file.name, file) for file in files if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), _statements(file.read_text("utf-8"))) for name, file in named]


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]
