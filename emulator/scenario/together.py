"""Keys that move together: `zip: [[delta_t, topology.side], ...]` makes one axis of each group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emulator.errors import InputError
from emulator.scenario.problems import Problem
from emulator.scenario.sweep import Axis, Group, identity_of_value
from emulator.scenario.yaml_tree import Node
from emulator.text import show


def groups_of(tree: Node, swept: Sequence[Axis]) -> list[Group]:
    """Return the swept keys, those that move together in one group. Raises `InputError` for a wrong `zip`."""
    known = {axis.key: axis for axis in swept}
    together: dict[str, Group] = {}
    for key, node in _zipped(tree):
        members: list[Axis] = []
        for index, item in enumerate(node.value):
            name = item.value
            if not isinstance(name, str) or name not in known:
                allowed = f"must be one of the keys that take several values ({', '.join(known) or 'there are none'})"
                raise InputError(f"{item.place}: {key}.{index} {allowed}, got {item.shown}")
            if name in together or known[name] in members:
                raise InputError(f"{item.place}: {key}.{index} must stand in one group, and once, got {name} again")
            members.append(known[name])
        _check_group(members, key, node)
        in_order = [axis for axis in swept if axis in members]
        together |= {axis.key: in_order for axis in members}
    groups = (together.get(axis.key, [axis]) for axis in swept)
    return [group for axis, group in zip(swept, groups, strict=True) if group[0] is axis]


def without_zip(tree: Node) -> Node:
    """Return a scenario without what says how its keys sweep, and nothing of one point."""
    return Node({key: node for key, node in tree.value.items() if key != "zip"}, tree.place, tree.key_place)


def _zipped(tree: Node) -> Iterator[tuple[str, Node]]:
    """Yield the groups of keys that `zip` names, each with where it stands; one group needs no second brackets."""
    node = tree.value.get("zip", Node(None, tree.place))
    if node.value is None:
        return
    items = node.value if isinstance(node.value, list) else [node]
    is_one = isinstance(node.value, list) and any(isinstance(item.value, str) for item in items)
    for key, group in [("zip", node)] if is_one else [(f"zip.{index}", item) for index, item in enumerate(items)]:
        if not isinstance(group.value, list):
            told = "must be a list of keys that move together, such as [delta_t, horizon], or of several such lists"
            raise InputError(f"{group.place}: {key if group is not node else 'zip'} {told}, got {group.shown}")
        yield key, group


def _check_group(members: Group, key: str, node: Node) -> None:
    if len(members) < 2:
        raise InputError(f"{node.place}: {key} must hold at least two keys, which move together, got {node.shown}")
    if len({len(axis.values) for axis in members}) > 1:
        counts = ", ".join(f"{axis.key} {len(axis.values)}" for axis in members)
        raise InputError(f"{node.place}: {key} must hold keys that take equally many values, got {counts}")
    if None not in {axis.dispatcher for axis in members} and len({axis.dispatcher for axis in members}) > 1:
        told = "must hold options of one dispatcher, or a key that is no option"
        raise InputError(f"{node.place}: {key} {told}, got {node.shown}")


def doubtful_values(group: Group) -> Iterator[Problem]:
    """Yield a problem for each value that is null, or stands twice: of keys that move together, all of them."""
    seen = set()
    keys, verb = " and ".join(axis.key for axis in group), "takes the value" if len(group) == 1 else "take the values"
    for nodes in zip(*(axis.values for axis in group), strict=True):
        identity = tuple(identity_of_value(node.plain) for node in nodes)
        if identity in seen:
            shown = ", ".join(show(node.plain) for node in nodes)
            yield Problem(nodes[0].place, f"{keys} {verb} {shown} twice")
        seen.add(identity)
        for axis, node in zip(group, nodes, strict=True):
            if node.value is None:
                yield Problem(node.place, f"{axis.key} must not be null in a list of values")
