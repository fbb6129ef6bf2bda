"""Random systems whose servers are stations: every key of a server is drawn, each system a function of one number."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np

from emulator.model.laws import Deterministic, Exponential, Hyperexponential, Law
from emulator.model.network import Duration
from emulator.model.station import AtFailure, Failures, JobClass, Patience, Reason, Retries, Station
from emulator.model.system import System
from emulator.verification.random_networks import Coarse, Ticking, random_network
from emulator.verification.random_systems import Case, random_case, random_measuring


def random_station(number: int, *, on_networks: bool = False) -> Case:
    """Return the random system of a number: one of `random_case`, or of `random_network`, with random stations."""
    generator = np.random.default_rng([number, 17])
    case = random_network(number) if on_networks else random_case(number)
    system = case.system
    is_coarse = isinstance(system.arrivals, Ticking)
    if not (on_networks or generator.random() < 0.6):
        is_coarse = True
        rate = float(generator.uniform(0.2, 1.5))
        system = replace(
            system,
            delta_t=float(generator.choice([0.5, 1.0, 3.0, 4.5])),
            horizon=min(30.0, max(1.0, np.round(1500.0 / (rate * system.schedulers)))),
            service_rates=generator.choice([0.5, 1.0, 2.0], system.servers),
            arrivals=Ticking(rate=rate),
            work=Coarse() if generator.random() < 0.7 else Deterministic(),
        )
    station, measuring = _station(generator, system.buffer, is_coarse), random_measuring(number, system.horizon)
    system = replace(system, station=station, measuring=measuring)
    return replace(case, system=with_few_laws(system, is_coarse) if station.retries is not None else system)


def with_few_laws(system: System, is_coarse: bool) -> System:
    """Return a system in which clients and ways of jobs draw of one law: for each set of laws, a walk is compiled."""
    dispatch, law = system.network.dispatch, Deterministic() if is_coarse else Exponential()
    dispatch = replace(dispatch, base=replace(dispatch.base, law=law), jitter=replace(dispatch.jitter, law=law))
    retries = system.station.retries
    if retries is not None:
        retries = replace(retries, backoff=replace(retries.backoff, law=law))
    station = replace(system.station, retries=retries)
    return replace(system, network=replace(system.network, dispatch=dispatch), station=station)


def _station(generator: np.random.Generator, buffer: int, is_coarse: bool) -> Station:
    classes = _classes(generator, is_coarse) if generator.random() < 0.5 else ()
    is_shared = bool(generator.random() < 0.3)
    has_priorities = not is_shared and bool(classes) and bool(generator.random() < 0.7)
    speeds: tuple[float, ...] = ()
    if generator.random() < 0.3:
        speeds = tuple(generator.choice([0.5, 1.0, 2.0, 3.0], int(generator.integers(1, buffer + 2))).tolist())
    return Station(
        servers=int(generator.choice([1, 1, 2, 3])),
        discipline="ps" if is_shared else "fifo",
        has_priorities=has_priorities,
        preempts=has_priorities and bool(generator.random() < 0.5),
        speeds=speeds,
        classes=classes,
        patience=_patience(generator, is_coarse) if generator.random() < 0.5 else None,
        failures=_failures(generator, is_coarse) if generator.random() < 0.5 else None,
        retries=_retries(generator) if generator.random() < 0.3 else None,
    )


def _classes(generator: np.random.Generator, is_coarse: bool) -> tuple[JobClass, ...]:
    count = int(generator.integers(1, 4))
    shares = generator.dirichlet(np.ones(count))
    means = generator.choice([0.5, 1.0, 2.0], count)
    return tuple(
        JobClass(
            name=f"class {number}",
            share=float(shares[number]),
            priority=int(generator.integers(0, 3)),
            mean=float(means[number]),
            law=_law(generator, is_coarse) if generator.random() < 0.7 else None,
        )
        for number in range(count)
    )


def _patience(generator: np.random.Generator, is_coarse: bool) -> Patience:
    of_sojourn = bool(generator.random() < 0.6)
    time = _duration(generator, is_coarse, float(generator.choice([0.5, 2.0, 8.0])))
    return Patience(time, of_sojourn, of_sojourn and bool(generator.random() < 0.5))


def _failures(generator: np.random.Generator, is_coarse: bool) -> Failures:
    at_failures: list[AtFailure] = ["resume", "restart", "lose"]
    return Failures(
        up=_duration(generator, is_coarse, float(generator.choice([1.0, 4.0, 16.0]))),
        down=_duration(generator, is_coarse, float(generator.choice([0.5, 2.0]))),
        group=int(generator.choice([1, 1, 2, 5])),
        jobs=at_failures[generator.integers(3)],
        refuses=bool(generator.random() < 0.5),
        told=bool(generator.random() < 0.5),
    )


def _retries(generator: np.random.Generator) -> Retries:
    reasons = get_args(Reason)
    chosen = tuple(reason for reason in reasons if generator.random() < 0.6) or reasons
    mean = float(generator.choice([0.0, 0.5, 4.0]))
    return Retries(chosen, int(generator.choice([1, 3, 10])), Duration(mean))


def _duration(generator: np.random.Generator, is_coarse: bool, mean: float) -> Duration:
    return Duration(mean, _law(generator, is_coarse))


def _law(generator: np.random.Generator, is_coarse: bool) -> Law:
    laws: list[Law] = [Deterministic(), Exponential(), Exponential(), Hyperexponential(scv=4.0)]
    if is_coarse:
        laws = [Deterministic(), Coarse()]
    return laws[generator.integers(len(laws))]
