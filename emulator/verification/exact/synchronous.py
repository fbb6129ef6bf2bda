"""The joint chain of a small system with synchronous broadcasts, for all dispatchers, those with memory included.

Within an epoch the dispatchers' plans are fixed, so all queues together are a finite Markov chain in continuous time,
whose law and whose expected arrivals, drops and job-milliseconds until the epoch's end are a matrix exponential. Over
the epochs the joint vector (arrival rate, all queues) is carried along. Memory-less rules leave the queues independent
until the epoch's end, which makes the joint law of a start a product; rules with memory need the whole chain.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache, reduce
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher, PerJobDispatcher
from emulator.model.system import System
from emulator.verification.exact.asking import Asked
from emulator.verification.exact.expected import ARRIVALS, DROPS, PRESENCE, Expected, Floats
from emulator.verification.exact.memory import Plan, cycles
from emulator.verification.exact.queue import Queue


class Chain:
    """The joint chain of a small system under a dispatcher."""

    def __init__(self, system: System, dispatcher: Dispatcher):
        self.system = system
        self.dispatcher = dispatcher
        self.queue = Queue(system.buffer, system.work)
        self.asked = Asked(system, dispatcher)
        self.access = self.asked.access
        self.nodes = len(system.service_rates)
        self.durations = np.diff(system.timetable.times).round(12)
        self.starts = list(product(range(len(self.queue.states)), repeat=self.nodes))
        self.lengths = self.queue.lengths[np.array(self.starts)]

    def expected(self, path: NDArray[np.float64] | None = None) -> Expected:
        """Return the expectations, over all paths of the arrival rate or given one (a rate for each epoch)."""
        arrivals = self.system.arrivals
        switch = switching(arrivals)
        law = np.zeros((2, len(self.starts)))
        law[:, 0] = 0.5
        laws, flows = [law.sum(axis=0)], []
        for epoch, duration in enumerate(self.durations.tolist()):
            if epoch > 0:
                law = switch.T @ law
            if path is not None:
                total, law = law.sum(axis=0), np.zeros_like(law)
                law[int(path[epoch] != arrivals.high)] = total  # type: ignore[attr-defined]
            steps = [self._epoch(rate, duration) for rate in rates_of(arrivals)]
            flows.append(sum(np.tensordot(law[state], steps[state][1], 1) for state in (0, 1)))
            law = np.array([law[state] @ steps[state][0] for state in (0, 1)])
            laws.append(law.sum(axis=0))
        return Expected(self.system.horizon, np.swapaxes(np.array(flows), 0, 1), np.array(laws), self.lengths)

    @lru_cache  # noqa: B019 (a chain lives as long as what it solves)
    def _epoch(self, rate: float, duration: float) -> tuple[Floats, Floats]:
        """Return where an epoch leads from each start (states x states), and its flows (states x 3 x nodes)."""
        states = len(self.starts)
        transition, flows = np.zeros((states, states)), np.zeros((states, 3, self.nodes))
        for here, (start, laws) in enumerate(zip(self.starts, self._plans, strict=True)):
            for choice in product(*[law.items() for law in laws]):
                probability = math.prod(each for _, each in choice)
                plans = tuple(plan for plan, _ in choice)
                advance = self._independent if all(len(plan) == 1 for plan in plans) else self._joint
                law, flow = advance(start, plans, rate, duration)
                transition[here] += probability * law
                flows[here] += probability * flow
        return transition, flows

    def _independent(
        self, start: tuple[int, ...], plans: tuple[Plan, ...], rate: float, duration: float
    ) -> tuple[Floats, Floats]:
        received = np.zeros(self.nodes)
        for servers, ((probabilities, _),) in zip(self.access, plans, strict=True):
            received[servers] += rate * np.array(probabilities)
        rows, flow = [], np.empty((3, self.nodes))
        for node, state in enumerate(start):
            service_rate = float(self.system.service_rates[node])
            transition, flows = self.queue.advance(float(received[node].round(12)), service_rate, duration)
            rows.append(transition[state])
            flow[:, node] = flows[state]
        return reduce(np.kron, rows), flow

    def _joint(
        self, start: tuple[int, ...], plans: tuple[Plan, ...], rate: float, duration: float
    ) -> tuple[Floats, Floats]:
        """As `_independent`, by the chain of all queues and all schedulers' memories together."""
        from scipy.sparse.linalg import expm_multiply

        augmented, shape = self._joint_generator(plans, rate)
        place = int(np.ravel_multi_index((*start, *[0] * len(plans)), shape))
        size = math.prod(shape)
        result = expm_multiply(augmented * duration, np.eye(1, augmented.shape[0], place)[0])
        law = result[:size].reshape(len(self.starts), -1).sum(axis=1)
        return law, result[size:].reshape(3, self.nodes)

    @lru_cache  # noqa: B019
    def _joint_generator(self, plans: tuple[Plan, ...], rate: float) -> tuple[Any, tuple[int, ...]]:
        """Return the transposed generator, augmented with the flows, and the shape of its states."""
        from scipy import sparse

        queue, nodes = self.queue, self.nodes
        shape = (*[len(queue.states)] * nodes, *map(len, plans))

        def placed(factors: dict[int, Any]) -> Any:
            return reduce(
                lambda left, right: sparse.kron(left, right, "csr"),
                [factors.get(axis, sparse.identity(length)) for axis, length in enumerate(shape)],
            )

        size = math.prod(shape)
        generator = -rate * len(plans) * sparse.identity(size)
        flows = np.zeros((3, nodes, size))
        for node in range(nodes):
            generator += self.system.service_rates[node] * placed({node: queue.service})
            flows[PRESENCE, node] = placed({node: sparse.diags(queue.lengths.astype(float))}).diagonal()
            full = placed({node: sparse.diags(queue.full)}).diagonal()
            for scheduler, plan in enumerate(plans):
                memory = np.zeros((len(plan), len(plan)))
                for state, (probabilities, following) in enumerate(plan):
                    memory[state, following] += np.array(probabilities)[self.access[scheduler] == node].sum()
                generator += rate * placed({node: queue.arrival, nodes + scheduler: memory})
                offered = rate * placed({nodes + scheduler: sparse.diags(memory.sum(axis=1))}).diagonal()
                flows[ARRIVALS, node] += offered
                flows[DROPS, node] += offered * full
        nothing = sparse.csr_matrix((size, 3 * nodes))
        rows = sparse.vstack([generator.T, flows.reshape(-1, size)])
        return sparse.hstack([rows, sparse.vstack([nothing, sparse.csr_matrix((3 * nodes,) * 2)])], "csr"), shape

    @cached_property
    def _plans(self) -> list[list[dict[Plan, float]]]:
        """For each start, for each scheduler: the law of its plan for the epoch."""
        answers: dict[tuple[int, ...], list[dict[Plan, float]]] = {}
        for lengths in map(tuple, self.lengths.tolist()):
            if lengths not in answers:
                answers[lengths] = self._ask(np.array(lengths))
        return [answers[tuple(lengths)] for lengths in self.lengths.tolist()]

    def _ask(self, lengths: NDArray[np.int64]) -> list[dict[Plan, float]]:
        view = self.asked.view([lengths[servers].tolist() for servers in self.access], lengths)
        if isinstance(self.dispatcher, PerJobDispatcher):
            return [cycles(self.dispatcher, plan) for plan in self.asked.plans(view)]
        laws = self.asked.laws(view)
        return [{((answer, 0),): probability for answer, probability in law.items()} for law in laws]


def rates_of(arrivals: Any) -> tuple[float, float]:
    """Return the high and the low rate of a scheduler's arrivals, jobs per ms."""
    return arrivals.high, arrivals.low


def switching(arrivals: Any) -> Floats:
    """Return how likely high and low rates are to be followed by high and low ones, an epoch later: 2 x 2."""
    return np.array(
        [
            [1 - arrivals.high_to_low, arrivals.high_to_low],
            [arrivals.low_to_high, 1 - arrivals.low_to_high],
        ]
    )
