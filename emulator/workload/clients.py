"""What is drawn for clients: how long they think, whether they leave, and their jobs; times in ms.

Addresses: THINK (scheduler, k, client) before a client's job k, and JOB (scheduler, k, client) of that job, as of the
k-th one of a batch; its class and patience at MARK, likewise. A client that arrives has the number of its arrival.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.machine.compiling import compiled, is_ours
from emulator.model.laws.drawing import told_apart, work_of
from emulator.model.system import System
from emulator.randomness import JOB, SECOND, THINK, address, philox
from emulator.workload.bits import BitsNumbers
from emulator.workload.marks import StationDraws, draw_marks


class ClientLaws(NamedTuple):
    """Of which laws clients draw."""

    seed: np.uint64
    replication: np.uint64
    think_means: NDArray[np.float64]
    """Of each scheduler's clients, ms."""
    think: Any
    leaving: float
    work: Any
    """See `emulator.workload.workload.Workload.work`."""
    marks: Any
    """See `emulator.workload.marks.Marks`."""


@njit(inline="always")
def draw_thinking(laws, scheduler, place, client):  # type: ignore[no-untyped-def]
    """Return how long a client thinks before its job number `place`, and whether it leaves instead."""
    a, b, _, d = philox(scheduler, place, client, THINK, laws.seed, laws.replication)
    bits = (a << uint64(16)) | (b >> uint64(16))
    more = address(scheduler, place, client, THINK, laws.seed, laws.replication)
    leaves = np.float64(np.int64(d)) * 2.0**-32 < laws.leaving
    return laws.think_means[scheduler] * work_of(bits, laws.think, more), leaves


@njit(inline="always")
def draw_client_job(laws, scheduler, place, client):  # type: ignore[no-untyped-def]
    """Return (work, coin, class, patience) of a client's job number `place`."""
    _, b, c, d = philox(scheduler, place, client, JOB, laws.seed, laws.replication)
    bits = ((b & uint64(0xFFFF)) << uint64(32)) | c
    work = work_of(bits, laws.work, address(scheduler, place, client, JOB + SECOND, laws.seed, laws.replication))
    class_, work, patience = draw_marks(laws.marks, scheduler, place, client, work)
    return work, np.float64(np.int64(d)) * 2.0**-32, class_, patience


def _thinking(laws, scheduler, place, client):  # type: ignore[no-untyped-def]
    return draw_thinking(laws, scheduler, place, client)


def _client_job(laws, scheduler, place, client):  # type: ignore[no-untyped-def]
    return draw_client_job(laws, scheduler, place, client)


_KEPT = tuple(compiled(error_model="numpy", nogil=True)(function) for function in (_thinking, _client_job))
_FOR_USERS = tuple(njit(error_model="numpy", nogil=True)(function) for function in (_thinking, _client_job))
"""For laws of users, whose code cannot be kept on disk."""


class ClientDraws:
    """What is drawn for the clients in one replication of a system."""

    def __init__(self, system: System, draws: StationDraws):
        who = system.arrivals.who()
        assert who is not None
        self.count = who.each
        weights = system.weights if who.each else np.ones(system.schedulers)
        means = np.full(system.schedulers, np.inf)
        np.divide(who.think.mean, weights, out=means, where=weights > 0.0)
        think = told_apart(who.think.law.numbers())
        work = BitsNumbers() if system.station.classes else told_apart(system.work.numbers())
        self.laws = ClientLaws(*draws.seeds, means, think, who.leaving, work, draws.marks)
        is_kept = draws.are_ours and is_ours(*system.arrivals.laws())
        self._thinking: Any
        self._job: Any
        self._thinking, self._job = _KEPT if is_kept else _FOR_USERS

    def thinking(self, scheduler: int, place: int, client: int) -> tuple[float, bool]:
        """Return how long a client thinks before a job, and whether it leaves instead; see `draw_thinking`."""
        time, leaves = self._thinking(self.laws, scheduler, place, client)
        return time, leaves

    def job(self, scheduler: int, place: int, client: int) -> tuple[float, float, int, float]:
        """Return (work, coin, class, patience) of a client's job."""
        work, coin, class_, patience = self._job(self.laws, scheduler, place, client)
        return work, coin, class_, patience
