"""Cases of laws: drops with each law of work, and what other laws of times come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emulator.model.laws import LAWS, Law
from emulator.verification.exact import age, clocks, dispatch
from emulator.verification.exact.case import AGE, DROPS, Case, pair


def law_of(keys: Mapping[str, Any]) -> Law:
    """Return a law by its keys."""
    return LAWS[keys["law"]].model_validate({key: value for key, value in keys.items() if key != "mean"})


def one_queue(work: Mapping[str, Any], value: float) -> Case:
    """Return the case of drops under OWN, each queue alone, with a law of work."""
    scenario = pair(dispatchers=["OWN"], service={"work": work})
    return Case(scenario, DROPS, value, lambda: clocks.drops(law_of(work), 0.9, 50.0))


def late_jobs(latency: Mapping[str, Any], value: float) -> Case:
    """Return the case of drops under OWN where jobs take a time to their server that a law draws."""
    law, mean = law_of(latency), latency["mean"]

    def rate(time: float) -> float:
        return 0.9 * float(law.cdf(np.array([time / mean]))[0])

    scenario = pair(dispatchers=["OWN"], dispatch={"latency": latency, "own": "alike"})
    return Case(scenario, DROPS, value, lambda: dispatch.drops(rate, 50.0, 5))


def random_latency(latency: Mapping[str, Any], value: float) -> Case:
    """Return the case of the age of knowledge where a law draws latencies, and a tenth of messages is lost."""
    delay = age.of_law(law_of(latency), latency["mean"], loss=0.1)
    scenario = pair(messages={"latency": latency, "loss": 0.1})
    return Case(scenario, AGE, value, lambda: age.mean_until(50.0, 5.0 * np.arange(10), delay))


TRIPLE = {
    "law": "phase_type",
    "start": [0.6, 0.4, 0.0],
    "generator": [[-3.0, 1.0, 0.5], [0.0, -1.0, 0.4], [0.1, 0.0, -0.5]],
}
BRANCHES = {"law": "hyperexponential", "probabilities": [0.7, 0.2, 0.1], "means": [1.0, 2.0, 6.0]}
SORTS = {
    "law": "mixture",
    "weights": [9.0, 1.0],
    "parts": ["deterministic", {"law": "gamma", "scv": 0.5, "mean": 5.0}],
}

LAW_CASES = {
    "deterministic work": one_queue({"law": "deterministic"}, 2.533464),
    "uniform work": one_queue({"law": "uniform", "spread": 0.5}, 2.778289),
    "Erlang work": one_queue({"law": "erlang", "stages": 3}, 3.460417),
    "gamma work": one_queue({"law": "gamma", "scv": 4.0}, 8.719557),
    "hyperexponential work": one_queue({"law": "hyperexponential", "scv": 4.0}, 7.732456),
    "work of three branches": one_queue(BRANCHES, 6.649173),
    "phase-type work": one_queue(TRIPLE, 5.946907),
    "lognormal work": one_queue({"law": "lognormal", "scv": 4.0}, 7.034309),
    "Weibull work": one_queue({"law": "weibull", "scv": 4.0}, 8.150490),
    "Pareto work": one_queue({"law": "pareto", "alpha": 1.5}, 5.297985),
    "bounded Pareto work": one_queue({"law": "bounded_pareto", "alpha": 1.5, "ratio": 1000.0}, 5.574133),
    "measured work": one_queue({"law": "empirical", "values": [0.5, 1.0, 4.0], "draw": "smooth"}, 3.747074),
    "work of two sorts": one_queue(SORTS, 5.055260),
    "JSQ, Erlang work": Case(pair(buffer=3, service={"work": {"law": "erlang", "stages": 2}}), DROPS, 14.063761),
    "OWN, gamma dispatch time": late_jobs({"law": "gamma", "scv": 2.0, "mean": 1.5}, 4.697521),
    "age, Erlang latency": random_latency({"law": "erlang", "stages": 2, "mean": 2.0}, 4.757304),
}
"""Drops with other laws of work, by a clock (`clocks.py`), and with other laws of times."""
