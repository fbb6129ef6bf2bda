"""The joint law of the queues and of all else that matters: a mass over the queues' states for each value of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dispatchers.view import distinct
from emulator.verification.exact.expected import Floats

Name = tuple[Any, ...]
"""A variable beside the queues: ("known", scheduler, column), say."""

Values = dict[Name, Any]

Parts = Iterable[tuple[Values, Floats]]
"""What cases turn into: the variables that change, and the mass that goes there."""


class Step(NamedTuple):
    """What happens at an instant, or between two: which variables it reads and sets, and how.

    It acts on all cases that agree in what it reads, whose masses are stacked: cases x the queues' states.
    """

    reads: frozenset[Name]
    sets: frozenset[Name]
    """Those it sets in every case; one that it may leave as it is must not be among them."""
    act: Callable[[Values, Floats], Parts]


class Law:
    """A finite law: each case is the values of the variables that matter later, and a mass over the queues' states."""

    def __init__(self, mass: Floats):
        self.names: list[Name] = []
        self.codes = np.zeros((1, 0), dtype=np.int64)
        """The value of each variable by its number: cases x names."""
        self.mass = mass[np.newaxis]
        """Cases x the queues' states."""
        self._numbers: dict[Any, int] = {}

    def apply(self, step: Step, needed: frozenset[Name]) -> None:
        """Let a step happen, and forget all variables that are not `needed` after it."""
        names = sorted(needed, key=repr)
        read = [place for place, name in enumerate(self.names) if name in step.reads]
        meanings = list(self._numbers)
        codes, masses = [], []
        for rows in _groups(self.codes[:, read]):
            first = self.codes[rows[0]].tolist()
            values = {self.names[place]: meanings[first[place]][1] for place in read}
            for changed, part in step.act(values, self.mass[rows]):
                columns = [
                    np.full(len(rows), self._number(changed[name]))
                    if name in changed
                    else self.codes[rows, self.names.index(name)]
                    for name in names
                ]
                there = part.reshape(len(rows), -1).any(axis=1)
                codes.append(np.array(columns, dtype=np.int64).reshape(len(names), len(rows)).T[there])
                masses.append(part[there])
        self.names = names
        self._merge(np.concatenate(codes), np.concatenate(masses))

    def _merge(self, codes: np.ndarray, mass: Floats) -> None:
        groups = _groups(codes)
        order = np.concatenate(groups)
        starts = np.cumsum([0, *map(len, groups[:-1])])
        self.codes, self.mass = codes[order[starts]], np.add.reduceat(mass[order], starts)

    def _number(self, value: Any) -> int:
        # 0.0, 0 and False are equal, but not the same.
        return self._numbers.setdefault((type(value), value), len(self._numbers))

    @property
    def total(self) -> Floats:
        """The joint law of the queues alone."""
        return np.asarray(self.mass.sum(axis=0))


def _groups(codes: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each set of rows that are equal."""
    if codes.shape[1] == 0:
        return [np.arange(len(codes))]
    first, number = distinct(codes)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number, minlength=len(first)))[:-1])


def needed_after(steps: Sequence[Step]) -> list[frozenset[Name]]:
    """Return for each step the variables that a later one reads before they are set again."""
    needed: frozenset[Name] = frozenset()
    found = []
    for step in reversed(steps):
        found.append(needed)
        needed = (needed - step.sets) | step.reads
    return found[::-1]
