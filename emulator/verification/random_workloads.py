"""Random systems with other arrivals: every kind, with weights and batches, each system a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from emulator.model.arrivals import ARRIVALS, ArrivalProcess, Renewal, TraceReplay
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import Deterministic, Exponential, Gamma
from emulator.model.system import System
from emulator.verification.random_networks import random_network
from emulator.verification.random_stations import random_station, with_few_laws
from emulator.verification.random_systems import Case, random_case, random_measuring

JOBS = 4000.0
"""Expected jobs of a system at most, about."""


def random_workload(number: int, on: Callable[[int], Case] | None = None) -> Case:
    """Return the random system of a number, with random arrivals: one of `on`, or a plain one, or with anything."""
    generator = np.random.default_rng([number, 17])
    sorts: list[Callable[[int], Case]] = [
        random_case,
        random_network,
        random_station,
        partial(random_station, on_networks=True),
    ]
    drawn = sorts[generator.integers(len(sorts))]
    case = (on or drawn)(number)
    arrivals = _arrivals(generator, number)
    station = case.system.station
    if arrivals.brings_work:
        station = replace(station, classes=tuple(replace(one, law=None) for one in station.classes))
    system = replace(case.system, arrivals=arrivals, station=station)
    if generator.random() < 0.8:
        system = replace(system, work=Exponential())  # few laws beside each kind, for each pair is compiled
    if arrivals.who() is not None:
        station = replace(
            station, classes=tuple(replace(one, share=1.0, law=Exponential()) for one in station.classes[:1])
        )
        system = with_few_laws(replace(system, station=station), is_coarse=False)
    schedulers = system.access.scheduler_count
    usual = arrivals.expected_rate(schedulers) or arrivals.highest_rate(schedulers)  # a profile may end with no rate
    rate = usual * arrivals.batch_mean * schedulers
    horizon = _short_enough(system, JOBS / rate)
    system = replace(system, horizon=horizon, measuring=random_measuring(number, horizon))
    return replace(case, system=system)


def _arrivals(generator: np.random.Generator, number: int) -> ArrivalProcess:
    """Return arrivals of the kinds in turn, some with weights, batches or both."""
    process = list(ARRIVALS.values())[number % len(ARRIVALS)].sample(generator)
    if isinstance(process, Renewal):
        on_ticks = {"gap": Deterministic(), "rate": float(generator.choice([0.25, 0.5, 1.0, 2.0]))}
        process = process.model_copy(update=on_ticks if number % 2 else {"gap": Gamma(scv=2.0)})
    if generator.random() < 0.4:
        process = process.model_copy(update={"batch": Batch.sample(generator)})
    is_weighted = generator.random() < 0.4
    if is_weighted and not (isinstance(process, TraceReplay) and process.assign in ("round_robin", "column")):
        process = process.model_copy(update={"weights": Weights.sample(generator)})
    return process


def _short_enough(system: System, most: float) -> float:
    """Return the horizon, or a nearer one if it is further than `most` ms."""
    return min(system.horizon, max(most, 1e-3 * system.delta_t))
