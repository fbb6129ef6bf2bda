"""Runs the episodes of a plan on a Ray cluster; the same files come out as from this machine alone.

Each episode is one Ray task. Its traces are written on the node that ran it and travel back with its row, so the
results folder is needed here alone; the scenario's folder (policies, classes) is read on every node, under the same
path.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.machine.processes import Fatal
from emulator.machine.progress import Advance
from emulator.results.columns import TRACES
from emulator.runs.episode_runner import EpisodeRunner, Study
from emulator.runs.executors.executor import Outcome, outcome_of, portable
from emulator.runs.tasks import Task

AHEAD = 4
"""Episodes that are submitted per core, so that none waits for the next; a plan may have a million of them."""

RETRIES = 20
"""Times that an episode is submitted again after its process or node has died."""

Answer = tuple[Outcome | Fatal, dict[str, bytes]]
"""An outcome, and the content of the episode's trace files by folder/name."""


@dataclass(frozen=True)
class RayCluster:
    """An executor on the Ray cluster at `address`, or on one of so many cores that is started here if it is `local`."""

    address: str
    cores: int | None

    def run(
        self, study: Study, tasks: Iterable[Task], staging: Path, advance: Advance
    ) -> Generator[tuple[Task, Outcome]]:
        """See `emulator.runs.executors.executor.Executor.run`. Raises `InputError` if there is no Ray or cluster."""
        ray = _connected(self.address, self.cores)
        run = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)
        shared = ray.put(study)
        waiting = iter(tasks)
        running: dict[Any, Task] = {}
        try:
            while True:
                room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(running)
                running |= {
                    run.remote(shared.hex(), shared, task.address): task for task in islice(waiting, max(room, 0))
                }
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
                    advance(task.seconds)
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
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"--cluster must be local or the host:port of a Ray cluster, got {address}: {error}") from None


def _answer(ray: Any, reference: Any) -> Answer:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return RuntimeError(" ".join(str(error).split())[:200]), {}


_runners: dict[str, EpisodeRunner] = {}
"""In a process of the cluster: what it keeps of a study, by its name, from one episode to the next."""


def _run(name: str, study: Study, address: tuple[int, int, int]) -> Answer:
    """Run one episode in a process of the cluster."""
    with TemporaryDirectory() as folder:
        staging = Path(folder)
        for kind in TRACES:
            (staging / kind).mkdir()
        runner = _runners.pop(name, None) or EpisodeRunner(study, staging)
        _runners.clear()
        _runners[name] = runner
        runner.staging = staging
        try:
            outcome = outcome_of(runner, runner.study.task(address), lambda seconds: None)
        except Exception as error:
            return Fatal(error), {}
        traces = {str(path.relative_to(staging)): path.read_bytes() for path in sorted(staging.glob("*/*.parquet"))}
        return portable(outcome), traces
