"""Cases of arrivals of every kind: two nodes under OWN, each of which is alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np

from emulator.model.laws import Deterministic, Erlang, Gamma, Hyperexponential, Law
from emulator.verification.exact.arrivals import MarkovArrivals, modulated, poisson, renewal
from emulator.verification.exact.case import DROPS, Case
from emulator.verification.exact.clocks import general_gaps
from emulator.verification.exact.phase_type import phases_of
from emulator.verification.exact.station import Clients, Station
from emulator.verification.exact.station_cases import (
    BALANCED,
    HORIZON,
    OF_BALANCED,
    Flows,
    case,
    exponential_law,
    until_horizon,
)

SLOW_AND_FAST = [[-0.1, 0.1], [0.05, -0.05]]
D0, D1 = [[-2.0, 0.1], [0.05, -0.4]], [[1.8, 0.1], [0.05, 0.3]]
STEPS = [[0.8, 0.2, 0.0], [0.3, 0.5, 0.2], [0.0, 0.5, 0.5]]


def brought(arrivals: Mapping[str, Any], process: MarkovArrivals, value: float, **station: Any) -> Case:
    """Return a case of drops where jobs arrive by a Markov chain."""
    return case({"arrivals": arrivals}, until_horizon(partial(Station, arrivals=process, **station)), DROPS, value)


def profiled(
    points: list[list[float]], shape: Literal["linear", "steps"], value: float, period: float | None = None
) -> Case:
    """Return the case of drops under a profile of rates, which a period repeats."""
    times, rates = np.array(points).T
    repeats = 1 if period is None else math.ceil(HORIZON / period)
    breaks = [(period or 0.0) * repeat + time for repeat in range(repeats) for time in times.tolist()]

    def rate(time: float) -> float:
        inside = time if period is None else time % period
        if shape == "steps":
            return float(rates[np.searchsorted(times, inside, side="right") - 1])
        ends = (times, rates) if period is None else (np.append(times, period), np.append(rates, rates[0]))
        return float(np.interp(inside, *ends))

    def flows() -> Mapping[str, float]:
        return Station(arrivals=poisson(1.0)).chain().under(rate, HORIZON, breaks)[0]

    keys: dict[str, Any] = {"kind": "profile", "points": points, "shape": shape}
    return case({"arrivals": keys if period is None else keys | {"period": period}}, flows, DROPS, value)


def renewed(gap: Mapping[str, Any], law: Law, value: float) -> Case:
    """Return the case of drops where gaps are of any law."""
    keys = {"kind": "renewal", "rate": 0.9, "gap": gap}
    return case({"arrivals": keys}, lambda: general_gaps(law, 0.9).until(HORIZON), DROPS, value)


def _two_rates(rates: tuple[float, float]) -> Flows:
    """Return the flows of the mean of two queues that meet jobs at two rates."""

    def flows() -> dict[str, float]:
        each = [Station(arrivals=poisson(rate)).chain().until(HORIZON) for rate in rates]
        return {name: sum(one[name] for one in each) / len(each) for name in each[0]}

    return flows


def _switched_by_epochs(rates: list[float], transition: list[list[float]], epoch: float) -> Flows:
    """Return the flows of a queue whose rate has a state that changes at the end of each epoch, stationary at first."""

    def flows() -> dict[str, float]:
        from scipy.linalg import expm

        chains = [Station(arrivals=poisson(rate)).chain() for rate in rates]
        names, size = list(chains[0].flows), len(chains[0].states)
        turn = np.array(transition)
        equations = np.vstack([turn.T - np.eye(len(rates)), np.ones(len(rates))])
        first = np.linalg.lstsq(equations, np.eye(1, len(rates) + 1, len(rates))[0], rcond=None)[0]
        law, sums = np.outer(first, chains[0].start), np.zeros(len(names))
        for start in np.arange(0.0, HORIZON, epoch).tolist():
            moved = np.empty_like(law)
            for state, chain in enumerate(chains):
                square = np.zeros((size + len(names),) * 2)
                square[:size, :size] = chain.generator
                square[:size, size:] = np.array([chain.flows[name] for name in names]).T
                step = law[state] @ expm(square * min(epoch, HORIZON - start))[:size]
                moved[state] = step[:size]
                sums += step[size:]
            law = turn.T @ moved
        return dict(zip(names, sums.tolist(), strict=True))

    return flows


ARRIVAL_CASES = {
    "Poisson arrivals": brought({"kind": "poisson", "rate": 0.9}, poisson(0.9), 4.971666),
    "linear profile": profiled([[0.0, 0.3], [10.0, 1.2]], "linear", 2.974101, period=20.0),
    "linear profile, once": profiled([[0.0, 0.3], [10.0, 1.2], [20.0, 0.3]], "linear", 1.287084),
    "profile of steps": profiled([[0.0, 0.3], [7.0, 2.0]], "steps", 11.034237, period=12.0),
    "modulated rates": brought(
        {"kind": "mmpp", "rates": [1.5, 0.3], "generator": SLOW_AND_FAST},
        modulated([1.5, 0.3], SLOW_AND_FAST),
        6.328884,
    ),
    "modulated rates, own, from the first": brought(
        {"kind": "mmpp", "rates": [1.5, 0.3], "generator": SLOW_AND_FAST, "chain": "own", "start": 0},
        modulated([1.5, 0.3], SLOW_AND_FAST, np.array([1.0, 0.0])),
        8.088806,
    ),
    "rates by epochs": case(
        {"arrivals": {"kind": "mmpp", "rates": [0.9, 0.6, 0.2], "transition": STEPS}},
        _switched_by_epochs([0.9, 0.6, 0.2], STEPS, 5.0),
        DROPS,
        2.661976,
    ),
    "Markovian arrivals": brought(
        {"kind": "map", "d0": D0, "d1": D1}, MarkovArrivals(np.array(D0), np.array(D1)), 10.058245
    ),
    "gamma gaps": renewed({"law": "gamma", "scv": 4.0}, Gamma(scv=4.0), 12.475073),
    "deterministic gaps": renewed({"law": "deterministic"}, Deterministic(), 1.727344),
    "hyperexponential gaps": renewed({"law": "hyperexponential", "scv": 4.0}, Hyperexponential(scv=4.0), 10.136572),
    "Erlang gaps, heavy work": case(
        {"arrivals": {"kind": "renewal", "rate": 0.9, "gap": {"law": "erlang", "stages": 3}}, "service": BALANCED},
        until_horizon(partial(Station, arrivals=renewal(phases_of(Erlang(stages=3), 1 / 0.9)), classes=OF_BALANCED)),
        DROPS,
        6.389112,
    ),
    "batches of two": brought(
        {"kind": "poisson", "rate": 0.45, "batch": {"law": "fixed", "mean": 2.0}},
        poisson(0.45),
        8.316906,
        batch=((2, 1.0),),
    ),
    "geometric batches": brought(
        {"kind": "poisson", "rate": 0.45, "batch": {"law": "geometric", "mean": 2.0}},
        poisson(0.45),
        10.897032,
        batch=tuple((size, 0.5**size) for size in range(1, 40)),
    ),
    "batches of two sizes": brought(
        {"kind": "poisson", "rate": 0.5, "batch": {"sizes": [1, 4], "probabilities": [0.9, 0.1]}},
        poisson(0.5),
        3.261941,
        batch=((1, 0.9), (4, 0.1)),
    ),
    "unequal schedulers": case(
        {"arrivals": {"kind": "poisson", "rate": 0.6, "weights": {"kind": "zipf", "exponent": 1.0}}},
        _two_rates((0.8, 0.4)),
        DROPS,
        1.603680,
    ),
    "clients": case(
        {"arrivals": {"kind": "closed", "clients": 8, "think": exponential_law(8.0)}},
        until_horizon(partial(Station, arrivals=Clients(count=8, think=8.0))),
        "completions",
        72.942415,
    ),
}
"""Drops with arrivals of every kind (`arrivals.py`, `clocks.py`, `markov.py`)."""
