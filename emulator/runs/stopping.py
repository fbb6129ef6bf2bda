"""Which episodes are still to be run: all of them, or batches until the intervals are as narrow as asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from emulator.results.statistics import MEASURE, mean_interval
from emulator.runs.tasks import Cell, Cells, Row, Task
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
    samples = [[finished[Task(cell, replication)][MEASURE] for replication in range(count)] for cell in cells]
    if not all(_is_within(scenario.precision, sample) for sample in samples):
        return False
    if scenario.paired_precision is None:
        return True
    if not cells or cells[0].place[1] != 0:
        return False  # the first dispatcher has failed
    first, *others = samples
    differences = ([a - b for a, b in zip(sample, first, strict=True)] for sample in others)
    return all(_is_within(scenario.paired_precision, difference) for difference in differences)


def _is_within(share: float | None, sample: list[float]) -> bool:
    """Return whether a mean is known to within a share of itself; never by values that are all alike."""
    if share is None:
        return True
    mean, low, high = mean_interval(sample)
    return (high - low) / 2.0 <= share * abs(mean)  # False if there is no interval, for it is NaN
