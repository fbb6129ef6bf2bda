"""Which episodes are still to be run: all of them, or batches until the intervals are as narrow as asked."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from emulator.replications import Row, Task
from emulator.scenario_file import Plan
from emulator.statistics import MEASURE, mean_interval

FIRST_BATCH = 10
"""Replications before the intervals are looked at for the first time."""

Cell = tuple[int, int]
"""A point of the sweep and a dispatcher."""


def next_round(plan: Plan, finished: Mapping[Task, Row], failed: Collection[Cell]) -> list[Task]:
    """Return the episodes to run next: by point, then replication, then dispatcher. None are left in the end.

    How many replications a point needs is a function of the results of its first ones, so it is the same however often
    a run was interrupted.
    """
    tasks = []
    for index, point in enumerate(plan.points):
        dispatchers = [number for number in range(len(point.scenario.dispatchers)) if (index, number) not in failed]
        for count in _batches(plan, index):
            wanted = [Task(index, number, replication) for replication in range(count) for number in dispatchers]
            missing = [task for task in wanted if task not in finished]
            tasks += missing
            if missing or _is_precise(plan, index, dispatchers, count, finished):
                break
    return tasks


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
    return all(checks)


def _is_within(share: float | None, sample: list[float]) -> bool:
    if share is None:
        return True
    mean, low, high = mean_interval(sample)
    half_width = (high - low) / 2.0
    return not math.isnan(half_width) and half_width <= share * abs(mean)
