"""Runs the episodes of a plan on a Ray cluster; the same files come out as from this machine alone.

Each episode is one Ray task. Its traces are written on the node that ran it and travel back with its row, so the
results folder is needed here alone; the scenario's folder (policies, classes) is read on every node, under the same
path.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Generator, Iterable, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.machine.processes import Fatal
from emulator.results.folder import TRACE_FOLDERS
from emulator.runs.episode_runner import EpisodeRunner
from emulator.runs.executors.here import outcome_of, portable
from emulator.runs.tasks import Row, Task, expected_seconds
from emulator.scenario.plan import Plan

AHEAD = 4
"""Episodes that are submitted per core, so that none waits for the next; a plan may have a million of them."""

RETRIES = 20
"""Times that an episode is submitted again after its process or node has died."""

Answer = tuple[Row | Exception | Fatal, dict[str, bytes]]
"""A row, or what went wrong, and the content of the episode's trace files by folder/name."""


def run_on_cluster(
    plan: Plan,
    tasks: Iterable[Task],
    staging: Path,
    address: str,
    cores: int | None,
    advance: Callable[[float], None],
    hashes: Mapping[str, str] = MappingProxyType({}),
) -> Generator[tuple[Task, Row | Exception]]:
    """Run episodes on the Ray cluster at `address`, or on one that is started here if it is `local`.

    As `emulator.runs.executors.here.run_tasks`. Raises `InputError` if there is no Ray or no such cluster.
    """
    ray = _connected(address, cores)
    run = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
    shared = ray.put((plan, dict(hashes)))
    waiting = iter(tasks)
    running: dict[Any, Task] = {}
    try:
        while True:
            room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(running)
            running |= {run.remote(shared, task): task for task in islice(waiting, max(room, 0))}
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                task = running.pop(reference)
                outcome, traces = _answer(ray, reference)
                if isinstance(outcome, Fatal):
                    raise outcome.error
                for name, content in traces.items():
                    with whole_file(staging / name) as file:
                        file.write(content)
                advance(expected_seconds(plan, task))
                yield task, outcome
    finally:
        ray.shutdown()


def _connected(address: str, cores: int | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise InputError("--cluster needs Ray, which the extra `cluster` installs") from None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address == "local":
        options |= {"num_cpus": cores, "include_dashboard": False}
    else:
        _check_there(address)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--cluster {address}: {' '.join(str(error).split())[:200]}") from None
    return ray


def _check_there(address: str) -> None:
    """Raise `InputError` unless somebody listens at host:port; Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5.0):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"--cluster must be local or the host:port of a Ray cluster, got {address}: {error}") from None


def _answer(ray: Any, reference: Any) -> Answer:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return RuntimeError(" ".join(str(error).split())[:200]), {}


_emulators: dict[tuple[str, str, str], EpisodeRunner] = {}
"""In a process of the cluster: what it keeps from one episode to the next."""


def _run(shared: tuple[Plan, Mapping[str, str]], task: Task) -> Answer:
    """Run one episode in a process of the cluster."""
    plan, hashes = shared
    with TemporaryDirectory() as folder:
        staging = Path(folder)
        for kind in TRACE_FOLDERS:
            (staging / kind).mkdir()
        key = str(plan.path), plan.resolved_yaml(), repr(sorted(hashes.items()))
        emulator = _emulators.setdefault(key, EpisodeRunner(plan, staging, hashes=hashes))
        emulator.staging = staging
        try:
            outcome = outcome_of(emulator, task, lambda seconds: None)
        except Exception as error:
            return Fatal(error), {}
        traces = {str(path.relative_to(staging)): path.read_bytes() for path in sorted(staging.glob("*/*.parquet"))}
        return (outcome if isinstance(outcome, dict) else portable(outcome)), traces
