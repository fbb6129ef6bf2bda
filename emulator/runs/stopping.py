"""Which episodes are still to be run: all of them, or batches until the intervals are as narrow as asked."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from emulator.results.statistics import MEASURE, mean_interval
from emulator.runs.tasks import Cell, Row, Task
from emulator.scenario.plan import Plan

FIRST_BATCH = 10
"""Replications before the intervals are looked at for the first time."""


class Round(NamedTuple):
    """The episodes that are wanted as far as is known by now."""

    plan: Plan
    replications: list[int]
    """How many of each point, counted from the first."""
    failed: Collection[Cell]
    """Cells that are given up."""

    def missing(self, finished: Mapping[Task, Row]) -> Iterator[Task]:
        """Yield the episodes that are not finished: by point, then replication, then dispatcher."""
        for index, count in enumerate(self.replications):
            dispatchers = _dispatchers(self.plan, index, self.failed)
            for replication in range(count):
                for number in dispatchers:
                    task = Task(index, number, replication)
                    if task not in finished:
                        yield task

    def holds(self, task: Task) -> bool:
        """Return whether an episode is among the first ones of its point, which the summary is about."""
        return task.replication < self.replications[task.point]


def next_round(plan: Plan, finished: Mapping[Task, Row], failed: Collection[Cell]) -> Round:
    """Return what is wanted next. When nothing of it is missing, all is done.

    How many replications a point needs is a function of the results of its first ones, so it is the same however often
    a run was interrupted, and whatever else is finished.
    """
    return Round(plan, [_wanted(plan, index, finished, failed) for index in range(len(plan.points))], failed)


def _wanted(plan: Plan, point: int, finished: Mapping[Task, Row], failed: Collection[Cell]) -> int:
    """Return how many replications of a point are wanted: the first number that is not finished, or is enough."""
    *batches, most = _batches(plan, point)
    dispatchers = _dispatchers(plan, point, failed)
    for count in batches:
        tasks = (Task(point, number, replication) for replication in range(count) for number in dispatchers)
        if not all(task in finished for task in tasks) or _is_precise(plan, point, dispatchers, count, finished):
            return count
    return most


def _dispatchers(plan: Plan, point: int, failed: Collection[Cell]) -> list[int]:
    count = len(plan.points[point].scenario.dispatchers)
    return [number for number in range(count) if (point, number) not in failed]


def _batches(plan: Plan, point: int) -> Iterable[int]:
    """Yield the numbers of replications after which the intervals are looked at; each half as much again."""
    scenario = plan.points[point].scenario
    if scenario.precision is not None or scenario.paired_precision is not None:
        count = FIRST_BATCH
        while count < scenario.replications:
            yield count
            count += max(FIRST_BATCH, count // 2)
    yield scenario.replications


def _is_precise(plan: Plan, point: int, dispatchers: list[int], count: int, finished: Mapping[Task, Row]) -> bool:
    scenario = plan.points[point].scenario
    values = {
        number: [finished[Task(point, number, replication)][MEASURE] for replication in range(count)]
        for number in dispatchers
    }
    checks = [_is_within(scenario.precision, sample) for sample in values.values()]
    if 0 in values:
        first = values.pop(0)
        checks += [
            _is_within(scenario.paired_precision, [a - b for a, b in zip(sample, first, strict=True)])
            for sample in values.values()
        ]
    elif scenario.paired_precision is not None:
        return False  # the first dispatcher has failed
    return all(checks)


def _is_within(share: float | None, sample: list[float]) -> bool:
    """Return whether a mean is known to within a share of itself; never by values that are all alike."""
    if share is None:
        return True
    mean, low, high = mean_interval(sample)
    half_width = (high - low) / 2.0
    return not math.isnan(half_width) and half_width <= share * abs(mean)
