"""The age of knowledge: how long ago the newest message that has arrived was sampled; times in ms.

At time t it is t minus the time of the newest known sample, and t itself before any has arrived.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from emulator.errors import InputError
from emulator.model.laws import Law
from emulator.model.network import Loss
from emulator.model.system import System
from emulator.verification.exact.clocks import kinks_of
from emulator.verification.exact.expected import Floats
from emulator.verification.exact.network import FixedNetwork, Link

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


class Delay(NamedTuple):
    """When a message arrives, if ever; independent of all others."""

    arrived: Callable[[Floats], Floats]
    """How likely one has arrived, by the time since its sample."""
    jumps: tuple[float, ...] = ()
    """Times since its sample where that is not smooth."""


def fixed(latency: float, loss: float = 0.0) -> Delay:
    """Return that of a message which takes `latency` and is lost with probability `loss`."""
    return Delay(lambda since: np.where(since >= latency, 1.0 - loss, 0.0), (latency,))


def exponential(mean: float, loss: float = 0.0, least: float = 0.0) -> Delay:
    """Return that of a latency of `least` and an exponential time of this mean, as a jitter is."""

    def arrived(since: Floats) -> Floats:
        return np.asarray((1.0 - loss) * -np.expm1(-np.maximum(since - least, 0.0) / mean))

    return Delay(arrived, (least,))


def of_law(law: Law, mean: float, loss: float = 0.0) -> Delay:
    """Return that of a latency of any law of this mean."""
    return Delay(
        lambda since: np.asarray((1.0 - loss) * law.cdf(np.maximum(since, 0.0) / mean)),
        tuple(mean * kink for kink in kinks_of(law)),
    )


def stationary(period: float, latency: float, loss: float = 0.0) -> float:
    """Return the mean over time in the long run, with one fixed latency: D (1 + p) / (2 (1 - p)) + d.

    Between two that arrive lie G periods, G geometric: the age is d plus the age of a renewal process of gaps D G,
    E[(D G)^2] / (2 E[D G]). The phase does not matter.
    """
    return period * (1.0 + loss) / (2.0 * (1.0 - loss)) + latency


def peak(period: float, latency: float, loss: float = 0.0) -> float:
    """Return the mean age just before a message arrives: D / (1 - p) + d."""
    return period / (1.0 - loss) + latency


def stationary_newest(period: float, delay: Delay) -> float:
    """Return the mean over time in the long run where the newest sample is kept, whenever it arrives.

    At a time u after the last sample, sample k before it is u + k D old; the age is that of the first that has arrived.
    """
    edges = sorted({0.0, period, *(jump % period for jump in delay.jumps)})
    total = 0.0
    for times, weights in map(_quadrature, *zip(*pairwise(edges), strict=True)):
        missing, k = np.ones_like(times), 0
        while missing.max() > 1e-18:
            arrived = delay.arrived(times + k * period)
            total += float(weights @ ((times + k * period) * arrived * missing))
            missing, k = missing * (1.0 - arrived), k + 1
            if k > 100_000:
                raise InputError("messages must arrive at some time, got a delay of which none ever does")
    return total / period


def mean_until(horizon: float, samples: Iterable[float], delay: Delay) -> float:
    """Return the mean over time from 0 to the horizon, where samples are taken at these times.

    The newest sample is kept: with a fixed latency none overtakes another, so `last` is the same.
    """
    taken = sorted(samples)
    changes = {time + jump for time in taken for jump in (0.0, *delay.jumps)}
    edges = sorted({0.0, horizon, *(time for time in changes if 0.0 < time < horizon)})
    known = 0.0
    for times, weights in map(_quadrature, *zip(*pairwise(edges), strict=True)):
        missing = np.ones_like(times)
        for time in reversed(taken[: bisect_right(taken, times[0])]):
            arrived = delay.arrived(times - time)
            known += time * float(weights @ (arrived * missing))
            missing = missing * (1.0 - arrived)
            if missing.max() < 1e-18:
                break
    return horizon / 2.0 - known / horizon


def mean_over_phases(horizon: float, period: float, delay: Delay) -> float:
    """Return the mean until the horizon over all phases, uniform on [0, period)."""
    edges = sorted({0.0, period, horizon % period, *((horizon - jump) % period for jump in delay.jumps)})
    total = 0.0
    for phases, weights in map(_quadrature, *zip(*pairwise(edges), strict=True)):
        counts = np.ceil((horizon - phases) / period).astype(int)
        means = [
            mean_until(horizon, phase + period * np.arange(count), delay)
            for phase, count in zip(phases, counts, strict=True)
        ]
        total += float(weights @ np.array(means))
    return total / period


def _quadrature(start: float, end: float) -> tuple[Floats, Floats]:
    half = (end - start) / 2.0
    return start + half * (1.0 + NODES), half * WEIGHTS


def of_system(system: System) -> float:
    """Return the mean until the horizon, over time and links to servers that are not the own one; NaN if not solved."""
    network, first = FixedNetwork(system), int(system.access.has_own)
    if network.difference:
        return math.nan
    links = [link for link in network.links if link.column >= first]
    ages = [_of_link(link, network.samples[link.sender], network.loss, system.horizon) for link in links]
    return float(np.mean(ages)) if ages else math.nan


def _of_link(link: Link, samples: Iterable[float], loss: Loss, horizon: float) -> float:
    """Return the same for one link, sample by sample: each that arrives is the newest."""
    arrives = np.array(link.arrives)
    chance = np.array([1.0 - loss.share_bad, loss.share_bad])
    turn = np.array([[1.0 - loss.good_to_bad, loss.good_to_bad], [loss.bad_to_good, 1.0 - loss.bad_to_good]])
    # Over a good and a bad link: the mean time of the newest known sample, and its integral until `since`.
    known, integral, since = np.zeros(2), 0.0, 0.0
    for time in samples:
        sampled = time + link.asking
        received = min(sampled + link.telling, horizon)
        integral += float(known.sum()) * (received - since)
        known, since = known * (1.0 - arrives) + sampled * chance * arrives, received
        known, chance = known @ turn, chance @ turn
    return horizon / 2.0 - (integral + float(known.sum()) * (horizon - since)) / horizon
