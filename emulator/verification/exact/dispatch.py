"""Jobs that take time to their server, under a rule that looks at no queue: M(t)/M/1/B, from empty.

Jobs of one scheduler leave as a Poisson process and are delayed independently, so they reach the server as one, too.
Its rate at t is the arrival rate times the share of delays up to t.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from emulator.model.laws import Exponential
from emulator.verification.exact.expected import DROPS
from emulator.verification.exact.queue import Queue


def fixed(latency: float, arrival_rate: float, horizon: float, buffer: int = 5, service_rate: float = 1.0) -> float:
    """Return the drops of a queue up to the horizon, scaled to 50 ms, if every job takes `latency` ms to it."""
    queue = Queue(buffer, Exponential())
    silent = min(latency, horizon)
    _, flows = queue.law_after([(0.0, silent), (arrival_rate, horizon - silent)], service_rate)
    return float(flows[DROPS]) * 50 / horizon


def exponential(mean: float, arrival_rate: float, horizon: float, buffer: int = 5, service_rate: float = 1.0) -> float:
    """Return the same for exponential times to the server."""
    return drops(lambda time: arrival_rate * -math.expm1(-time / mean), horizon, buffer, service_rate)


def drops(rate: Callable[[float], float], horizon: float, buffer: int, service_rate: float = 1.0) -> float:
    """Return the drops of a queue up to the horizon, scaled to 50 ms; `rate` is smooth, jobs per ms at a time."""
    from scipy.integrate import solve_ivp

    queue = Queue(buffer, Exponential())
    size = len(queue.states)
    silent, busy = queue.generator(0.0, service_rate), queue.generator(1.0, service_rate)
    columns = [*range(size), size + DROPS]
    silent, busy = silent[:, columns], (busy - silent)[:, columns]
    start = np.eye(1, size + 1)[0]
    solution = solve_ivp(
        lambda time, law: law[:size] @ (silent + rate(time) * busy),
        (0.0, horizon),
        start,
        method="DOP853",
        rtol=1e-12,
        atol=1e-14,
    )
    return float(solution.y[size, -1]) * 50 / horizon
