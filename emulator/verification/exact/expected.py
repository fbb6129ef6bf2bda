"""What is expected of an episode: flows of every epoch, and the joint law of the queues between the epochs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ARRIVALS, DROPS, PRESENCE = range(3)
"""What is expected of each server in an epoch: jobs that reach it, those dropped, job-milliseconds spent there."""


@dataclass(frozen=True)
class Expected:
    """Expectations of an episode; `epochs + 1` times are the epochs' starts and the horizon (ms)."""

    horizon: float
    flows: Floats
    """Arrivals, drops and presence: 3 x epochs x servers."""
    law: Floats
    """The joint law at each time: (epochs + 1) x states."""
    lengths: NDArray[np.int64]
    """The queue lengths of each state: states x servers."""

    @property
    def drops_per_queue(self) -> float:
        """Drops per queue and 50 ms."""
        return float(self.flows[DROPS].sum()) * 50 / self.horizon / self.lengths.shape[1]

    @property
    def mean_queue_length(self) -> float:
        """The mean over servers and time of the jobs in a server."""
        return float(self.flows[PRESENCE].sum()) / self.horizon / self.lengths.shape[1]

    def discounted_drops(self, discount: float = 0.99) -> float:
        """The sum over epochs of discount**epoch * drops per server."""
        return float(discount ** np.arange(self.flows.shape[1]) @ self.flows[DROPS].mean(axis=1))

    @property
    def completions(self) -> Floats:
        """Jobs completed by the horizon, per server."""
        accepted = (self.flows[ARRIVALS] - self.flows[DROPS]).sum(axis=0)
        return np.asarray(accepted - self.queue_lengths[-1])

    @property
    def queue_lengths(self) -> Floats:
        """Mean queue length: (epochs + 1) x servers."""
        return self.law @ self.lengths

    @property
    def squared_total(self) -> Floats:
        """Mean square of the number of jobs in all queues: it tells how the queues hang together."""
        return np.asarray(self.law @ self.lengths.sum(axis=1) ** 2)

    def measures(self) -> dict[str, float]:
        """Return what is expected of an episode, by the names of its columns."""
        return {
            "arrivals": float(self.flows[ARRIVALS].sum()),
            "completions": float(self.completions.sum()),
            "drops": float(self.flows[DROPS].sum()),
            "drops_per_queue": self.drops_per_queue,
            "discounted_drops": self.discounted_drops(),
            "mean_queue_length": self.mean_queue_length,
        }
