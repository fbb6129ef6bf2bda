"""One server as a Markov chain: M/M/1/B, or with work of phase type, between two instants and for ever."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.model.laws import Law
from emulator.verification.exact.expected import ARRIVALS, DROPS, PRESENCE, Floats
from emulator.verification.exact.phase_type import Phases, phases_of


class Queue:
    """One server as a Markov chain: empty, or `n` jobs of which the first is in a phase of its service."""

    def __init__(self, buffer: int, work: Law):
        try:
            self.work: Phases = phases_of(work)
        except InputError as error:
            raise InputError(f"service.work {error}") from None
        self.states = [(0, 0), *product(range(1, buffer + 1), range(len(self.work.start)))]
        self.lengths: NDArray[np.int64] = np.array([length for length, _ in self.states])
        self.full = (self.lengths == buffer).astype(float)
        size = len(self.states)
        self.arrival = np.zeros((size, size))
        """Where one arrival leads, from each state; a full queue stays as it is."""
        self.service = np.zeros((size, size))
        """The generator of the services of a server of rate 1."""
        for here, (length, phase) in enumerate(self.states):
            if length == buffer:
                self.arrival[here, here] = 1.0
            elif length > 0:
                self.arrival[here, self.states.index((length + 1, phase))] = 1.0
            else:
                self._start(self.arrival[here], 1, 1.0)
            if length > 0:
                for other, rate in enumerate(self.work.generator[phase]):
                    self.service[here, self.states.index((length, other))] += rate
                self._start(self.service[here], length - 1, self.work.ending[phase])

    def _start(self, row: Floats, length: int, amount: float) -> None:
        """Add `amount` to the states in which the first of `length` jobs begins its service."""
        for phase, probability in enumerate(self.work.start if length else [1.0]):
            row[self.states.index((length, phase))] += amount * probability

    def generator(self, arrival_rate: float, service_rate: float) -> Floats:
        """Return the generator (states x states), rates per ms, with three more columns for the flows."""
        size = len(self.states)
        augmented = np.zeros((size, size + 3))
        augmented[:, :size] = arrival_rate * (self.arrival - np.eye(size)) + service_rate * self.service
        augmented[:, size + ARRIVALS] = arrival_rate
        augmented[:, size + DROPS] = arrival_rate * self.full
        augmented[:, size + PRESENCE] = self.lengths
        return augmented

    @lru_cache(maxsize=2**16)  # noqa: B019 (a queue lives as long as what it solves)
    def advance(self, arrival_rate: float, service_rate: float, duration: float) -> tuple[Floats, Floats]:
        """Return where some ms lead from each state (states x states), and the flows by then (states x 3)."""
        from scipy import linalg

        size = len(self.states)
        square = np.zeros((size + 3, size + 3))
        square[:size] = self.generator(arrival_rate, service_rate)
        result = linalg.expm(square * duration)[:size]
        return result[:, :size], result[:, size:]

    def law_after(self, spans: Sequence[tuple[float, float]], service_rate: float) -> tuple[Floats, Floats]:
        """Return the law after spans of (arrival rate, ms), from empty, and the flows by then (3)."""
        law, total = np.eye(1, len(self.states))[0], np.zeros(3)
        for arrival_rate, duration in spans:
            transition, flows = self.advance(arrival_rate, service_rate, duration)
            law, total = law @ transition, total + law @ flows
        return law, total


def stationary_loss(load: float, buffer: int) -> float:
    """Return the share of jobs that an M/M/1/B queue drops in the long run, at `load` = arrival rate / service rate.

    It is P(B) = load**B / (1 + load + ... + load**B) (any textbook on queues; Kleinrock, 1975, section 3.6).
    """
    return load**buffer / sum(load**length for length in range(buffer + 1))
