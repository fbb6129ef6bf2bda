"""Random phases: the mean of an exact value over two uniform phases, by Gauss quadrature.

The value is smooth in the phases but where instants change places, and there the range is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from emulator.verification.exact.solve import of_scenario


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
    """Return the drops per queue of two nodes whose messages have one period, a fixed latency and random phases."""
    messages = dict(scenario.get("messages") or {})
    period = float(messages.get("period", scenario["delta_t"]))
    latency, horizon = float(messages.get("latency", 0.0)), float(scenario["horizon"])

    def value(first: float, second: float) -> float:
        return of_scenario({**scenario, "messages": {**messages, "phase": [first, second]}}).drops_per_queue

    return averaged(value, period, [0.0, latency, horizon, horizon - latency], order)
