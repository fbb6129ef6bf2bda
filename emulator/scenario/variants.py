"""Options of dispatchers that sweep: each combination of their values is a dispatcher of its own.

So `{name: JSQ-M, weight: [1, 2]}` stands for two dispatchers, `JSQ-M weight=1` and `JSQ-M weight=2`, which are compared
with all others like any two. An option that `zip` moves along with a key of the scenario makes none: there is one
dispatcher, whose option has another value at another point.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from emulator.scenario.dispatchers import DispatcherSpec, Swept
from emulator.scenario.options import OPTION
from emulator.scenario.sweep import Axis, Group, check_count

Told = int | float | str
"""A value as tables have it."""


def alike(values: Sequence[Told], texts: Sequence[str]) -> list[Told]:
    """Return the values of a column, which has one type: of integers and fractions numbers, of a text texts."""
    if any(isinstance(value, str) for value in values) or len({isinstance(value, bool) for value in values}) > 1:
        return list(texts)
    if any(isinstance(value, float) for value in values):
        return list(map(float, values))
    return list(values)


@dataclass(frozen=True)
class Variants:
    """The options that sweep."""

    own: list[Group]
    """Those that make dispatchers: each group is of one."""
    moved: list[Axis]
    """Those that move along with keys of the scenario."""

    @property
    def columns(self) -> list[str]:
        """The columns that the options have in tables; the same option of two dispatchers has one."""
        return list(dict.fromkeys(OPTION + axis.option for axis in self._axes))

    @property
    def _axes(self) -> list[Axis]:
        return [axis for group in self.own for axis in group] + self.moved

    @cached_property
    def _told(self) -> dict[str, list[tuple[Told, str]]]:
        """What tables and names say of each value, by the axis's key."""
        told: dict[str, list[tuple[Told, str]]] = {}
        for _, axes in itertools.groupby(sorted(self._axes, key=_option), key=_option):
            some = list(axes)
            nodes = [node for axis in some for node in axis.values]
            texts = [text for axis in some for text in axis.labels()]
            values = [node.value if isinstance(node.value, int | float) else "" for node in nodes]
            both = iter(zip(alike(values, texts), texts, strict=True))
            told |= {axis.key: list(itertools.islice(both, len(axis.values))) for axis in some}
        return told

    def check_count(self) -> None:
        """Raise `InputError` if a dispatcher stands for too many."""
        for index in {axis.dispatcher for group in self.own for axis in group}:
            check_count([group for group in self.own if group[0].dispatcher == index])

    def of(self, specs: Sequence[DispatcherSpec], numbers: Mapping[str, int]) -> Iterator[tuple[int, DispatcherSpec]]:
        """Yield the dispatchers that some stand for, each with the number of that in the file.

        `numbers` says which values the options have that move along with keys of the scenario, by the axis's key.
        """
        for index, spec in enumerate(specs):
            moved = [axis for axis in self.moved if axis.dispatcher == index]
            along = {axis.option: self._swept(axis, numbers[axis.key], spec.options[axis.option]) for axis in moved}
            spec = spec.variant(along, is_told=False) if along else spec
            own = [group for group in self.own if group[0].dispatcher == index]
            for combination in itertools.product(*(range(len(group[0].values)) for group in own)):
                chosen = [(axis, number) for group, number in zip(own, combination, strict=True) for axis in group]
                options = {
                    axis.option: self._swept(axis, number, spec.options[axis.option][number]) for axis, number in chosen
                }
                yield index, spec.variant(options, is_told=True) if options else spec

    def _swept(self, axis: Axis, number: int, value: object) -> Swept:
        return Swept(value, *self._told[axis.key][number])


def variants_in(groups: Iterable[Group]) -> tuple[Variants, list[Group]]:
    """Return the options that sweep, and the groups that make points: all that hold a key which is no option."""
    some = list(groups)
    of_points = [group for group in some if any(axis.dispatcher is None for axis in group)]
    own = [group for group in some if all(axis.dispatcher is not None for axis in group)]
    moved = [axis for group in of_points for axis in group if axis.dispatcher is not None]
    return Variants(own, moved), of_points


def _option(axis: Axis) -> str:
    return axis.option
