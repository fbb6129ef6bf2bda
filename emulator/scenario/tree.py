"""A scenario file as a tree, merged with the files that it `extends` and with the command line's `--set`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from dispatchers.errors import one_line
from emulator.errors import InputError
from emulator.scenario.ranges import FORMS, KEYS
from emulator.scenario.yaml_tree import Node, Place, read_file, read_text
from emulator.text import show

EXTENDS_LIMIT = 10
"""Files that extend each other in a row."""

DISPLACED = {
    "rate": {"rates", "assignment"},
    "rates": {"rate"},
    "edges": {"path"},
    "path": {"edges"},
    "work": {"scv"},
    "kind": {"high", "low", "high_to_low", "low_to_high"},  # of arrivals without a kind
    "generator": {"transition"},
    "transition": {"generator"},
    "sizes": {"law", "mean"},
    "name": {"class"},
    "class": {"name"},
    **{form: set(FORMS) - {form} for form in FORMS},
}
"""What a key puts aside in a mapping that it is merged into, because the two exclude each other."""

WITH_PATHS = {"topology", "arrivals", "service", "messages", "dispatch"}
"""Keys below which a `path` is that of a file."""


class Anchored(str):
    """An absolute path, which is written relative to the file that it stands in."""

    __slots__ = ()


class Override(NamedTuple):
    """A value that the caller puts in place of the file's."""

    text: str
    """`key.path=value`."""
    said: str
    """How the caller has said it: `--seed 5`."""


def read_scenario(path: Path, overrides: Sequence[Override] = ()) -> Node:
    """Read a scenario file, what it extends, and overrides, the last winning, paths absolute. Raises `InputError`."""
    tree = _read(path, [])
    if overrides:
        tree = merge(tree, _anchored(reduce(merge, map(_setting, overrides)), path.parent))
    if "name" in tree.value:
        return tree
    name = re.sub(r"[^\w .+-]", "_", path.stem)[:100].strip(" .+-")
    return Node({"name": Node(name, tree.place), **tree.value}, tree.place)


def _read(path: Path, chain: list[str], named_at: Place | None = None) -> Node:
    """Read a file, which is named at a place, and what it extends; `chain` holds the files that led here."""
    try:
        tree = read_file(path)
        if not isinstance(tree.value, dict):
            raise InputError(f"{tree.place}: a scenario must be a mapping of keys, got {show(tree.plain)}")
    except InputError as error:
        if named_at is None:
            raise
        raise InputError(f"{named_at}: extends {error}") from None
    own = {key: node for key, node in tree.value.items() if key != "extends"}
    child = _anchored(Node(own, tree.place), path.parent)
    if "extends" not in tree.value:
        return child
    extends = tree.value["extends"]
    chain = [*chain, os.path.realpath(path)]
    if not isinstance(extends.value, str):
        raise InputError(f"{extends.place}: extends must be the name of a file, got {show(extends.plain)}")
    extended = path.parent / extends.value
    if not os.path.isfile(extended):
        raise InputError(f"{extends.place}: extends must be the name of a file, but there is no {extended}")
    if os.path.realpath(extended) in chain:
        raise InputError(f"{extends.place}: extends must not lead back to a file, got {show(extends.value)}")
    if len(chain) > EXTENDS_LIMIT:
        raise InputError(f"{extends.place}: extends must not lead through more than {EXTENDS_LIMIT} files")
    parent = _read(extended, chain, extends.place)
    # The name stays behind, or both would write into the same folder.
    inherited = {key: node for key, node in parent.value.items() if key != "name"}
    return merge(Node(inherited, parent.place), child)


def _setting(override: Override) -> Node:
    """Return `topology.side=11` as the tree {topology: {side: 11}}, whose place is what was typed."""
    text, place = override.text, Place(one_line(override.said, 100))
    dotted, equals, value = text.partition("=")
    keys = dotted.split(".")
    if not equals or not all(re.fullmatch(r"[^\s{}\[\]]+", key) for key in keys):
        raise InputError(f"{place}: must be key=value, such as topology.side=11 or delta_t=[1,2,5]")
    if keys[0] == "extends":
        raise InputError(f"{place}: extends must stand in a file")
    node = read_text(value, lambda line, column: place)
    for key in reversed(keys):
        node = Node({key: Node(node.value, place, place)}, place)
    return node


def merge(parent: Node, child: Node) -> Node:
    """Return `parent` with what `child` says: mappings merge, unless of another `kind` or class; all else replaces.

    On the command line, a mapping whose keys are indices changes elements of a list.
    """
    if not isinstance(child.value, dict):
        return child
    if isinstance(parent.value, list) and not child.place.line:
        return _merge_elements(parent, child)
    if not isinstance(parent.value, dict) or _is_of_range(parent) != _is_of_range(child):
        return child
    if _sorts(child) and _sorts(parent) and not _sorts(child) & _sorts(parent):
        return child
    displaced = set().union(*(DISPLACED.get(key, set()) for key in child.value)) - child.value.keys()
    merged = {key: node for key, node in parent.value.items() if key not in displaced}
    for key, node in child.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    where = child if child.place.line else parent  # the command line rarely says the whole mapping
    return Node(merged, where.place, where.key_place)


def _sorts(node: Node) -> set[str]:
    """Return what a mapping says of the sort of thing that its other keys belong to; classes are all one sort."""
    said = {f"{key} {node.plain[key]}" for key in ("kind", "law") if key in node.value}
    return said | {key for key in ("class",) if key in node.value}


def _is_of_range(node: Node) -> bool:
    """Return whether a mapping is a range of numbers, or a part of one."""
    return bool(node.value) and all(key in KEYS for key in node.value)


def _merge_elements(parent: Node, child: Node) -> Node:
    items = list(parent.value)
    for key, node in child.value.items():
        if parent.child(key) is None:
            raise InputError(f"{child.place}: an index must be from 0 to {len(items) - 1} here, got {show(key)}")
        item = items[int(key)]
        if isinstance(item.value, str) and isinstance(node.value, dict):  # a dispatcher's name alone
            item = Node({"name": item}, item.place)
        items[int(key)] = merge(item, node)
    return Node(items, parent.place, parent.key_place)


def _anchored(tree: Node, folder: Path) -> Node:
    """Make the paths of a file, or of the command line, absolute: they are seen from its `folder`."""
    values = dict(tree.value)
    if "folder" not in values and "dispatchers" in values and isinstance(values["dispatchers"].value, list):
        values["folder"] = Node(".", tree.place)
    if "folder" in values:
        values["folder"] = _absolute(values["folder"], folder)
    for section in WITH_PATHS & values.keys():
        values[section] = _with_absolute_paths(values[section], folder)
    return Node(values, tree.place, tree.key_place)


def _with_absolute_paths(node: Node, folder: Path) -> Node:
    """Return a mapping, or a list of mappings, whose every `path` is absolute, however deep it stands."""
    value = node.value
    if isinstance(value, list) and any(isinstance(item.value, dict | list) for item in value[:1]):
        return Node([_with_absolute_paths(item, folder) for item in value], node.place, node.key_place)
    if not isinstance(value, dict):
        return node
    inner = {
        key: _absolute(item, folder) if key == "path" else _with_absolute_paths(item, folder)
        for key, item in value.items()
    }
    return Node(inner, node.place, node.key_place)


def _absolute(node: Node, folder: Path) -> Node:
    if isinstance(node.value, list):
        return Node([_absolute(item, folder) for item in node.value], node.place, node.key_place)
    if isinstance(node.value, str) and node.value:
        return Node(Anchored(os.path.abspath(folder / node.value)), node.place, node.key_place)
    return node
