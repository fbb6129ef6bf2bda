"""Lists that sweep: where a scenario takes one value, a list of them makes a point of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, get_args, get_origin

from emulator.errors import InputError
from emulator.scenario.plugins import PluggedLaw, PluggedTopology, Plugin
from emulator.scenario.problems import NEVER_SWEPT, Problem
from emulator.scenario.scenario import SECTIONS, dotted
from emulator.scenario.yaml_tree import Node
from emulator.text import show, text_of, to_text

POINT_LIMIT = 100_000
"""Points of a sweep."""


def _list_depth(annotation: Any) -> int:
    """Return how deep lists are nested in one value of a type: 0 for a number, 2 for pairs of nodes."""
    inner = max(map(_list_depth, get_args(annotation)), default=0)
    return inner + (get_origin(annotation) is list)


LIST_DEPTHS: dict[str, int] = {
    dotted(section, key): _list_depth(field.annotation)
    for section, model in SECTIONS.items()
    for key, field in model.model_fields.items()
    if key != "kind" and section[:1] != ("classes",) and not NEVER_SWEPT & {key if not section else section[0]}
}
"""The dotted keys that sweep, each with the depth of the lists in one value of it; a deeper list sweeps."""


@dataclass(frozen=True)
class Axis:
    """A key and the values that it takes in turn."""

    key: str
    values: list[Node]

    def labels(self) -> list[str]:
        """Return a short text for each value, no two the same."""
        texts = [label(node.plain) for node in self.values]
        unique = len(set(texts)) == len(texts)
        return texts if unique else [f"{text} #{number}" for number, text in enumerate(texts, 1)]


PLUGINS: dict[str, type[Plugin]] = {
    "topology.": PluggedTopology,
    "service.work.": PluggedLaw,
    "messages.period.": PluggedLaw,
    "messages.times.": PluggedLaw,
    "messages.latency.": PluggedLaw,
    "messages.jitter.": PluggedLaw,
    "dispatch.latency.": PluggedLaw,
    "patience.": PluggedLaw,
    "failures.up.": PluggedLaw,
    "failures.down.": PluggedLaw,
    "retries.backoff.": PluggedLaw,
}
"""Where classes of users stand, whose own keys sweep, too."""

WORDS_OR_NUMBERS = {"messages.phase", "decide.phase"}
"""Keys whose lists sweep if they hold words: a list of numbers is one value."""


def axes(tree: Node, prefix: str = "", folder: Path | None = None) -> Iterator[Axis]:
    """Yield the swept keys of a scenario, or of a mapping of it, in their order in the file."""
    folder = folder or Path(str(tree.value["folder"].value) if "folder" in tree.value else ".")
    depths = LIST_DEPTHS | _depths_of_plugin(tree, prefix, folder)
    for key, node in tree.value.items():
        if "." in key:
            continue  # which is no key, though it looks like one in a section
        name = prefix + key
        if name == "dispatchers" and isinstance(node.value, list):
            yield from _policy_axes(node)
        if name not in depths:
            continue
        if node.value != [] and _depth(node) > _depth_of_one(name, node, depths):
            variants = (variant for item in node.value for variant in _variants(item, name, folder))
            yield Axis(name, list(itertools.islice(variants, POINT_LIMIT + 1)))
        elif isinstance(node.value, dict):
            yield from axes(node, f"{name}.", folder)


def _depth_of_one(key: str, node: Node, depths: dict[str, int]) -> int:
    """Return how deep lists are nested in one value of a key: a list of words is no list of numbers."""
    is_words = isinstance(node.value, list) and any(isinstance(item.value, str) for item in node.value)
    return 0 if is_words and key in WORDS_OR_NUMBERS else depths[key]


def _depths_of_plugin(tree: Node, prefix: str, folder: Path) -> dict[str, int]:
    """Return the depths of lists, as in LIST_DEPTHS, of the keys of a user's class; none if it cannot be found."""
    plugin = PLUGINS.get(prefix)
    if plugin is None or not plugin.takes(tree.plain):
        return {}
    with suppress(ValueError):
        named = {key: tree.plain[key] for key in (plugin.name_key, "class") if key in tree.plain}
        class_, _ = plugin.model_validate(named).looked_up_in(folder).found()
        return {prefix + key: _list_depth(field.annotation) for key, field in class_.model_fields.items()}
    return {}  # what is wrong will be told


def _policy_axes(dispatchers: Node) -> Iterator[Axis]:
    """Yield the dispatchers' policies that are lists of files; a class may mean something else by that word."""
    for index, spec in enumerate(dispatchers.value):
        policy = spec.value.get("policy") if isinstance(spec.value, dict) else None
        if policy is None or not isinstance(policy.value, list) or not policy.value:
            continue
        if "class" not in spec.value or all(str(item.value).endswith(".onnx") for item in policy.value):
            yield Axis(f"dispatchers.{index}.policy", policy.value)


def _depth(node: Node) -> int:
    if not isinstance(node.value, list):
        return 0
    return 1 + (_depth(node.value[0]) if node.value else 0)


def _variants(item: Node, key: str, folder: Path) -> Iterator[Node]:
    """Yield the values that one element of a swept list stands for: several if lists sweep inside it."""
    if isinstance(item.value, dict):
        inner = [Axis(axis.key.removeprefix(f"{key}."), axis.values) for axis in axes(item, f"{key}.", folder)]
        yield from (tree for _, tree in points(item, inner))
    else:
        yield item


def points(tree: Node, swept: list[Axis]) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Yield each point, the first axis slowest: the number of each axis's value, and the tree with them."""
    count = math.prod(len(axis.values) for axis in swept)
    if count > POINT_LIMIT:
        place, keys = swept[0].values[0].place, ", ".join(axis.key for axis in swept)
        raise InputError(f"{place}: the lists of {keys} make {count} points, at most {POINT_LIMIT} are allowed")
    for numbers in itertools.product(*(range(len(axis.values)) for axis in swept)):
        point = tree
        for axis, number in zip(swept, numbers, strict=True):
            point = _replaced(point, axis.key.split("."), axis.values[number])
        yield numbers, point


def _replaced(tree: Node, keys: list[str], node: Node) -> Node:
    first: Any
    first, *rest = keys
    content = {**tree.value} if isinstance(tree.value, dict) else [*tree.value]
    if isinstance(content, list):
        first = int(first)
    content[first] = _replaced(content[first], rest, node) if rest else node
    return Node(content, tree.place, tree.key_place)


def doubtful_values(axis: Axis) -> Iterator[Problem]:
    """Yield a problem for each value that stands twice or is null."""
    seen = set()
    for node in axis.values:
        identity = _identity(node.plain)
        if identity in seen:
            yield Problem(node.place, f"{axis.key} takes the value {show(node.plain)} twice")
        if node.value is None:
            yield Problem(node.place, f"{axis.key} must not be null in a list of values")
        seen.add(identity)


def _identity(plain: Any) -> Any:
    """Return something hashable that is equal for equal data, so 5 and 5.0 are the same."""
    if isinstance(plain, dict):
        return frozenset((key, _identity(value)) for key, value in plain.items())
    if isinstance(plain, list):
        return tuple(map(_identity, plain))
    return to_text(plain) if isinstance(plain, bool) else plain  # for True == 1


def label(plain: Any) -> str:
    """Return a value as a short text: torus(side=70), [2,3], 0.5."""
    if isinstance(plain, dict):
        inner = ", ".join(
            f"{key}={label(value)}" for key, value in plain.items() if key not in ("kind", "law", "class")
        )
        name = plain.get("kind") or plain.get("law") or str(plain.get("class", "")).partition(":")[2]
        text = f"{name}({inner})"
    elif isinstance(plain, list):
        text = "[" + ",".join(map(label, plain)) + "]"
    elif isinstance(plain, str):
        text = PurePath(plain).name
    else:
        text = text_of(plain) if isinstance(plain, int | float) else to_text(plain)
    return text if len(text) <= 60 else text[:57] + "..."
