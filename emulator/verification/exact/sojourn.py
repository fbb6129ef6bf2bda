"""How long a job stays in a queue that serves in order of arrival: the whole law, and so its quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emulator.errors import InputError
from emulator.verification.exact.arrivals import MarkovArrivals
from emulator.verification.exact.expected import Floats
from emulator.verification.exact.phase_type import Phases
from emulator.verification.exact.station import State, Station


def sojourn_law(station: Station) -> Phases:
    """Return the sojourn time of a job that is accepted, in the long run, as a phase type.

    The station has one server, or several and exponential work; one class; no batches, failures or patience.
    """
    work = station.classes[0].work
    arrivals = station.arrivals
    is_plain = len(station.classes) == 1 and station.batch == ((1, 1.0),) and not station.speeds
    is_plain &= station.up is None and station.patience is None and station.discipline == "fifo"
    if not is_plain or not isinstance(arrivals, MarkovArrivals) or (station.servers > 1 and len(work.start) > 1):
        raise InputError("the law of the sojourn time is known of plain queues in order of arrival alone")
    chain = station.chain()
    law, brought = chain.stationary(), arrivals.d1.sum(axis=1)
    # Phases of the job's sojourn: so many departures to come before its own service, and the phase of a service.
    phases = len(work.start)
    ahead = station.buffer - station.servers + 1
    start = np.zeros((ahead, phases))
    for probability, state in zip(law, chain.states, strict=True):
        assert isinstance(state, State)
        if (present := len(state.jobs)) >= station.buffer:
            continue
        weight = probability * brought[state.arrivals]
        if present < station.servers:
            start[0] += weight * work.start
        else:
            start[present - station.servers + 1, state.serving[0].phase] += weight
    generator = np.zeros((ahead, phases, ahead, phases))
    for level in range(ahead):
        speed = station.rate * (station.servers if level else 1)
        generator[level, :, level] = speed * work.generator
        if level:
            generator[level, :, level - 1] = speed * np.outer(work.ending, work.start)
    size = ahead * phases
    return Phases(start.ravel() / start.sum(), generator.reshape(size, size))


def exceeded(law: Phases, time: float) -> float:
    """Return the probability that a time of phase type is longer than `time`."""
    from scipy.linalg import expm

    return float(law.start @ expm(law.generator * time).sum(axis=1))


def quantiles(law: Phases, probabilities: Sequence[float]) -> Floats:
    """Return the quantiles of a phase type."""
    from scipy.optimize import brentq

    found = []
    for probability in probabilities:
        high = law.mean
        while exceeded(law, high) > 1.0 - probability:
            high *= 2.0
        found.append(brentq(lambda time, p=probability: exceeded(law, time) - (1.0 - p), 0.0, high, xtol=1e-12))
    return np.array(found)
