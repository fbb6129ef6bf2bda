"""Rules that look at no queue leave the servers independent: each is an M/M/1/B queue, on a graph of any size.

So it is for RND and OWN, schedulers and servers as two sets included. A server's arrival rate is that of a scheduler
times the sum of the probabilities with which schedulers choose it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from dispatchers.contract import Dispatcher, PerJobDispatcher, name_of
from emulator.errors import InputError
from emulator.model.system import System
from emulator.verification.exact.asking import Asked
from emulator.verification.exact.expected import ARRIVALS, DROPS, PRESENCE, Floats
from emulator.verification.exact.queue import Queue
from emulator.verification.exact.synchronous import rates_of, switching


def shares(system: System, dispatcher: Dispatcher) -> Floats:
    """Return how many schedulers' jobs each server gets on average: one number per server, their sum N."""
    if isinstance(dispatcher, PerJobDispatcher) or dispatcher.draws != "job" or set(dispatcher.information):
        raise InputError(f"{name_of(dispatcher)} looks at queues, and is solved on a few servers alone")
    asked = Asked(system, dispatcher)
    laws = asked.laws(asked.view([[0] * len(servers) for servers in asked.access]))
    found = np.zeros(len(system.service_rates))
    for servers, law in zip(asked.access, laws, strict=True):
        found[servers] += next(iter(law))
    return found


def measures(system: System, dispatcher: Dispatcher) -> dict[str, float]:
    """Return what is expected of an episode from empty queues, by the names of its columns."""
    kinds = Counter(
        zip(shares(system, dispatcher).round(12).tolist(), map(float, system.service_rates.tolist()), strict=True)
    )
    flows, left = np.zeros(3), 0.0
    for (share, service_rate), servers in kinds.items():
        each, length = of_queue(system, share, service_rate)
        flows, left = flows + servers * each, left + servers * length
    scale = system.horizon * len(system.service_rates)
    return {
        "arrivals": float(flows[ARRIVALS]),
        "completions": float(flows[ARRIVALS] - flows[DROPS]) - left,
        "drops": float(flows[DROPS]),
        "drops_per_queue": float(flows[DROPS]) * 50 / scale,
        "mean_queue_length": float(flows[PRESENCE]) / scale,
    }


def of_queue(system: System, share: float, service_rate: float) -> tuple[Floats, float]:
    """Return a server's arrivals, drops and presence (jobs, jobs, job-ms), and its mean length at the horizon.

    The rate, high or low, is switched after each epoch, and `share` times a scheduler's.
    """
    queue = Queue(system.buffer, system.work)
    law = np.zeros((2, len(queue.states)))
    law[:, 0] = 0.5
    flows, switch = np.zeros(3), switching(system.arrivals)
    for epoch, duration in enumerate(np.diff(system.timetable.times).round(12).tolist()):
        if epoch > 0:
            law = switch.T @ law
        steps = [queue.advance(share * rate, service_rate, duration) for rate in rates_of(system.arrivals)]
        flows = flows + sum(law[state] @ steps[state][1] for state in (0, 1))
        law = np.array([law[state] @ steps[state][0] for state in (0, 1)])
    return flows, float(law.sum(axis=0) @ queue.lengths)
