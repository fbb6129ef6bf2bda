"""The episodes of a plan: by point of the sweep, dispatcher and replication; how many, and how long they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from emulator.engines.engine import Mode, mode_of, seconds_of
from emulator.results.folder import part_name
from emulator.scenario.plan import Plan, Point

Row = dict[str, Any]
"""One row of episodes.parquet."""

Cell = tuple[int, int]
"""A point of the sweep and a dispatcher."""


class Task(NamedTuple):
    """One episode to run."""

    point: int
    dispatcher: int
    replication: int

    @property
    def cell(self) -> Cell:
        """The point and the dispatcher."""
        return self.point, self.dispatcher


class Extent(NamedTuple):
    """How much there is to do, without a look at every single episode: there may be a million."""

    episodes: int
    jobs: float
    seconds: float


def extent_of(plan: Plan) -> Extent:
    """Return how many episodes a plan has at most, their expected jobs, and about how long they take."""
    episodes, jobs, seconds = 0, 0.0, 0.0
    for index, point in enumerate(plan.points):
        dispatchers = len(point.scenario.dispatchers)
        for replication, alike in like_replications(point):
            episodes += alike * dispatchers
            seconds += alike * dispatchers * expected_seconds(plan, Task(index, 0, replication))
        jobs += point.scenario.replications * dispatchers * expected_jobs(point)
    return Extent(episodes, jobs, seconds)


def like_replications(point: Point) -> list[tuple[int, int]]:
    """Return one replication of each kind that the engines tell apart, and how many of that kind there are."""
    total = point.scenario.replications
    special = min(max(1, point.scenario.trace.messages), total)
    kinds = [(0, 1), (1, special - 1), (special, total - special)]
    return [(replication, count) for replication, count in kinds if count > 0]


def tasks_of(plan: Plan) -> Iterator[Task]:
    """Yield every episode of a plan: by point, then replication, then dispatcher."""
    for index, point in enumerate(plan.points):
        for replication in range(point.scenario.replications):
            for dispatcher in range(len(point.scenario.dispatchers)):
                yield Task(index, dispatcher, replication)


def keys_of(plan: Plan, task: Task) -> Row:
    """Return what tells an episode from the others: replication, dispatcher, delta_t, then other swept keys."""
    point = plan.points[task.point]
    return {
        "replication": task.replication,
        "dispatcher": point.scenario.dispatchers[task.dispatcher].display,
        "delta_t": point.scenario.delta_t,
        **{key: value for key, value in point.values.items() if key != "delta_t"},
    }


def part_of(plan: Plan, task: Task) -> str:
    """Return the name of an episode's trace files."""
    return part_name(keys_of(plan, task))


def expected_jobs(point: Point) -> float:
    """Return how many jobs an episode has on average, with arrivals at their expected rate."""
    scenario = point.scenario
    return max(1.0, scenario.arrivals.expected_rate() * scenario.horizon * point.node_count())


def expected_mode(plan: Plan, task: Task) -> Mode:
    """Return who emulates an episode, unless its dispatcher cannot be compiled."""
    point = plan.points[task.point]
    is_compared = task.point in plan.compared
    return mode_of(point.scenario, expected_jobs(point), task.replication, is_compared=is_compared)


def expected_seconds(plan: Plan, task: Task) -> float:
    """Return about how long an episode takes."""
    return seconds_of(expected_mode(plan, task), expected_jobs(plan.points[task.point]))
