"""Rules with memory: each job is sent with regard to the jobs this scheduler has sent since the last messages."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from dispatchers.contract import JobView, PerJobDispatcher
from dispatchers.errors import DispatcherError
from dispatchers.view import Floats, View


class RoundRobin(PerJobDispatcher):
    """Send each job to the next accessible server, in an order drawn once per scheduler and epoch."""

    name = "RR"
    information = ("own sends",)
    plans_one_by_one = True

    def plan(self, view: View) -> Floats:
        """See `PerJobDispatcher.plan`; nothing but the order matters."""
        return np.zeros((*view.accessible.shape, 1))

    @staticmethod
    def choose(job: JobView) -> int:
        """See `PerJobDispatcher.choose`."""
        return job.order[job.total_sent % len(job.order)]


class JoinShortestQueueWithMemory(PerJobDispatcher):
    """Send each job to the server with the least `(last-known length + weight * sent there - bonus) / service rate`.

    `sent there` counts this scheduler's jobs since the last messages. `weight: 1` counts them once; `weight: sharing`
    multiplies them with the number of schedulers that can access the server, which assumes that all do the same.
    `bonus` is given to the own server alone, to none where there is no own one. Ties go to the first server in an order
    drawn once per epoch.
    """

    name = "JSQ-M"
    plans_one_by_one = True

    def __init__(self, weight: float | Literal["sharing"] = 1, bonus: float = 0.9):
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if weight != "sharing" and not (number and 0 <= weight < math.inf):
            raise DispatcherError(f"weight must be sharing or a number >= 0, got {weight!r}")
        if isinstance(bonus, bool) or not isinstance(bonus, int | float) or not math.isfinite(bonus):
            raise DispatcherError(f"bonus must be a finite number, got {bonus!r}")
        self.weight = weight
        self.bonus = bonus

    def plan(self, view: View) -> Floats:
        """See `PerJobDispatcher.plan`: for each server its length less the bonus, the weight of a job and the rate."""
        start = view.queue_lengths.astype(np.float64)
        if view.has_own:
            start[:, 0] -= self.bonus
        weight = view.sharing if self.weight == "sharing" else np.full(start.shape, self.weight)
        return np.stack([start, weight, view.service_rates], axis=2)

    @staticmethod
    def choose(job: JobView) -> int:
        """See `PerJobDispatcher.choose`."""
        best = job.order[0]
        least = np.inf
        for column in job.order:
            length = job.plan[column, 0] + job.plan[column, 1] * job.sent[column]
            cost = length / job.plan[column, 2]
            if cost < least:
                best, least = column, cost
        return best
