"""One episode of a plan: how it is run, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dispatchers.contract import Dispatcher
from emulator.engines.engine import EnginesDifferError, Mode, emulate, mode_of, obstacle_to
from emulator.engines.episode import Episode, EpochTrace, JobTrace
from emulator.errors import InputError
from emulator.model.system import System
from emulator.results import traces as trace_files
from emulator.results.folder import part_name
from emulator.scenario.plan import Plan
from emulator.version import __version__
from emulator.workload.workload import Workload

if TYPE_CHECKING:
    from emulator.engines.compiled.windows import CompiledEngine

from emulator.runs.check import make_dispatcher
from emulator.runs.tasks import Row, Task, expected_jobs, expected_mode, keys_of, like_replications

DISCOUNT = 0.99
"""Gamma of section 1.3.2, per epoch."""

HELD_JOBS = 5_000_000
"""Expected jobs of an episode whose traces are held in memory until they are written."""

REFERENCE_TIME = 50.0
"""Drops are scaled to this many ms, as in section 3."""


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
        from emulator.engines.compiled.windows import CompiledEngine

        engine = CompiledEngine(workload.system, self.dispatcher, self.threads)
        engine.run_episode(workload, jobs=True, epochs=True)
        engine.run_episode(workload)

    def compiled_engine(self) -> CompiledEngine:
        return self._compiled_engine

    @cached_property
    def _compiled_engine(self) -> CompiledEngine:
        from emulator.engines.compiled.windows import CompiledEngine

        return CompiledEngine(self.system, self.dispatcher, self.threads)


@dataclass
class EpisodeRunner:
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
        kinds = [expected_mode(self.plan, Task(0, 0, replication)) for replication, _ in like_replications(point)]
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
        is_compared = task.point in self.plan.compared
        mode = mode_of(point.scenario, self._jobs, task.replication, prepared.obstacle, is_compared=is_compared)
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
            self._refuse_changes(made.hashes)
            self._dispatchers[task.dispatcher] = _Prepared(made.dispatcher, system, self.threads, made.world)
        return self._dispatchers[task.dispatcher]

    def _refuse_changes(self, hashes: Mapping[str, str]) -> None:
        """Raise `InputError` if one of some files is not what it was when the run began."""
        for path, value in hashes.items():
            if self.hashes.get(path, value) != value:
                raise InputError(f"{path}: has changed since the run began; its episodes are kept, start it anew")

    def _emulate(self, task: Task, *arguments: Any, **options: Any) -> Episode:
        try:
            return emulate(*arguments, **options)
        except EnginesDifferError as error:
            keys = ", ".join(f"{key} {value}" for key, value in keys_of(self.plan, task).items())
            raise EnginesDifferError(f"{error} ({keys}); engine simpy is the reference") from None

    def _system_of(self, index: int) -> System:
        if index != self._point:
            point = self.plan.points[index]
            self._system = point.system()
            for plugin in point.scenario.plugins().values():
                self._refuse_changes(plugin.files().hashes)
            self._jobs = expected_jobs(point)
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
