"""Random phases: the mean of an exact value over two uniform phases, by Gauss quadrature.

The value is smooth in the phases but where instants change places, and there the range is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from emulator.errors import InputError
from emulator.model.system import System
from emulator.verification.exact.network import FixedNetwork
from emulator.verification.exact.solve import built, of_system
from emulator.workload.messages import MessageDraws


def averaged(value: Callable[[float, float], float], period: float, shifts: Iterable[float], order: int = 8) -> float:
    """Return the mean of `value(phase, phase)` over both phases, uniform on [0, period).

    `shifts` are the distances, modulo the period, at which an instant of one sender meets one of the other or the
    horizon: 0, the latency, and so on.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes, weights = (nodes + 1) / 2, weights / 2
    meetings = {sign * shift for shift in {0.0, *shifts} for sign in (1, -1)}

    def cut(of: float | None) -> list[tuple[float, float]]:
        inner = {shift % period for shift in meetings}
        inner |= set() if of is None else {(of + shift) % period for shift in meetings}
        return list(pairwise(sorted({0.0, period, *inner})))

    total = 0.0
    for start, end in cut(None):
        for node, weight in zip(nodes, weights, strict=True):
            first = float(start + node * (end - start))
            for low, high in cut(first):
                values = [value(first, float(low + place * (high - low))) for place in nodes]
                total += weight * (end - start) * (high - low) * float(weights @ np.array(values))
    return total / period**2


def drops_per_queue(scenario: Mapping[str, Any], order: int = 8) -> float:
    """Return the drops per queue of two senders whose messages have one period, fixed latencies and random phases."""
    system, rule = built(scenario)
    network, clock = system.network, system.network.clock(system.delta_t)

    def at(first: float, second: float) -> System:
        return replace(system, network=replace(network, samples=replace(clock, phase=(first, second))))

    if MessageDraws(system, 0).senders != 2 or not isinstance(clock.period, float):
        raise InputError("messages.phase must be that of two senders with one period to be averaged")
    latencies = {link.telling for link in FixedNetwork(at(0.0, 0.0)).links}
    shifts = {shift for latency in latencies for shift in (latency, system.horizon, system.horizon - latency)}
    return averaged(lambda *phases: of_system(at(*phases), rule).drops_per_queue, clock.period, shifts, order)
