"""What schedulers hear: how many messages there were and what became of them, and how old what is known is.

Engines count and add up in the same order, so that they agree to the last bit. Times in ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

INDEX, LENGTH, NUMBER = 4, 4, 8
"""Bytes of an index or a counter, of a queue length, and of a time, rate or share."""

STATE_BYTES = INDEX + INDEX + LENGTH + NUMBER + NUMBER
"""Bytes of a message about a queue: who, which sample, how long, at which rate it serves, when that was so."""

REQUEST_BYTES = INDEX + INDEX
"""Bytes of a question: who, which sample."""


def distribution_bytes(buffer: int) -> int:
    """Return the bytes of a message about all queues: which sample, when, and a share for each length."""
    return INDEX + NUMBER + (buffer + 1) * NUMBER


class Mail(NamedTuple):
    """The messages of an episode: sent = received + lost + under way at the horizon."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    under_way: int = 0
    ignored: int = 0
    """Of those received, the ones that were older than what was known."""
    bytes_sent: int = 0


class Ages(NamedTuple):
    """How old what schedulers know of other servers than their own is, ms: means over time, decisions and jobs.

    Each is a mean over pairs of a scheduler and another server that it can access, NaN if there are none.
    """

    over_time: float
    at_decisions: float
    at_jobs: float


def age_over(others: Any, sampled: Any, start: Any, end: Any) -> Any:
    """Return the sum of the ages of what is known of `others` servers, integrated from `start` to `end`.

    `sampled` adds up when each was so. In this order of operations, everywhere: compiled engines compile it.
    """
    return (end - start) * (others * ((start + end) / 2.0) - sampled)


def ages_of(
    others: Integers,
    horizon: float,
    over_time: Floats,
    decisions: Integers,
    at_decisions: Floats,
    jobs: Integers,
    at_jobs: Floats,
) -> Ages:
    """Return the means, given for each scheduler the number of its others, of its decisions and of its jobs, and sums.

    The sums are those of ages: integrated over time, over decisions, and over jobs that arrive.
    """

    def mean(total: Floats, count: float) -> float:
        return float(np.sum(total)) / count if count > 0 else np.nan

    return Ages(
        mean(over_time, float(others.sum()) * horizon),
        mean(at_decisions, float((others * decisions).sum())),
        mean(at_jobs, float((others * jobs).sum())),
    )
