"""Lists that sweep: where a scenario takes one value, a list of them makes a point of each.

A range is such a list. Options of a dispatcher make dispatchers, not points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, get_args, get_origin

from emulator.errors import InputError
from emulator.keys import unknown
from emulator.scenario.options import FIXED, Options, options_of
from emulator.scenario.plugins import PluggedLaw, PluggedTopology, Plugin
from emulator.scenario.problems import NEVER_SWEPT
from emulator.scenario.ranges import POINT_LIMIT, is_range, numbers_of
from emulator.scenario.scenario import SECTIONS, dotted
from emulator.scenario.yaml_tree import Node
from emulator.text import text_of, to_text


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

    @property
    def dispatcher(self) -> int | None:
        """The number of the dispatcher whose option this is, in the file; None if it is none."""
        first, *rest = self.key.split(".")
        return int(rest[0]) if first == "dispatchers" else None

    @property
    def option(self) -> str:
        """The last part of the key: an option's name."""
        return self.key.rpartition(".")[2]

    def labels(self) -> list[str]:
        """Return a short text for each value; those of different values that would be the same are numbered."""
        identities = [identity_of_value(node.plain) for node in self.values]
        texts = {identity: label(node.plain) for identity, node in zip(identities, self.values, strict=True)}
        alike: dict[str, list[Any]] = {}
        for identity, text in texts.items():
            alike.setdefault(text, []).append(identity)
        for text, some in alike.items():
            if len(some) > 1:
                texts |= {identity: f"{text} #{number}" for number, identity in enumerate(some, 1)}
        if len(set(texts.values())) < len(texts):  # one is written as if it had a number
            texts = {identity: f"{text} #{number}" for number, (identity, text) in enumerate(texts.items(), 1)}
        return [texts[identity] for identity in identities]


Group = Sequence[Axis]
"""Keys that take their values together: one alone, or those that `zip` names."""


PLUGINS: dict[str, type[Plugin]] = {
    "topology.": PluggedTopology,
    "service.work.": PluggedLaw,
    "messages.period.": PluggedLaw,
    "messages.times.": PluggedLaw,
    "messages.latency.": PluggedLaw,
    "messages.jitter.": PluggedLaw,
    "dispatch.latency.": PluggedLaw,
    "arrivals.gap.": PluggedLaw,
    "patience.": PluggedLaw,
    "failures.up.": PluggedLaw,
    "failures.down.": PluggedLaw,
    "retries.backoff.": PluggedLaw,
}
"""Where classes of users stand, whose own keys sweep, too."""

WORDS_OR_NUMBERS = {"messages.phase", "decide.phase", "arrivals.weights"}
"""Keys whose lists sweep if they hold words or mappings: a list of numbers is one value."""


def axes(tree: Node, prefix: str = "", folder: Path | None = None) -> Iterator[Axis]:
    """Yield the swept keys of a scenario, or of a mapping of it, in their order in the file; ranges are lists here."""
    folder = folder or folder_of(tree)
    depths = LIST_DEPTHS | _depths_of_plugin(tree, prefix, folder)
    for key, node in tree.value.items():
        if "." in key:
            continue  # which is no key, though it looks like one in a section
        name = prefix + key
        if name == "dispatchers" and isinstance(node.value, list):
            yield from _option_axes(node, folder)
        if name not in depths:
            continue
        if node.value != [] and _depth(node) > _depth_of_one(name, node, depths):
            variants = (variant for item in node.value for variant in _variants(item, name, folder))
            yield Axis(name, list(itertools.islice(variants, POINT_LIMIT + 1)))
        elif isinstance(node.value, dict):
            yield from axes(node, f"{name}.", folder)


def folder_of(tree: Node) -> Path:
    """Return where relative paths and modules of a scenario's dispatchers are looked up."""
    return Path(str(tree.value["folder"].value) if "folder" in tree.value else ".")


def written_out(tree: Node, prefix: str = "", folder: Path | None = None) -> Node:
    """Return a scenario, or a mapping of it, in which each range is the list that it stands for."""
    folder = folder or folder_of(tree)
    depths = LIST_DEPTHS | _depths_of_plugin(tree, prefix, folder)
    values = {}
    for key, node in tree.value.items():
        name = prefix + key
        if name == "dispatchers" and isinstance(node.value, list):
            items = [
                _with_options_written_out(spec, f"{name}.{index}", folder) for index, spec in enumerate(node.value)
            ]
            values[key] = Node(items, node.place, node.key_place)
        else:
            values[key] = _written_out(node, name, folder, depths[name]) if name in depths and "." not in key else node
    return Node(values, tree.place, tree.key_place)


def _written_out(node: Node, name: str, folder: Path, depth: int) -> Node:
    """Return the value of a key, lists of which are nested so deep, with the numbers of ranges in it."""
    if depth == 0 and is_range(node):
        return Node(numbers_of(node, name), node.place, node.key_place)
    if isinstance(node.value, dict):
        return written_out(node, f"{name}.", folder)
    if isinstance(node.value, list):
        items = (_written_out(item, name, folder, depth) for item in node.value)
        spliced = [
            number
            for item, out in zip(node.value, items, strict=True)
            for number in (out.value if depth == 0 and is_range(item) else [out])
        ]
        return Node(spliced, node.place, node.key_place, node.written)
    return node


def _with_options_written_out(spec: Node, name: str, folder: Path) -> Node:
    """Return a dispatcher whose ranges are lists, unless its class takes mappings there."""
    options = _swept_options(spec, folder)
    if options is None:
        return spec
    values = {
        key: node
        if key in FIXED or options.takes_mappings(key)
        else _written_out(node, f"{name}.{key}", folder, options.depth(key))
        for key, node in spec.value.items()
    }
    return Node(values, spec.place, spec.key_place)


def _swept_options(spec: Node, folder: Path) -> Options | None:
    """Return the options of a dispatcher's class if one may be swept here, else None: classes are not asked in vain."""
    if not isinstance(spec.value, dict):
        return None
    some = [node for key, node in spec.value.items() if key not in FIXED and "." not in key]
    if not any(is_range(node) or (isinstance(node.value, list) and node.value) for node in some):
        return None
    return options_of(spec, folder)


def _depth_of_one(key: str, node: Node, depths: dict[str, int]) -> int:
    """Return how deep lists are nested in one value of a key: a list of words, or of mappings, is none of numbers."""
    is_words = isinstance(node.value, list) and any(isinstance(item.value, str | dict) for item in node.value)
    if key in WORDS_OR_NUMBERS:
        return 0 if is_words else 1
    return depths[key]


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


def _option_axes(dispatchers: Node, folder: Path) -> Iterator[Axis]:
    """Yield the options of dispatchers that sweep. Raises `InputError` for one that the class does not have."""
    for index, spec in enumerate(dispatchers.value):
        options = _swept_options(spec, folder)
        if options is None:
            continue
        for key, node in spec.value.items():
            if key in FIXED or "." in key or node.value == [] or _depth(node) <= options.depth(key):
                continue
            if not options.is_known(key):
                message = f"dispatchers.{index}.{key} {unknown(key, options.names)}"
                raise InputError(f"{node.key_place or node.place}: {message}")
            yield Axis(f"dispatchers.{index}.{key}", node.value)


def _depth(node: Node) -> int:
    if not isinstance(node.value, list):
        return 0
    return 1 + (_depth(node.value[0]) if node.value else 0)


def _variants(item: Node, key: str, folder: Path) -> Iterator[Node]:
    """Yield the values that one element of a swept list stands for: several if lists sweep inside it."""
    if isinstance(item.value, dict):
        inner = [[Axis(axis.key.removeprefix(f"{key}."), axis.values)] for axis in axes(item, f"{key}.", folder)]
        yield from (tree for _, tree in points(item, inner))
    else:
        yield item


def points(tree: Node, groups: Sequence[Group]) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Yield each point, the first group slowest: the number of each group's values, and the tree with them."""
    check_count(groups)
    for numbers in itertools.product(*(range(len(group[0].values)) for group in groups)):
        point = tree
        for group, number in zip(groups, numbers, strict=True):
            for axis in group:
                point = _replaced(point, axis.key.split("."), axis.values[number])
        yield numbers, point


def check_count(groups: Sequence[Group]) -> None:
    """Raise `InputError` if some groups make too many points, or dispatchers."""
    count = math.prod(len(group[0].values) for group in groups)
    if count > POINT_LIMIT:
        place, keys = groups[0][0].values[0].place, ", ".join(axis.key for group in groups for axis in group)
        raise InputError(f"{place}: the lists of {keys} make {count} points, at most {POINT_LIMIT} are allowed")


def _replaced(tree: Node, keys: list[str], node: Node) -> Node:
    first: Any
    first, *rest = keys
    content = {**tree.value} if isinstance(tree.value, dict) else [*tree.value]
    if isinstance(content, list):
        first = int(first)
    content[first] = _replaced(content[first], rest, node) if rest else node
    return Node(content, tree.place, tree.key_place)


def identity_of_value(plain: Any) -> Any:
    """Return something hashable that is equal for equal data, so 5 and 5.0 are the same."""
    if isinstance(plain, dict):
        return frozenset((key, identity_of_value(value)) for key, value in plain.items())
    if isinstance(plain, list):
        return tuple(map(identity_of_value, plain))
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
        text = text_of(plain) if type(plain) in (int, float) else to_text(plain)
    return text if len(text) <= 60 else text[:57] + "..."
