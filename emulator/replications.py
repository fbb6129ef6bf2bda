"""The episodes of a plan: each point of the sweep, dispatcher and replication; how one is run and what it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dispatchers.catalogue import BUILT_IN, Made, make
from dispatchers.checking import check_dispatcher, check_fit
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from dispatchers.user_modules import hash_of
from emulator import trace_files
from emulator.engines import EnginesDifferError, Mode, emulate, mode_of, obstacle_to, seconds_of
from emulator.episode import Episode, EpochTrace, JobTrace
from emulator.errors import InputError
from emulator.picture import Picture, picture_of
from emulator.results import part_name
from emulator.scenario_file import Plan, Point
from emulator.system import System
from emulator.version import __version__
from emulator.workload import Workload

if TYPE_CHECKING:
    from emulator.compiled_engine import CompiledEngine

Row = dict[str, Any]
"""One row of episodes.parquet."""

DISCOUNT = 0.99
"""Gamma of section 1.3.2, per epoch."""

HELD_JOBS = 5_000_000
"""Expected jobs of an episode whose traces are held in memory until they are written."""

REFERENCE_TIME = 50.0
"""Drops are scaled to this many ms, as in section 3."""


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
    """Return how many jobs an episode has on average, with the rate path in its stationary law."""
    scenario = point.scenario
    arrivals = scenario.arrivals
    leaving = arrivals.high_to_low + arrivals.low_to_high
    share_high = arrivals.low_to_high / leaving if leaving else 0.5
    rate = share_high * arrivals.high + (1.0 - share_high) * arrivals.low
    return max(1.0, rate * scenario.horizon * point.node_count())


def expected_mode(plan: Plan, task: Task) -> Mode:
    """Return who emulates an episode, unless its dispatcher cannot be compiled."""
    point = plan.points[task.point]
    return mode_of(point.scenario, expected_jobs(point), task.replication)


def expected_seconds(plan: Plan, task: Task) -> float:
    """Return about how long an episode takes."""
    point = plan.points[task.point]
    return seconds_of(point.scenario, expected_jobs(point), task.replication)


def make_dispatcher(point: Point, index: int, *, thoroughly: bool = False) -> Made:
    """Make a point's dispatcher, with the files it depends on; put one of a user through `check_dispatcher` if asked.

    Raises `InputError` with the place in the file.
    """
    scenario, spec = point.scenario, point.scenario.dispatchers[index]

    def try_out(dispatcher: Dispatcher) -> None:
        check_fit(
            dispatcher,
            scenario.buffer,
            point.node_count(),
            spec.display,
            graph_hash=lambda: point.system().topology.graph_hash,
        )
        if thoroughly and spec.name not in BUILT_IN:
            check_dispatcher(dispatcher, buffer=scenario.buffer)

    try:
        return make(
            name=spec.name,
            class_=spec.class_,
            options=spec.options,
            folder=spec.folder,
            shipped=shipped_policies(),
            try_out=try_out,
        )
    except DispatcherError as error:
        raise InputError(f"{point.places[f'dispatchers.{index}']}: {error}") from None


def shipped_policies() -> Path | None:
    """Return the folder of the policies that come with this software, without importing their package."""
    folder = Path(__file__).resolve().parent.parent / "policies"
    return folder if folder.is_dir() else None


@dataclass
class _Prepared:
    """A dispatcher of a system, and what the engines keep of it from one episode to the next."""

    dispatcher: Dispatcher
    system: System
    threads: int
    world: AbstractContextManager[Any]

    @cached_property
    def obstacle(self) -> str | None:
        return obstacle_to(self.dispatcher)

    def compile(self, workload: Workload) -> None:
        from emulator.compiled_engine import CompiledEngine

        engine = CompiledEngine(workload.system, self.dispatcher, self.threads)
        engine.run_episode(workload, jobs=True, epochs=True)
        engine.run_episode(workload)

    def compiled_engine(self) -> CompiledEngine:
        return self._compiled_engine

    @cached_property
    def _compiled_engine(self) -> CompiledEngine:
        from emulator.compiled_engine import CompiledEngine

        return CompiledEngine(self.system, self.dispatcher, self.threads)


@dataclass
class Emulator:
    """Runs single episodes of a plan; keeps the last system and its dispatchers for the next one."""

    plan: Plan
    staging: Path | None
    """Where trace files are written; None writes none."""
    threads: int = 1
    """Threads that share the work of an episode of the compiled engine."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the files that the run has begun with, by their absolute paths."""
    resolved: str = field(init=False)
    _point: int = field(default=-1, init=False)
    _system: System = field(init=False)
    _jobs: float = field(default=0.0, init=False)
    _dispatchers: dict[int, _Prepared] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.resolved = self.plan.resolved_yaml()

    def compile(self) -> None:
        """Have compiled what the first episodes need, so that no episode's time holds it."""
        point = self.plan.points[0]
        system = self._system_of(0)
        tiny = replace(system, horizon=1e-3 * min(system.delta_t, system.horizon))
        workload = Workload(tiny, 0)
        for draw in (workload.jobs, workload.decision_coins, workload.decision_orders):
            draw(0)
        kinds = [mode_of(point.scenario, self._jobs, replication) for replication, _ in like_replications(point)]
        for index in range(len(point.scenario.dispatchers)):
            with suppress(Exception):  # which will be told of the episode that it ends
                prepared = self._prepared(Task(0, index, 0), system)
                with prepared.world:
                    if prepared.obstacle is None and kinds != [Mode.SIMPY]:
                        prepared.compile(workload)

    def run(self, task: Task, progress: Callable[[float], None] | None = None) -> Row:
        """Run one episode, write its traces, and return its row."""
        prepared = self._prepared(task, self._system_of(task.point))
        with prepared.world:
            return self._run(task, prepared, progress)

    def _run(self, task: Task, prepared: _Prepared, progress: Callable[[float], None] | None) -> Row:
        point, system = self.plan.points[task.point], prepared.system
        workload = Workload(system, task.replication)
        trace = point.scenario.trace
        mode = mode_of(point.scenario, self._jobs, task.replication, prepared.obstacle)
        is_long = mode is Mode.COMPILED and self._jobs > HELD_JOBS
        episode = self._emulate(
            task,
            mode,
            system,
            prepared.dispatcher,
            workload,
            prepared.compiled_engine,
            jobs=task.replication < trace.jobs and not is_long,
            epochs=task.replication < trace.epochs and not is_long,
            messages=task.replication < trace.messages,
            progress=progress,
        )
        check_conservation(episode)
        keys = keys_of(self.plan, task)
        if self.staging is not None:
            job_parts: Iterable[JobTrace] | None = [episode.jobs] if episode.jobs is not None else None
            epoch_parts: Iterable[EpochTrace] | None = [episode.epochs] if episode.epochs is not None else None
            if is_long:  # its traces do not fit into memory: it is emulated again as they are written
                engine = prepared.compiled_engine()
                job_parts = engine.job_parts(workload) if task.replication < trace.jobs else None
                epoch_parts = engine.epoch_parts(workload) if task.replication < trace.epochs else None
            self._write_traces(episode, job_parts, epoch_parts, keys, workload)
        return self._row(episode, keys, system)

    def _prepared(self, task: Task, system: System) -> _Prepared:
        if task.dispatcher not in self._dispatchers:
            made = make_dispatcher(self.plan.points[task.point], task.dispatcher)
            for path, value in made.hashes.items():
                if self.hashes.get(path, value) != value:
                    raise InputError(f"{path}: has changed since the run began; its episodes are kept, start it anew")
            self._dispatchers[task.dispatcher] = _Prepared(made.dispatcher, system, self.threads, made.world)
        return self._dispatchers[task.dispatcher]

    def _emulate(self, task: Task, *arguments: Any, **options: Any) -> Episode:
        try:
            return emulate(*arguments, **options)
        except EnginesDifferError as error:
            keys = ", ".join(f"{key} {value}" for key, value in keys_of(self.plan, task).items())
            raise EnginesDifferError(f"{error} ({keys}); engine simpy is the reference") from None

    def _system_of(self, index: int) -> System:
        if index != self._point:
            self._system = self.plan.points[index].system()
            self._jobs = expected_jobs(self.plan.points[index])
            self._dispatchers = {}
            self._point = index
        return self._system

    def _write_traces(
        self,
        episode: Episode,
        job_parts: Iterable[JobTrace] | None,
        epoch_parts: Iterable[EpochTrace] | None,
        keys: Row,
        workload: Workload,
    ) -> None:
        assert self.staging is not None
        name = part_name(keys)
        metadata = provenance(self.plan.name, self.resolved, workload.system) | {
            "engine": episode.engine,
            "fingerprint": f"{episode.totals.fingerprint:016x}",
        }
        if job_parts is not None:
            trace_files.write_jobs(self.staging / "jobs" / name, job_parts, keys, metadata)
        if epoch_parts is not None:
            trace_files.write_epochs(
                self.staging / "epochs" / name,
                epoch_parts,
                keys,
                workload.times[:-1],
                workload.arrival_rates,
                metadata,
            )
        if episode.messages is not None:
            trace_files.write_messages(self.staging / "messages" / name, episode.messages, keys, metadata)

    def _row(self, episode: Episode, keys: Row, system: System) -> Row:
        totals = episode.totals
        nodes = system.nodes
        discounts = DISCOUNT ** np.arange(len(totals.drops_by_epoch))
        return {
            "scenario": self.plan.name,
            "topology": system.topology.kind,
            "nodes": nodes,
            **keys,
            "seed": system.seed,
            "engine": episode.engine,
            "arrivals": totals.arrivals,
            "completions": totals.completions,
            "drops": totals.drops,
            "drops_per_queue": totals.drops * REFERENCE_TIME / system.horizon / nodes,
            "discounted_drops": float(np.sum(discounts * totals.drops_by_epoch)) / nodes,
            "mean_sojourn_time": totals.sojourn_time / totals.completions if totals.completions else np.nan,
            "mean_queue_length": totals.presence_time / system.horizon / nodes,
            "messages": totals.messages,
            "fingerprint": f"{totals.fingerprint:016x}",
        }


def provenance(name: str, resolved: str, system: System) -> dict[str, str]:
    """Return what every trace says of where it comes from: enough to run it again."""
    return {
        "scenario": name,
        "resolved_scenario": resolved,
        "seed": str(system.seed),
        "version": __version__,
        "topology_hash": system.topology.graph_hash,
    }


def check_conservation(episode: Episode) -> None:
    """Raise `RuntimeError` unless arrivals = completions + drops + jobs in the system."""
    totals = episode.totals
    accounted = totals.completions + totals.drops + totals.in_system
    if totals.arrivals != accounted or totals.drops != totals.drops_by_epoch.sum():
        raise RuntimeError(f"{totals.arrivals} jobs arrived, but {accounted} are accounted for: {totals}")


class Checked(NamedTuple):
    """What the check of a plan has found out."""

    picture: Picture
    """How the summary is to be drawn."""
    obstacles: dict[str, str]
    """By the name of a dispatcher, why it cannot be compiled."""
    files: dict[str, str]
    """Hashes of what results depend on, by names that say nothing of where it stands, such as `mine.py of Keep`."""
    opened: dict[str, str]
    """The same of files that dispatchers have opened; they may open less another time."""
    hashes: dict[str, str]
    """Of the files of dispatchers, by their absolute paths."""

    @property
    def uses_folder(self) -> bool:
        """Whether a dispatcher depends on files that do not come with this software."""
        shipped = f"{shipped_policies()}{os.sep}"
        return not all(path.startswith(shipped) for path in self.hashes)


def check_plan(plan: Plan) -> Checked:
    """Build every distinct system and make every dispatcher, so that bad input shows before anything runs.

    A user's class is also put through `check_dispatcher`. Raises `InputError` with the place in the file.
    """
    done: set[str] = set()
    checked = Checked(picture_of(plan, shipped_policies()), {}, {}, {}, {})
    for point in plan.points:
        scenario = point.scenario
        description = repr((scenario.topology, scenario.service, scenario.seed))
        if description not in done:
            done.add(description)
            point.system()
            path = getattr(scenario.topology, "path", None)
            if path is not None:
                _append(checked.files, "edges of the topology", hash_of(path) or "")
        for index, spec in enumerate(scenario.dispatchers):
            description = repr((spec, spec.folder, scenario.buffer, point.node_count()))
            if description not in done:
                done.add(description)
                _check_dispatcher(point, index, checked)
    return checked


def _check_dispatcher(point: Point, index: int, checked: Checked) -> None:
    spec, engine = point.scenario.dispatchers[index], point.scenario.engine
    made = make_dispatcher(point, index, thoroughly=True)
    with made.world:
        obstacle = None if engine == "simpy" else obstacle_to(made.dispatcher)
    if obstacle is not None:
        if engine == "compiled":
            place = point.places[f"dispatchers.{index}"]
            raise InputError(f"{place}: {spec.display}: {obstacle}; use engine auto or simpy")
        checked.obstacles[spec.display] = obstacle
    checked.hashes.update(made.hashes)
    for names, hashes in ((checked.files, made.files), (checked.opened, made.opened)):
        for name, value in hashes.items():
            _append(names, f"{name} of {spec.display}", value)


def _append(hashes: dict[str, str], name: str, value: str) -> None:
    """Add what a name stands for at a point of a sweep, if it has not stood for that at another one."""
    before = hashes.get(name, "")
    if value not in before.split():
        hashes[name] = f"{before} {value}".strip()
