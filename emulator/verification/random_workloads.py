"""Random systems with other arrivals: every kind, with weights and batches, each system a function of one number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emulator.model.arrivals import ARRIVALS, ArrivalProcess, Renewal, TraceReplay
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import Deterministic, Exponential, Gamma
from emulator.model.system import System
from emulator.verification.random_networks import random_network
from emulator.verification.random_systems import Case, random_case

JOBS = 4000.0
"""Expected jobs of a system at most, about."""


def random_workload(number: int) -> Case:
    """Return the random system of a number: one of `random_case` or `random_network`, with random arrivals."""
    generator = np.random.default_rng([number, 17])
    case = random_network(number) if generator.random() < 0.3 else random_case(number)
    arrivals = _arrivals(generator, number)
    system = replace(case.system, arrivals=arrivals)
    if generator.random() < 0.8:
        system = replace(system, work=Exponential())  # few laws beside each kind, for each pair is compiled
    schedulers = system.access.scheduler_count
    rate = arrivals.expected_rate(schedulers) * arrivals.batch_mean * schedulers
    system = replace(system, horizon=_short_enough(system, JOBS / rate))
    return replace(case, system=system)


def _arrivals(generator: np.random.Generator, number: int) -> ArrivalProcess:
    """Return arrivals of the kinds in turn, some with weights, batches or both."""
    process = list(ARRIVALS.values())[number % len(ARRIVALS)].sample(generator)
    if isinstance(process, Renewal):
        process = process.model_copy(update={"gap": Deterministic() if number % 2 else Gamma(scv=2.0)})
    if generator.random() < 0.4:
        process = process.model_copy(update={"batch": Batch.sample(generator)})
    is_weighted = generator.random() < 0.4
    if is_weighted and not (isinstance(process, TraceReplay) and process.assign in ("round_robin", "column")):
        process = process.model_copy(update={"weights": Weights.sample(generator)})
    return process


def _short_enough(system: System, most: float) -> float:
    """Return the horizon, or a nearer one if it is further than `most` ms."""
    return min(system.horizon, max(most, 1e-3 * system.delta_t))
