"""YAML text → plain values, with the line and column of each (of its name, in a mapping). Knows no setting by name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""The way to a value: names of mappings and places in lists."""

_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Fault:
    """Text that is no tree we accept. Lines and columns count from 1."""

    line: int
    column: int
    path: Path
    message: str


@dataclass(slots=True)
class Tree:
    """The value, where each part of it stands, and what is wrong with the text."""

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: Path) -> tuple[int, int]:
        """The line and column of the value at `path`, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return 1, 1


def read(text: str) -> Tree:
    """The tree of one YAML document. A name given twice, an alias and a tag are faults, not values."""
    tree = Tree()
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:
        tree.faults.append(_fault(error))
        return tree
    try:
        node = loader.get_single_node()
        if node is not None:
            tree.value = _Walk(loader, tree).value(node, ())
    except yaml.YAMLError as error:
        tree.faults.append(_fault(error))
    except RecursionError:
        tree.faults.append(Fault(1, 1, (), "nested too deeply"))
    finally:
        loader.dispose()
    return tree


def _fault(error: yaml.YAMLError) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return Fault(mark.line + 1, mark.column + 1, (), f"not valid YAML: {error.problem}")
    if isinstance(error, yaml.reader.ReaderError):
        return Fault(1, 1, (), f"not valid YAML: a character at offset {error.position} is not allowed")
    return Fault(1, 1, (), "not valid YAML")


class _Walk:
    def __init__(self, loader: yaml.SafeLoader, tree: Tree) -> None:
        self._loader = loader
        self._tree = tree
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._tree.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if id(node) in self._seen:
            return self._refuse(node, path, "an alias (*name) is not accepted; write the value out")
        self._seen.add(id(node))
        if len(path) > _MAX_DEPTH:
            return self._refuse(node, path, "nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return dict(self._members(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _members(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        met: set[str] = set()
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode) or name_node.tag == "tag:yaml.org,2002:merge":
                self._refuse(name_node, path, "a name must be plain text")
                continue
            name = str(name_node.value)
            if name in met:
                self._refuse(name_node, (*path, name), "given twice")
                continue
            met.add(name)
            yield name, self.value(value_node, (*path, name))
            self._tree.places[(*path, name)] = (name_node.start_mark.line + 1, name_node.start_mark.column + 1)

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            return self._refuse(node, path, "not a value of a kind known here; put text in quotes")

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        self._tree.faults.append(Fault(node.start_mark.line + 1, node.start_mark.column + 1, path, message))
