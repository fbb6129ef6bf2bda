"""Runs a plan: every point of the sweep, dispatcher and replication, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dispatchers.catalogue import make
from dispatchers.checking import check_buffer, check_dispatcher
from dispatchers.contract import Dispatcher, DispatcherError
from emulator import trace_files
from emulator.episode import Episode
from emulator.errors import InputError
from emulator.results import part_name
from emulator.scenario_file import Plan, Point
from emulator.simpy_engine import run_episode
from emulator.system import System
from emulator.version import __version__
from emulator.workload import Workload

Row = dict[str, Any]
"""One row of episodes.parquet."""

DISCOUNT = 0.99
"""Gamma of section 1.3.2, per epoch."""

REFERENCE_TIME = 50.0
"""Drops are scaled to this many ms, as in section 3."""

WORTH_A_PROCESS = 400_000
"""Expected jobs that keep a process busy for much longer than it takes to start one."""


@dataclass(frozen=True)
class Task:
    """One episode to run."""

    point: int
    dispatcher: int
    replication: int


def tasks_of(plan: Plan) -> list[Task]:
    """Return every episode of a plan: by point, then replication, then dispatcher."""
    return [
        Task(index, dispatcher, replication)
        for index, point in enumerate(plan.points)
        for replication in range(point.scenario.replications)
        for dispatcher in range(len(point.scenario.dispatchers))
    ]


def expected_jobs(point: Point) -> float:
    """Return how many jobs an episode has on average, with the rate path in its stationary law."""
    scenario = point.scenario
    arrivals = scenario.arrivals
    leaving = arrivals.high_to_low + arrivals.low_to_high
    share_high = arrivals.low_to_high / leaving if leaving else 0.5
    rate = share_high * arrivals.high + (1.0 - share_high) * arrivals.low
    return max(1.0, rate * scenario.horizon * point.node_count())


def make_dispatcher(point: Point, index: int, *, thoroughly: bool = False) -> Dispatcher:
    """Make a point's dispatcher, with its options filled in, a user's class put through `check_dispatcher` if `thoroughly`.

    Raises `InputError` with the place in the file."""
    spec = point.scenario.dispatchers[index]
    try:
        dispatcher = make(
            name=spec.name, class_=spec.class_, options=spec.options, folder=spec.folder, shipped=shipped_policies()
        )
        check_buffer(dispatcher, point.scenario.buffer, spec.display)
        if spec.class_ is not None and thoroughly:
            check_dispatcher(dispatcher, buffer=point.scenario.buffer)
    except DispatcherError as error:
        raise InputError(f"{point.places[f'dispatchers.{index}']}: {error}") from None
    return dispatcher


def shipped_policies() -> Path | None:
    """Return the folder of the policies that come with this software, without importing their package."""
    folder = Path(__file__).resolve().parent.parent / "policies"
    return folder if folder.is_dir() else None


@dataclass
class Emulator:
    """Runs single episodes of a plan; keeps the last system and its dispatchers for the next one."""

    plan: Plan
    staging: Path | None
    """Where trace files are written; None writes none."""
    resolved: str = field(init=False)
    _point: int = field(default=-1, init=False)
    _system: System = field(init=False)
    _dispatchers: dict[int, Dispatcher] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.resolved = self.plan.resolved_yaml()

    def run(self, task: Task, progress: Callable[[float], None] | None = None) -> Row:
        """Run one episode, write its traces, and return its row."""
        point = self.plan.points[task.point]
        system = self._system_of(task.point)
        if task.dispatcher not in self._dispatchers:
            self._dispatchers[task.dispatcher] = make_dispatcher(point, task.dispatcher)
        workload = Workload(system, task.replication)
        trace = point.scenario.trace
        episode = run_episode(
            system,
            self._dispatchers[task.dispatcher],
            workload,
            jobs=task.replication < trace.jobs,
            epochs=task.replication < trace.epochs,
            messages=task.replication < trace.messages,
            progress=progress,
        )
        check_conservation(episode)
        keys = {
            "replication": task.replication,
            "dispatcher": point.scenario.dispatchers[task.dispatcher].display,
            "delta_t": system.delta_t,
            **{key: value for key, value in point.values.items() if key != "delta_t"},
        }
        if self.staging is not None:
            self._write_traces(episode, keys, system, workload)
        return self._row(episode, keys, system)

    def _system_of(self, index: int) -> System:
        if index != self._point:
            self._system = self.plan.points[index].system()
            self._dispatchers = {}
            self._point = index
        return self._system

    def _write_traces(self, episode: Episode, keys: Row, system: System, workload: Workload) -> None:
        assert self.staging is not None
        name = part_name(keys)
        metadata = provenance(self.plan.name, self.resolved, system) | {
            "engine": episode.engine,
            "fingerprint": f"{episode.totals.fingerprint:016x}",
        }
        if episode.jobs is not None:
            trace_files.write_jobs(self.staging / "jobs" / name, episode.jobs, keys, metadata)
        if episode.epochs is not None:
            trace_files.write_epochs(
                self.staging / "epochs" / name,
                episode.epochs,
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


def check_plan(plan: Plan) -> None:
    """Build every distinct system and make every dispatcher, so that bad input shows before anything runs.

    A user's class is also put through `check_dispatcher`.
    """
    built: set[str] = set()
    checked: set[str] = set()
    for point in plan.points:
        scenario = point.scenario
        description = repr((scenario.topology, scenario.service, scenario.seed))
        if description not in built:
            built.add(description)
            point.system()
        for index, spec in enumerate(scenario.dispatchers):
            description = repr((spec, spec.folder, scenario.buffer))
            if description not in checked:
                checked.add(description)
                make_dispatcher(point, index, thoroughly=True)


def worker_count(plan: Plan, wanted: int | None) -> int:
    """Return how many processes to use: as `wanted`, else the cores at hand if the work is worth starting them."""
    if wanted is not None and wanted < 1:
        raise InputError(f"--workers must be >= 1, got {wanted}")
    tasks = tasks_of(plan)
    if wanted is not None:
        return min(wanted, len(tasks))
    work = sum(expected_jobs(plan.points[task.point]) for task in tasks)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, len(tasks), int(work // WORTH_A_PROCESS)))


def run_tasks(
    plan: Plan, staging: Path | None, workers: int, advance: Callable[[float], None]
) -> Iterator[tuple[Task, Row]]:
    """Run all episodes of a plan and yield each one's row as it is finished, in any order.

    `advance` is called with the expected jobs that were dealt with since the last call.
    """
    if workers == 1:
        emulator = Emulator(plan, staging)
        for task in tasks_of(plan):
            with _Share(plan.points[task.point], advance) as share:
                row = emulator.run(task, share.report)
            yield task, row
    else:
        yield from _run_in_processes(plan, staging, workers, advance)


class _Share:
    """Turns simulated time of one episode into steps of expected jobs, which add up exactly."""

    def __init__(self, point: Point, advance: Callable[[float], None]):
        self.jobs = expected_jobs(point)
        self.horizon = point.scenario.horizon
        self.advance = advance
        self.done = 0.0

    def report(self, time: float) -> None:
        step = self.jobs * time / self.horizon - self.done
        self.done += step
        self.advance(step)

    def __enter__(self) -> _Share:
        return self

    def __exit__(self, *error: object) -> None:
        self.advance(self.jobs - self.done)


_worker: tuple[Emulator, Any] | None = None
"""In a worker process: its emulator, and the counter of expected jobs it shares with all others."""


def _start_worker(plan: Plan, staging: Path | None, counter: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    _worker = (Emulator(plan, staging), counter)


def _run_in_worker(task: Task) -> Row:
    assert _worker is not None
    emulator, counter = _worker

    def advance(jobs: float) -> None:
        with counter.get_lock():
            counter.value += jobs

    with _Share(emulator.plan.points[task.point], advance) as share:
        return emulator.run(task, share.report)


def _run_in_processes(
    plan: Plan, staging: Path | None, workers: int, advance: Callable[[float], None]
) -> Iterator[tuple[Task, Row]]:
    context = multiprocessing.get_context("spawn")  # threads of this process must not be forked
    counter = context.Value("d", 0.0)
    told = 0.0
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(plan, staging, counter)
    )
    try:
        waiting = iter(tasks_of(plan))
        running: dict[Future[Row], Task] = {}
        while True:
            # A few ahead of the workers, not all: a plan may have a million episodes.
            for task in islice(waiting, 4 * workers - len(running)):
                running[executor.submit(_run_in_worker, task)] = task
            if not running:
                break
            done, _ = wait(running, timeout=0.25, return_when=FIRST_COMPLETED)
            advance(counter.value - told)
            told = counter.value
            for future in done:
                yield running.pop(future), future.result()
    finally:
        processes = list((executor._processes or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
