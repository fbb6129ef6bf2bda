"""Rules with memory as finite machines: what a scheduler has sent in an epoch, as the states of a cycle."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import JobView, PerJobDispatcher

Plan = tuple[tuple[tuple[float, ...], int], ...]
"""A cycle of states, ((probability of each accessible server, next state), ...), that each job sent moves on.

A memory-less rule has one state.
"""

JOBS = 100
"""A rule with memory is followed for that many jobs of one scheduler in one epoch: more never come."""


def cycles(dispatcher: PerJobDispatcher, plan: NDArray[np.float64]) -> dict[Plan, float]:
    """Follow a rule with memory, of which coin and elapsed time are taken to be no part, in each order."""
    law: dict[Plan, float] = defaultdict(float)
    orders = list(permutations(range(len(plan))))
    for order in orders:
        sent = np.zeros(len(plan), dtype=np.int64)
        columns: list[int] = []
        for number in range(JOBS):
            job = JobView(plan, np.array(order), sent, number, math.nan, math.nan)
            columns.append(int(dispatcher.choose(job)))
            sent[columns[-1]] += 1
        law[_cycle(columns, len(plan))] += 1 / len(orders)
    return dict(law)


def _cycle(columns: list[int], width: int) -> Plan:
    """Return the plan of fewest states that sends jobs 0, 1, ... to these columns."""

    def states(period: int) -> int:
        differing = [i for i in range(len(columns) - period) if columns[i] != columns[i + period]]
        return (differing[-1] + 1 if differing else 0) + period

    period = min(range(1, len(columns) + 1), key=states)
    total = states(period)
    following = [*range(1, total), total - period]
    rows = np.eye(width).tolist()
    return tuple((tuple(rows[columns[state]]), following[state]) for state in range(total))
