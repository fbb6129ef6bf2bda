"""What is counted of an episode, of what follows its warm-up, or of a batch: from this its measures are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class BySchedulers(NamedTuple):
    """What became of each scheduler's jobs: one number for each scheduler."""

    jobs: Integers
    lost: Integers
    """Those that were neither completed nor are in the system."""
    completed: Integers
    sojourn_time: Floats
    """Of the completed ones, added up, ms."""


class Received(NamedTuple):
    """How evenly jobs come to servers: one number for each epoch."""

    jobs: Integers
    """Jobs that reached a server."""
    squares: Integers
    """The sum over servers of the square of how many reached it."""

    def of(self, epochs: slice) -> Received:
        """Return the same of some epochs."""
        return Received(self.jobs[epochs], self.squares[epochs])


@dataclass(frozen=True)
class Account:
    """What is counted of a span of time, over all nodes; times in ms.

    Jobs count where they are born, whenever they are completed; times of servers count when they are.
    """

    span: float
    arrivals: int
    """Jobs that were born; by the horizon each has one of the six outcomes that follow."""
    completions: int
    drops: int
    in_system: int
    refused: int
    lost: int
    gave_up: int
    sojourn_time: float
    """From arrival to departure, added up over completed jobs."""
    presence_time: float
    """Added up over servers: the time at each queue length, times the length."""
    busy_time: float
    """Added up over servers, those of a node each for itself: the time in which they served."""
    sojourn_counts: Integers
    """Sojourn times of completed jobs, see `emulator.engines.histogram`."""
    drops_by_epoch: Integers
    """Of the epochs that begin in it, as are those of `received`."""
    received: Received
    down_time: float = 0.0
    """Added up over nodes: the time in which they were down."""
    waiting_time: float | None = None
    """From reaching the server to the start of service, added up over completed jobs; None if it was not asked for, as
    are the following."""
    waiting_counts: Integers | None = None
    time_at_length: Floats | None = None
    """Added up over servers: the time at each queue length from 0 to the buffer."""
    schedulers: BySchedulers | None = None

    @property
    def losses(self) -> int:
        """How many of the jobs will never be completed, for whatever reason."""
        return self.arrivals - self.completions - self.in_system


@dataclass(frozen=True)
class NodeTrace:
    """One number for each server, or for each scheduler, after the warm-up; times in ms."""

    arrivals: Integers
    """Of a server: jobs that reached it, and those of them that it dropped."""
    drops: Integers
    busy_time: Floats
    down_time: Floats
    mean_queue_length: Floats
    jobs: Integers
    """Of a scheduler: jobs that were born, and those of them that were lost."""
    lost: Integers
    mean_sojourn_time: Floats
    """Of the completed ones; NaN if there are none."""
