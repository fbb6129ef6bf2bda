"""Cases with their exact values: what every engine has to give on average.

A case is a scenario, the name of a measure of its episodes, and the value to 6 digits after the point. `solved` works
it out again.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from emulator.verification.exact import age, dispatch, phases
from emulator.verification.exact.case import AGE, DROPS, Case, pair, path
from emulator.verification.exact.law_cases import LAW_CASES

BIPARTITE = {"kind": "bipartite", "schedulers": 100, "servers": 150, "choices": 3, "balanced": True}
TWO_SETS = {"kind": "edge_list", "directed": True, "edges": [[0, 1], [0, 0], [1, 1], [1, 2]]}
EXPONENTIAL = {"law": "exponential", "mean": 1.0}
SWITCHED = {"high": 0.9, "low": 0.6}
BURSTS = {"good_to_bad": 0.1, "bad_to_good": 0.3, "bad": 0.9, "good": 0.05}
UNEQUAL = {"rates": [0.5, 1.0, 2.0], "assignment": "given"}
OFFLOAD = {"name": "MF-R", "rule": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]}
HALF_APART = [0.0, 2.5]
PERIODS = {"period": {"each": [3.0, 4.0]}, "phase": [0.5, 2.0]}
EVERY_5 = 5.0 * np.arange(10)
RANDOM_PHASES = pair(messages={"phase": "random"})


JSQ_CASES = {
    "synchronous": (pair(), 7.969628),
    "half a period apart": (pair(messages={"phase": HALF_APART}), 6.500548),
    "latency": (pair(messages={"latency": 1.0}), 7.493565),
    "short latency": (pair(messages={"latency": 0.001}), 7.969081),
    "latency longer than the period": (pair(messages={"latency": 7.0, "phase": [1.0, 0.5]}), 6.345842),
    "loss": (pair(messages={"latency": 1.0, "loss": 0.4}), 7.349398),
    "all lost": (pair(messages={"latency": 1.0, "loss": 1.0}), 6.266833),
    "all lost, own alike": (pair(messages={"loss": 1.0, "own": "alike"}), 12.054687),
    "loss, own alike": (pair(buffer=3, messages={"latency": 1.0, "loss": 0.4, "own": "alike"}), 13.283442),
    "bursts of loss": (pair(messages={"latency": 1.0, "loss": BURSTS}), 7.364607),
    "periods and phases": (
        pair(messages={"period": {"each": [3.0, 4.0]}, "phase": [0.5, 2.0], "latency": 0.7}),
        5.631044,
    ),
    "polls": (pair(messages={"kind": "poll", "phase": "even", "latency": 0.5}), 5.453373),
    "polls, lost, own alike": (
        pair(buffer=4, messages={"kind": "poll", "phase": HALF_APART, "latency": 1.5, "loss": 0.2, "own": "alike"}),
        9.885052,
    ),
    "clocks": (pair(decide={"every": 3.0, "phase": [0.0, 1.0]}, messages={"latency": 1.0, "loss": 0.3}), 7.544217),
    "on change": (pair(messages={"when": "change", "latency": 1.0, "period": 2.0}), 4.251053),
    "on a difference of 2": (pair(messages={"when": {"difference": 2}, "latency": 1.0, "period": 2.0}), 4.686806),
    "dispatch time": (pair(dispatch={"latency": 1.5}, messages={"latency": 1.0}), 7.033865),
    "dispatch time, own alike": (
        pair(dispatch={"latency": 1.5, "own": "alike"}, messages={"latency": 1.0, "loss": 0.5}),
        7.624751,
    ),
    "switched rates": (pair(horizon=33.0, arrivals=SWITCHED, messages={"phase": [1.0, 3.0], "latency": 1.0}), 4.586131),
    "path": (path(messages={"phase": "even", "latency": 1.0}), 13.021114),
    "path, polls": (path(messages={"kind": "poll", "phase": [0.0, 1.0, 3.0], "latency": 0.5}), 11.467029),
    "two sets": (path(topology=TWO_SETS, messages={"latency": 1.0}), 5.698058),
    "one home for two": (path(topology=TWO_SETS | {"home": "first"}, messages={"latency": 1.0, "loss": 0.2}), 5.439238),
}
"""Drops under JSQ, by the joint chain (`messages.py`)."""

RULE_CASES = {
    "OWN": (pair(dispatchers=["OWN"]), 4.978659),
    "RND": (pair(dispatchers=["RND"], messages={"phase": "even", "latency": 1.0}), 4.978659),
    "RR": (pair(dispatchers=["RR"], arrivals=SWITCHED), 2.430705),
    "JSQ-M": (pair(dispatchers=["JSQ-M"], buffer=3), 7.155645),
    "JSQ, ties per job": (pair(dispatchers=[{"name": "JSQ", "ties": "job"}], messages={"latency": 1.0}), 6.922865),
    "MF-R": (pair(dispatchers=[OFFLOAD], messages={"phase": HALF_APART}), 4.362307),
    "SED, unequal rates": (
        path(
            dispatchers=["SED"],
            buffer=2,
            service=UNEQUAL,
            messages={"latency": 1.0, "loss": 0.1, "phase": [0.0, 1.0, 3.0]},
        ),
        13.648253,
    ),
    "SED, rates that nobody tells": (
        pair(
            dispatchers=["SED"],
            service={"rates": [0.5, 2.0], "assignment": "given"},
            messages={"loss": 1.0, "own": "alike"},
        ),
        13.451951,
    ),
    "OWN, dispatch time": (pair(dispatchers=["OWN"], dispatch={"latency": 1.0, "own": "alike"}), 4.865240),
}
"""Drops under other rules, by the joint chains (`messages.py`, `synchronous.py`)."""


EXACT: dict[str, Case] = {
    **{name: Case(scenario, DROPS, value) for name, (scenario, value) in (JSQ_CASES | RULE_CASES).items()},
    "OWN, exponential dispatch time": Case(
        pair(dispatchers=["OWN"], dispatch={"latency": EXPONENTIAL, "own": "alike"}),
        DROPS,
        4.830690,
        partial(dispatch.exponential, 1.0, 0.9, 50.0),
    ),
    "random phases": Case(RANDOM_PHASES, DROPS, 7.002248, partial(phases.drops_per_queue, RANDOM_PHASES)),
    "bipartite RND": Case(pair(topology=BIPARTITE, dispatchers=["RND"], messages={"kind": "poll"}), DROPS, 0.852167),
    "age": Case(pair(messages={"latency": 1.0}), AGE, 3.400000),
    "age, loss": Case(pair(messages={"latency": 1.0, "loss": 0.1}), AGE, 3.882716),
    "age, bursts": Case(path(messages={"latency": 1.0, "loss": BURSTS, "phase": "even"}), AGE, 5.752076),
    "age, polls": Case(path(messages={"kind": "poll", "latency": 1.0, "loss": 0.2, "phase": "even"}), AGE, 5.665154),
    "age, exponential latency": Case(
        pair(messages={"latency": EXPONENTIAL, "loss": 0.1}),
        AGE,
        3.879648,
        partial(age.mean_until, 50.0, EVERY_5, age.exponential(1.0, loss=0.1)),
    ),
    "age, random phases": Case(
        pair(messages={"phase": "random", "latency": 1.0, "loss": 0.1}),
        AGE,
        3.839383,
        partial(age.mean_over_phases, 50.0, 5.0, age.fixed(1.0, loss=0.1)),
    ),
    **LAW_CASES,
}
"""All cases by name."""
