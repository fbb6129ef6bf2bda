"""JSQ of section 2.2, and SED of section 3's experiment with unequal servers."""

from __future__ import annotations

from dispatchers.contract import LeastCostDispatcher
from dispatchers.errors import DispatcherError
from dispatchers.view import Draws, Floats, Integers, View


class _LeastCost(LeastCostDispatcher):
    """Send jobs to an accessible server of least cost, ties broken uniformly, once per epoch or for each job."""

    def __init__(self, ties: Draws = "epoch"):
        if ties not in ("epoch", "job"):
            raise DispatcherError(f"ties must be epoch or job, got {ties!r}")
        self.draws = ties


class JoinShortestQueue(_LeastCost):
    """Send jobs to the server whose last-known queue is shortest."""

    name = "JSQ"

    def cost(self, view: View) -> Integers:
        """See `LeastCostDispatcher.cost`."""
        return view.queue_lengths


class ShortestExpectedDelay(_LeastCost):
    """Send jobs to the server with least expected delay, (queue length + 1) / service rate."""

    name = "SED"

    def cost(self, view: View) -> Floats:
        """See `LeastCostDispatcher.cost`."""
        return (view.queue_lengths + 1) / view.service_rates
