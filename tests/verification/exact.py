"""Exact expectations of small systems: no simulation, and nothing of the engine.

Within an epoch the dispatchers' plans are fixed, so all queues together are a finite Markov chain in continuous time,
whose law and whose expected arrivals, drops and job-milliseconds until the epoch's end are a matrix exponential. Over
the epochs the joint vector (arrival rate, all queues) is carried along. Memory-less rules leave the queues independent
until the epoch's end, which makes the joint law of a start a product; rules with memory need the whole chain.

Of a system only numbers and the access lists are read; dispatchers are asked as an engine would ask them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from itertools import count, permutations, product, takewhile

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import expm_multiply

from dispatchers.contract import JobView, PerJobDispatcher
from dispatchers.view import View

ARRIVALS, DROPS, PRESENCE = range(3)
"""What is expected of each server in an epoch: jobs that reach it, those dropped, job-milliseconds spent there."""

JOBS = 100
"""A rule with memory is followed for that many jobs of one scheduler in one epoch: more never come."""


class Queue:
    """One server as a Markov chain: empty, or `n` jobs of which the first is in a phase of its service.

    `phases` are (probability, mean work): one for exponential work, two for hyperexponential.
    """

    def __init__(self, buffer, work):
        if work.law == "exponential":
            self.phases = [(1.0, 1.0)]
        elif work.law == "hyperexponential":
            short = (1 + math.sqrt((work.scv - 1) / (work.scv + 1))) / 2
            self.phases = [(short, 0.5 / short), (1 - short, 0.5 / (1 - short))]
        else:
            raise ValueError(f"{work.law} work has no finite chain")
        self.states = [(0, 0), *product(range(1, buffer + 1), range(len(self.phases)))]
        self.lengths = np.array([length for length, _ in self.states])
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
                rate = 1.0 / self.phases[phase][1]
                self.service[here, here] -= rate
                self._start(self.service[here], length - 1, rate)

    def _start(self, row, length, amount):
        """Add `amount` to the states in which the first of `length` jobs begins its service."""
        for phase, (probability, _) in enumerate(self.phases if length else [(1.0, 0.0)]):
            row[self.states.index((length, phase))] += amount * probability


@dataclass(frozen=True)
class Expected:
    """Expectations of an episode; `epochs + 1` times are the epochs' starts and the horizon."""

    horizon: float
    flows: np.ndarray
    """Arrivals, drops and presence: 3 x epochs x nodes."""
    law: np.ndarray
    """The joint law at each time: (epochs + 1) x states."""
    lengths: np.ndarray
    """The queue lengths of each state: states x nodes."""

    @property
    def drops_per_queue(self):
        """Drops per queue and 50 ms."""
        return self.flows[DROPS].sum() * 50 / self.horizon / self.lengths.shape[1]

    def discounted_drops(self, discount=0.99):
        """The sum over epochs of discount**epoch * drops per node."""
        return discount ** np.arange(self.flows.shape[1]) @ self.flows[DROPS].mean(axis=1)

    @property
    def completions(self):
        """Jobs completed by the horizon, per node."""
        accepted = (self.flows[ARRIVALS] - self.flows[DROPS]).sum(axis=0)
        return accepted - self.queue_lengths[-1]

    @property
    def queue_lengths(self):
        """Mean queue length: (epochs + 1) x nodes."""
        return self.law @ self.lengths

    @property
    def squared_total(self):
        """Mean square of the number of jobs in all queues: it tells how the queues hang together."""
        return self.law @ self.lengths.sum(axis=1) ** 2


class Chain:
    """The joint chain of a small system under a dispatcher."""

    def __init__(self, system, dispatcher):
        self.system = system
        self.dispatcher = dispatcher
        self.queue = Queue(system.buffer, system.work)
        self.access = np.split(system.access.servers, system.access.offsets[1:-1])
        self.nodes = len(self.access)
        starts = takewhile(lambda start: start < system.horizon, (k * system.delta_t for k in count()))
        self.durations = np.diff([*starts, system.horizon]).round(12)
        self.starts = list(product(range(len(self.queue.states)), repeat=self.nodes))
        self.lengths = self.queue.lengths[np.array(self.starts)]

    def expected(self, path=None):
        """Return the expectations, over all paths of the arrival rate or given one (a rate for each epoch)."""
        arrivals = self.system.arrivals
        switch = np.array(
            [
                [1 - arrivals.high_to_low, arrivals.high_to_low],
                [arrivals.low_to_high, 1 - arrivals.low_to_high],
            ]
        )
        law = np.zeros((2, len(self.starts)))
        law[:, 0] = 0.5
        laws, flows = [law.sum(axis=0)], []
        for epoch, duration in enumerate(self.durations):
            if epoch > 0:
                law = switch.T @ law
            if path is not None:
                total, law = law.sum(axis=0), np.zeros_like(law)
                law[int(path[epoch] != arrivals.high)] = total
            steps = [self._epoch(rate, duration) for rate in (arrivals.high, arrivals.low)]
            flows.append(sum(np.tensordot(law[state], steps[state][1], 1) for state in (0, 1)))
            law = np.array([law[state] @ steps[state][0] for state in (0, 1)])
            laws.append(law.sum(axis=0))
        return Expected(self.system.horizon, np.swapaxes(flows, 0, 1), np.array(laws), self.lengths)

    @lru_cache  # noqa: B019 (a chain lives as long as a test)
    def _epoch(self, rate, duration):
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

    def _independent(self, start, plans, rate, duration):
        received = np.zeros(self.nodes)
        for servers, ((probabilities, _),) in zip(self.access, plans, strict=True):
            received[servers] += rate * np.array(probabilities)
        rows, flow = [], np.empty((3, self.nodes))
        for node, state in enumerate(start):
            transition, flows = self._one_queue(received[node].round(12), self.system.service_rates[node], duration)
            rows.append(transition[state])
            flow[:, node] = flows[state]
        return reduce(np.kron, rows), flow

    @lru_cache  # noqa: B019
    def _one_queue(self, arrival_rate, service_rate, duration):
        queue = self.queue
        size = len(queue.states)
        augmented = np.zeros((size + 3, size + 3))
        augmented[:size, :size] = arrival_rate * (queue.arrival - np.eye(size)) + service_rate * queue.service
        augmented[:size, size + ARRIVALS] = arrival_rate
        augmented[:size, size + DROPS] = arrival_rate * queue.full
        augmented[:size, size + PRESENCE] = queue.lengths
        result = linalg.expm(augmented * duration)[:size]
        return result[:, :size], result[:, size:]

    def _joint(self, start, plans, rate, duration):
        """As `_independent`, by the chain of all queues and all schedulers' memories together."""
        augmented, shape = self._joint_generator(plans, rate)
        place = np.ravel_multi_index((*start, *[0] * self.nodes), shape)
        size = math.prod(shape)
        result = expm_multiply(augmented * duration, np.eye(1, len(range(augmented.shape[0])), place)[0])
        law = result[:size].reshape(len(self.starts), -1).sum(axis=1)
        return law, result[size:].reshape(3, self.nodes)

    @lru_cache  # noqa: B019
    def _joint_generator(self, plans, rate):
        """Return the transposed generator, augmented with the flows, and the shape of its states."""
        queue, nodes = self.queue, self.nodes
        shape = (*[len(queue.states)] * nodes, *map(len, plans))

        def placed(factors):
            return reduce(
                lambda left, right: sparse.kron(left, right, "csr"),
                [factors.get(axis, sparse.identity(length)) for axis, length in enumerate(shape)],
            )

        size = math.prod(shape)
        generator = -rate * nodes * sparse.identity(size)
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
    def _plans(self):
        """For each start, for each scheduler: the law of its plan for the epoch.

        A plan is a cycle of states, ((probability of each accessible server, next state), ...), that each job sent
        moves on; a memory-less rule has one state.
        """
        answers = {}
        for lengths in map(tuple, self.lengths.tolist()):
            if lengths not in answers:
                answers[lengths] = self._ask(np.array(lengths))
        return [answers[tuple(lengths)] for lengths in self.lengths.tolist()]

    def _ask(self, lengths):
        view = self._view(lengths)
        if isinstance(self.dispatcher, PerJobDispatcher):
            plan = self.dispatcher.plan(view)
            laws = [self._cycles(plan[i, : len(servers)]) for i, servers in enumerate(self.access)]
        else:
            rows = self.dispatcher.route(view)
            laws = [self._choices(rows[i, : len(servers)]) for i, servers in enumerate(self.access)]
        assert view.reusable, "a rule that reads coins, orders or indices is not solved here"
        return laws

    def _choices(self, probabilities):
        if self.dispatcher.draws == "job":
            return {((tuple(probabilities.tolist()), 0),): 1.0}
        return {
            ((tuple(np.eye(len(probabilities))[column].tolist()), 0),): probability
            for column, probability in enumerate(probabilities.tolist())
            if probability > 0
        }

    def _cycles(self, plan):
        """Follow a rule with memory, of which coin and elapsed time are taken to be no part, in each order."""
        law = defaultdict(float)
        orders = list(permutations(range(len(plan))))
        for order in orders:
            sent = np.zeros(len(plan), dtype=np.int64)
            columns = []
            for number in range(JOBS):
                job = JobView(plan, np.array(order), sent, number, math.nan, math.nan)
                columns.append(int(self.dispatcher.choose(job)))
                sent[columns[-1]] += 1
            law[_cycle(columns, len(plan))] += 1 / len(orders)
        return dict(law)

    def _view(self, lengths):
        width = max(map(len, self.access))

        def padded(values, padding):
            return np.array([[*values[servers], *[padding] * (width - len(servers))] for servers in self.access])

        return View(
            queue_lengths=padded(lengths, 0),
            service_rates=padded(self.system.service_rates, 1.0),
            accessible=padded(np.ones(self.nodes, dtype=bool), False),
            sharing=padded(self.system.access.sharing, 1),
            buffer=self.system.buffer,
            delta_t=self.system.delta_t,
            coins=np.full(self.nodes, math.nan),
            order=np.zeros((self.nodes, width), dtype=np.int64),
            age=np.zeros((self.nodes, width)),
            schedulers=np.arange(self.nodes),
            distribution=np.bincount(lengths, minlength=self.system.buffer + 1) / self.nodes,
        )


def _cycle(columns, width):
    """Return the plan of fewest states that sends jobs 0, 1, ... to these columns."""

    def states(period):
        differing = [i for i in range(len(columns) - period) if columns[i] != columns[i + period]]
        return (differing[-1] + 1 if differing else 0) + period

    period = min(range(1, len(columns) + 1), key=states)
    total = states(period)
    following = [*range(1, total), total - period]
    rows = np.eye(width).tolist()
    return tuple((tuple(rows[columns[state]]), following[state]) for state in range(total))
