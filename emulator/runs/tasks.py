"""The episodes of a plan: a cell is a dispatcher at a point of the sweep, a task a replication of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from emulator.engines.auto import Names, engines_of, seconds_of
from emulator.results.column import Column
from emulator.results.columns import TRACES, swept_column
from emulator.results.folder import part_name
from emulator.scenario.dispatchers import DispatcherSpec
from emulator.scenario.options import OPTION
from emulator.scenario.plan import Plan, Point
from emulator.scenario.scenario import Scenario

Row = dict[str, Any]
"""One row of episodes.parquet."""


@dataclass(frozen=True, order=True)
class Cell:
    """A dispatcher at a point of the sweep. Cells of one run are told apart, and ordered, by their place."""

    place: tuple[int, int]
    """The number of the point, and that of the dispatcher in its scenario."""
    point: Point = field(compare=False, repr=False)
    is_compared: bool = field(compare=False, repr=False)
    """Whether engine auto lets SimPy emulate its first replication, too."""
    options: Sequence[str] = field(compare=False, repr=False, default=())
    """The columns of dispatchers' options that sweep."""

    @property
    def scenario(self) -> Scenario:
        """The scenario at the point."""
        return self.point.scenario

    @property
    def spec(self) -> DispatcherSpec:
        """The dispatcher as the scenario gives it."""
        return self.scenario.dispatchers[self.place[1]]

    @cached_property
    def keys(self) -> Row:
        """What tells the cell from the others: dispatcher, delta_t, then other swept keys, and its swept options."""
        options = {column: self.spec.swept.get(column.removeprefix(OPTION)) for column in self.options}
        return {"dispatcher": self.spec.display, "delta_t": self.scenario.delta_t, **self.point.values, **options}

    @cached_property
    def jobs(self) -> float:
        """The mean number of jobs in an episode, with arrivals at their expected rate."""
        arrivals, schedulers = self.scenario.arrivals, self.point.scheduler_count()
        rate = arrivals.expected_rate(schedulers) * arrivals.batch_mean
        return max(1.0, rate * self.scenario.horizon * self.point.scheduler_count())

    def engines(self, replication: int, obstacle: str | None = None) -> Names:
        """Return the engines of a replication; `obstacle` says why it cannot be compiled, if that is known."""
        return engines_of(self.scenario, self.jobs, replication, obstacle, is_compared=self.is_compared)

    def seconds(self, replication: int) -> float:
        """Return about how long a replication takes."""
        return seconds_of(self.engines(replication), self.jobs)

    def kinds(self) -> list[tuple[int, int]]:
        """Return one replication of each kind that the engines tell apart, and how many of that kind there are."""
        total = self.scenario.replications
        special = min(max(1, self.scenario.trace.messages), total)
        kinds = [(0, 1), (1, special - 1), (special, total - special)]
        return [(replication, count) for replication, count in kinds if count > 0]


class Task(NamedTuple):
    """One episode to run: a replication of a cell."""

    cell: Cell
    replication: int

    @property
    def address(self) -> tuple[int, int, int]:
        """What stands for the task between processes: point, dispatcher, replication."""
        return (*self.cell.place, self.replication)

    @property
    def keys(self) -> Row:
        """What tells the episode from the others: replication, dispatcher, delta_t, then other swept keys."""
        return {"replication": self.replication, **self.cell.keys}

    @property
    def part(self) -> str:
        """The name of the episode's trace files."""
        return part_name(self.keys)

    @property
    def trace_files(self) -> list[str]:
        """The names of the episode's trace files, with their folder, as far as they are asked for."""
        trace, part = self.cell.scenario.trace, self.part
        return [f"{kind}/{part}" for kind in TRACES if self.replication < getattr(trace, kind)]

    @property
    def seconds(self) -> float:
        """About how long the episode takes."""
        return self.cell.seconds(self.replication)


Cells = Sequence[Sequence[Cell]]
"""The cells of a run: by point, then dispatcher."""


def cells_of(plan: Plan) -> list[list[Cell]]:
    """Return the cells of a plan."""
    return [
        [
            Cell((place, number), point, place in plan.compared, plan.options)
            for number in range(len(point.scenario.dispatchers))
        ]
        for place, point in enumerate(plan.points)
    ]


def swept_columns(cells: Cells) -> list[Column]:
    """Return the columns of what is swept: the same in the tables of a run and in the traces of each episode."""
    keys = [cell.keys for row in cells for cell in row]
    return [swept_column(key, (row[key] for row in keys)) for key in keys[0] if key not in ("dispatcher", "delta_t")]


def tasks_of(cells: Cells) -> Iterator[Task]:
    """Yield every episode: by point, then replication, then dispatcher."""
    for row in cells:
        yield from (Task(cell, number) for number in range(row[0].scenario.replications) for cell in row)


def types_of(columns: Sequence[Column]) -> dict[str, str]:
    """Return the types of some columns, as text."""
    return {column.name: str(column.type) for column in columns}


class Extent(NamedTuple):
    """How much there is to do, without a look at every single episode: there may be a million."""

    episodes: int
    jobs: float
    seconds: float


def extent_of(cells: Cells) -> Extent:
    """Return the extent of all cells, with as many replications as there are at most."""
    episodes, jobs, seconds = 0, 0.0, 0.0
    for row in cells:
        for replication, alike in row[0].kinds():
            episodes += alike * len(row)
            jobs += alike * len(row) * row[0].jobs
            seconds += alike * len(row) * row[0].seconds(replication)
    return Extent(episodes, jobs, seconds)
