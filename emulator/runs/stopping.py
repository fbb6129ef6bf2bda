"""Which episodes are still to be run: all of them, or batches until the intervals are as narrow as asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from emulator.results.measures import measure_named
from emulator.results.statistics import columns_for, difference_of, interval_of
from emulator.runs.tasks import Cell, Cells, Row, Task
from emulator.scenario.measuring import Precision
from emulator.scenario.scenario import Scenario

FIRST_BATCH = 10
"""Replications before the intervals are looked at for the first time."""


class Round(NamedTuple):
    """The episodes that are wanted as far as is known by now."""

    cells: Cells
    """Those that are not given up."""
    replications: list[int]
    """How many of each point, counted from the first."""

    def missing(self, finished: Mapping[Task, Row]) -> Iterator[Task]:
        """Yield the episodes that are not finished: by point, then replication, then dispatcher."""
        for row, count in zip(self.cells, self.replications, strict=True):
            tasks = (Task(cell, replication) for replication in range(count) for cell in row)
            yield from (task for task in tasks if task not in finished)

    def holds(self, task: Task) -> bool:
        """Return whether an episode is among the first ones of its point, which the summary is about."""
        return task.replication < self.replications[task.cell.place[0]]


def next_round(cells: Cells, finished: Mapping[Task, Row], failed: Collection[Cell]) -> Round:
    """Return what is wanted next; all is done when nothing of it is missing.

    How many replications a point needs is a function of the results of its first ones, however often a run was cut off.
    """
    left = [[cell for cell in row if cell not in failed] for row in cells]
    wanted = [_wanted(row[0].scenario, some, finished) for row, some in zip(cells, left, strict=True)]
    return Round(left, wanted)


def _wanted(scenario: Scenario, cells: Sequence[Cell], finished: Mapping[Task, Row]) -> int:
    """Return how many replications of a point are wanted: the first number that is not finished, or is enough."""
    *batches, most = _batches(scenario)
    for count in batches:
        tasks = (Task(cell, replication) for replication in range(count) for cell in cells)
        if not all(task in finished for task in tasks) or _is_precise(scenario, cells, count, finished):
            return count
    return most


def _batches(scenario: Scenario) -> Iterable[int]:
    """Yield the numbers of replications after which the intervals are looked at; each half as much again."""
    if scenario.precision is not None or scenario.paired_precision is not None:
        count = FIRST_BATCH
        while count < scenario.replications:
            yield count
            count += max(FIRST_BATCH, count // 2)
    yield scenario.replications


def _is_precise(scenario: Scenario, cells: Sequence[Cell], count: int, finished: Mapping[Task, Row]) -> bool:
    samples = [[finished[Task(cell, replication)] for replication in range(count)] for cell in cells]
    if (wanted := scenario.precision) is not None:
        measure = measure_named(wanted.of)
        if not all(_is_within(wanted, interval_of(measure, columns_for(measure, sample))) for sample in samples):
            return False
    if (wanted := scenario.paired_precision) is None:
        return True
    if not cells or cells[0].place[1] != 0:
        return False  # the first dispatcher has failed
    measure = measure_named(wanted.of)
    first, *others = (columns_for(measure, sample) for sample in samples)
    return all(_is_within(wanted, difference_of(measure, sample, first)) for sample in others)


def _is_within(wanted: Precision, interval: tuple[float, float, float]) -> bool:
    """Return whether a number is known to within a share of itself; never if it is 0, or by values that are alike."""
    value, low, high = interval
    return (high - low) / 2.0 <= wanted.half_width * abs(value)  # False if there is no interval, for it is NaN
