"""One episode of a run: how it is run, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dispatchers.catalogue import Made
from dispatchers.contract import Dispatcher
from dispatchers.information import information_of
from emulator.engines.auto import emulate, obstacle_to
from emulator.engines.comparison import EnginesDifferError
from emulator.engines.engine import ENGINES, REFERENCE, Engine
from emulator.engines.episode import GONE, Episode, Traces
from emulator.errors import InputError
from emulator.model.system import System
from emulator.results import traces as trace_files
from emulator.results.column import Column
from emulator.results.columns import TRACES
from emulator.results.measures import batch_values, values_of
from emulator.runs.check import make_dispatcher
from emulator.runs.tasks import Cell, Cells, Row, Task, swept_columns
from emulator.scenario.plan import Point
from emulator.scenario.scenario import Scenario
from emulator.version import __version__
from emulator.workload.workload import Workload

LITTLE_TOLERANCE = 1e-6
"""By which share the two sides of Little's law may differ, as times are counted in ticks."""

HELD_JOBS = 5_000_000
"""Expected jobs of an episode whose traces are held in memory until they are written."""


@dataclass(frozen=True)
class Study:
    """What the episodes of a run have in common; a process that runs some of them is told it once."""

    cells: Cells
    resolved: str
    """The resolved scenario, seen from where the scenario stands."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the files that the run has begun with, by their absolute paths."""

    @cached_property
    def swept(self) -> list[Column]:
        """The columns of what is swept."""
        return swept_columns(self.cells)

    def task(self, address: tuple[int, int, int]) -> Task:
        """Return the task of an address."""
        point, dispatcher, replication = address
        return Task(self.cells[point][dispatcher], replication)


@dataclass
class _Prepared:
    """A dispatcher of a system, and what the engines keep of it from one episode to the next."""

    dispatcher: Dispatcher
    system: System
    scenario: Scenario
    threads: int
    world: AbstractContextManager[Any]
    _engines: dict[str, Engine] = field(default_factory=dict, init=False)

    @cached_property
    def obstacle(self) -> str | None:
        return obstacle_to(self.dispatcher, self.scenario)

    def engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = ENGINES[name].load()(self.system, self.dispatcher, self.threads)
        return self._engines[name]


@dataclass
class EpisodeRunner:
    """Runs single episodes of a study; keeps the last system, its dispatchers and their engines for the next one."""

    study: Study
    staging: Path
    """Where trace files are written."""
    threads: int = 1
    """Threads that share the work of an episode of the compiled engine."""
    _point: Point | None = field(default=None, init=False)
    _has_many: bool = field(default=False, init=False)
    """Whether each replication has a graph of its own."""
    _replication: int = field(default=0, init=False)
    """The one whose graph `_system` has; 0 where one graph stands for all."""
    _system: System = field(init=False)
    _made: dict[Cell, Made] = field(default_factory=dict, init=False)
    """The dispatchers of the point."""
    _dispatchers: dict[Cell, _Prepared] = field(default_factory=dict, init=False)
    """The same with their engines, of the point and the replication."""

    def compile(self) -> None:
        """Have compiled what the first episodes need, so that no episode's time holds it."""
        cells = self.study.cells[0]
        system = self._system_of(cells[0].point, 0)
        measuring = replace(system.measuring, warmup=0.0)
        tiny = replace(system, horizon=1e-3 * min(system.delta_t, system.horizon), measuring=measuring)
        traced = Traces(jobs=True, epochs=True, nodes=cells[0].scenario.trace.nodes > 0)
        workload = Workload(tiny, 0)
        for draw in (workload.jobs, workload.decision_coins, workload.decision_orders):
            draw(0)
        used = {name for replication, _ in cells[0].kinds() for name in cells[0].engines(replication)}
        for cell in cells:
            with suppress(Exception):  # which will be told of the episode that it ends
                prepared = self._prepared(cell, 0)
                with prepared.world:
                    for name in used - {REFERENCE} if prepared.obstacle is None else ():
                        engine = ENGINES[name].load()(tiny, prepared.dispatcher, self.threads)
                        for traces in (traced, Traces()):
                            engine.episode(workload, traces)

    def run(self, task: Task, progress: Callable[[float], None] | None = None) -> Row:
        """Run one episode, write its traces, and return its row."""
        prepared = self._prepared(task.cell, task.replication)
        trace = task.cell.scenario.trace
        counts = trace.jobs, trace.epochs, trace.messages, trace.nodes
        wanted = Traces(*(task.replication < count for count in counts))
        with prepared.world:
            workload = Workload(prepared.system, task.replication)
            names = task.cell.engines(task.replication, prepared.obstacle)
            if names[0] != REFERENCE and task.cell.jobs > HELD_JOBS:
                # Jobs are too much to hold: the episode is emulated again while its traces are written.
                wanted = Traces(nodes=wanted.nodes)
            try:
                episode = emulate(names, prepared.engine, workload, wanted, progress)
            except EnginesDifferError as error:
                keys = ", ".join(f"{key} {value}" for key, value in task.keys.items())
                raise EnginesDifferError(f"{error} ({keys}); engine simpy is the reference") from None
            check_conservation(episode)
            self._write_traces(task, episode, workload, prepared)
            return row_of(task, episode, prepared.system, information_of(prepared.dispatcher))

    def _write_traces(self, task: Task, episode: Episode, workload: Workload, prepared: _Prepared) -> None:
        """Write the traces asked for; those that the episode does not hold are emulated again meanwhile."""
        trace, keys, swept = task.cell.scenario.trace, task.keys, self.study.swept
        metadata = {
            "scenario": task.cell.scenario.name,
            "resolved_scenario": self.study.resolved,
            "seed": str(prepared.system.seed),
            "version": __version__,
            "topology_hash": prepared.system.topology.graph_hash,
            "engine": episode.engine,
            "fingerprint": f"{episode.totals.fingerprint:016x}",
        }
        paths = {kind: self.staging / kind / task.part for kind in TRACES}

        def parts(kind: str) -> Iterable[Any]:
            held = getattr(episode, kind)
            if held is not None:
                return [held]
            both = prepared.engine(episode.engine).parts(workload, Traces(**{kind: True}))
            return (part for pair in both for part in pair if part is not None)

        if task.replication < trace.jobs:
            trace_files.write_jobs(paths["jobs"], parts("jobs"), keys, metadata, swept)
        if task.replication < trace.epochs:
            times, rates = workload.times[:-1], workload.scheduler_rates()
            trace_files.write_epochs(paths["epochs"], parts("epochs"), keys, times, rates, metadata, swept)
        if task.replication < trace.nodes and episode.nodes is not None:
            trace_files.write_nodes(paths["nodes"], episode.nodes, prepared.system, keys, metadata, swept)
        if episode.messages is not None:
            times = workload.times[:-1]
            trace_files.write_messages(paths["messages"], episode.messages, keys, times, metadata, swept)

    def _prepared(self, cell: Cell, replication: int) -> _Prepared:
        system = self._system_of(cell.point, replication)
        if cell not in self._made:
            made = make_dispatcher(cell.point, cell.place[1])
            self._refuse_changes(made.hashes)
            self._made[cell] = made
        if cell not in self._dispatchers:
            made = self._made[cell]
            self._dispatchers[cell] = _Prepared(made.dispatcher, system, cell.scenario, self.threads, made.world)
        return self._dispatchers[cell]

    def _refuse_changes(self, hashes: Mapping[str, str]) -> None:
        """Raise `InputError` if one of some files is not what it was when the run began."""
        for path, value in hashes.items():
            if self.study.hashes.get(path, value) != value:
                raise InputError(f"{path}: has changed since the run began; its episodes are kept, start it anew")

    def _system_of(self, point: Point, replication: int) -> System:
        if point is not self._point:
            self._made = {}
            self._has_many = point.scenario.topology.is_per_replication
            for plugin in point.scenario.plugins().values():
                self._refuse_changes(plugin.files().hashes)
        replication = replication if self._has_many else 0
        if point is not self._point or replication != self._replication:
            self._system = point.system(replication)
            self._dispatchers = {}
            self._point, self._replication = point, replication
        return self._system


def row_of(task: Task, episode: Episode, system: System, information: str) -> Row:
    """Return the row of an episode in episodes.parquet."""
    return {
        "scenario": task.cell.scenario.name,
        "topology": system.topology.kind,
        "nodes": max(system.schedulers, system.servers),
        "schedulers": system.schedulers,
        "servers": system.servers,
        "information": information,
        **task.keys,
        "seed": system.seed,
        "topology_hash": system.topology.graph_hash,
        "engine": episode.engine,
        **values_of(episode, system),
        "fingerprint": f"{episode.totals.fingerprint:016x}",
        "measured_time": episode.account.span,
        "measures": "all" if system.measuring.needs_census else "usual",
        "batches": [batch_values(episode, system, batch) for batch in episode.batches] or None,
    }


def check_conservation(episode: Episode) -> None:
    """Raise `RuntimeError` unless all jobs and all messages are accounted for.

    Arrivals = completions + drops + jobs refused, lost, given up and in the system; messages sent = received + lost +
    under way; and where a census was taken of the whole episode, the times that queues had their lengths, times these,
    are the times that jobs spent there (J. D. C. Little, 1961).
    """
    totals = episode.totals
    accounted = totals.in_system + sum(getattr(totals, name) for name in GONE)
    if totals.arrivals != accounted or totals.drops != totals.drops_by_epoch.sum():
        raise RuntimeError(f"{totals.arrivals} jobs arrived, but {accounted} are accounted for: {totals}")
    mail = totals.mail
    if mail.sent != mail.received + mail.lost + mail.under_way or mail.ignored > mail.received:
        raise RuntimeError(f"{mail.sent} messages were sent, but not all are accounted for: {mail}")
    account = episode.account
    is_of_all_jobs = account.arrivals == totals.arrivals  # then nobody was there before what is measured, either
    if account.time_at_length is not None and is_of_all_jobs:
        seen, spent = account.presence_time, totals.presence_time
        if abs(seen - spent) > LITTLE_TOLERANCE * (1.0 + spent):
            raise RuntimeError(f"jobs have spent {spent:.9g} ms at servers, but queues held them for {seen:.9g} ms")
