"""Sojourn times of an M/M/1/B queue in the long run: their distribution, not only their mean.

An accepted job that meets k others leaves when the k + 1 services before and of it are done: an Erlang time. It meets k
with probability P(k) / (1 - P(B)), for arrivals see time averages (R. W. Wolff, Operations Research 30, 1982).
"""

from __future__ import annotations

import math

from emulator.verification.exact.queue import stationary_loss


def sojourn_share(time: float, load: float, buffer: int, service_rate: float = 1.0) -> float:
    """Return the share of completed jobs whose sojourn time is at most `time`, ms."""
    weights = [load**length for length in range(buffer)]
    longer = 0.0
    term = served = math.exp(-service_rate * time)
    for length, weight in enumerate(weights):
        longer += weight * served  # at most `length` of the services are done: a Poisson number
        term *= service_rate * time / (length + 1)
        served += term
    return 1.0 - longer / sum(weights)


def sojourn_quantile(share: float, load: float, buffer: int, service_rate: float = 1.0) -> float:
    """Return the time, ms, below which that share of the sojourn times of completed jobs lies."""
    low, high = 0.0, 1.0 / service_rate
    while sojourn_share(high, load, buffer, service_rate) < share:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if sojourn_share(middle, load, buffer, service_rate) < share:
            low = middle
        else:
            high = middle
    return high


def mean_sojourn(load: float, buffer: int, service_rate: float = 1.0) -> float:
    """Return the mean sojourn time of completed jobs, ms: the mean length over the rate of accepted jobs."""
    weights = [load**length for length in range(buffer + 1)]
    length = sum(number * weight for number, weight in enumerate(weights)) / sum(weights)
    return length / (load * service_rate * (1.0 - stationary_loss(load, buffer)))
