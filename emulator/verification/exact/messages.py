"""The joint chain over lengths, messages under way, knowledge and choices, for messages at instants known beforehand.

Between two instants (samples, deliveries, decisions, jobs of a new choice reaching a server) schedulers keep to their
choices, so each queue is a Markov chain of its own, a matrix exponential. At an instant the cases of the joint law are
split and merged. A variable is forgotten as soon as no later instant reads it, which keeps the cases few.

Solved are rules without memory, for broadcasts and polls with periods and phases, fixed latencies, independent or
bursty loss, thresholds, decisions by clocks and fixed dispatch times, on any small graph.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from dispatchers.contract import Dispatcher
from emulator.model.system import System
from emulator.verification.exact.asking import Asked
from emulator.verification.exact.expected import Expected, Floats
from emulator.verification.exact.law import Law, Name, Parts, Step, Values, needed_after
from emulator.verification.exact.network import Network
from emulator.verification.exact.queue import Queue
from emulator.verification.exact.synchronous import rates_of, switching

SWITCH, SAMPLE, DELIVERY, DECISION, REACH = range(5)
"""What happens first at equal times."""

NOTHING: frozenset[Name] = frozenset()


class Link(NamedTuple):
    """From a server to a scheduler, of which it is the server `column`."""

    scheduler: int
    column: int
    server: int


class MessageChain:
    """The joint chain of a small system under a memory-less dispatcher, with a network."""

    def __init__(self, system: System, dispatcher: Dispatcher, network: Network):
        self.system, self.network = system, network
        self.queue = Queue(system.buffer, system.work)
        self.asked = Asked(system, dispatcher)
        self.links = [
            Link(scheduler, column, server)
            for scheduler, servers in enumerate(self.asked.access)
            for column, server in enumerate(servers.tolist())
        ]
        self.columns = [self.asked.columns(scheduler) for scheduler in range(len(self.asked.access))]
        self.rates = rates_of(system.arrivals)
        self.servers = len(system.service_rates)
        self.lengths = self.queue.lengths[np.array(list(product(range(len(self.queue.states)), repeat=self.servers)))]

    def expected(self) -> Expected:
        """Return the expectations of an episode from empty queues, over all paths of the arrival rate."""
        happening: dict[float, list[tuple[int, Step]]] = defaultdict(list)
        for time, rank, step in self._happening():
            if time < self.system.horizon:
                happening[time].append((rank, step))
        epochs = self.system.timetable.times[:-1].tolist()
        flows = np.zeros((3, len(epochs), self.servers))
        times = sorted({0.0, *epochs, *happening})
        steps = [self._begin()]
        marks, epoch = [], -1
        for time, end in zip(times, [*times[1:], self.system.horizon], strict=True):
            if time in epochs:
                epoch += 1
                marks.append(len(steps))
            steps += [step for _, step in sorted(happening[time], key=lambda each: each[0])]
            steps.append(self._pass(end - time, flows[:, epoch]))
        mass = np.zeros((len(self.queue.states),) * self.servers)
        mass[(0,) * self.servers] = 1.0
        law, laws = Law(mass), []
        for number, (step, needed) in enumerate(zip(steps, needed_after(steps), strict=True)):
            if number in marks:
                laws.append(law.total.ravel())
            law.apply(step, needed)
        return Expected(self.system.horizon, flows, np.array([*laws, law.total.ravel()]), self.lengths)

    def _begin(self) -> Step:
        """All queues are known to be empty, no jobs are under way, and the rate is high or low."""
        start: Values = {("rate",): 0}
        start |= {("told", server): 0 for server in range(self.servers)}
        for i, column, _ in self.links:
            start |= {("known", i, column): 0, ("toward", i, column): 0.0, ("heard", i): False}

        def act(values: Values, mass: Floats) -> Parts:
            return [(start | {("rate",): rate}, mass / 2) for rate in (0, 1)]

        return Step(NOTHING, frozenset(start), act)

    def _happening(self) -> Iterator[tuple[float, int, Step]]:
        """Return all that happens, at which time, and what of it first at equal times."""
        deliveries: dict[tuple[int, float], bool] = {}
        """When schedulers receive, and whether they surely do."""
        for time, sampled, number in self._samples():
            yield time, SAMPLE, self._sample(sampled, number)
            for link in sampled:
                received = time + self.network.back[link.scheduler, link.server]
                yield received, DELIVERY, self._deliver(link, number)
                key = link.scheduler, received
                deliveries[key] = deliveries.get(key, False) or self._is_sure(link)
        for scheduler in range(len(self.asked.access)):
            instants = {time: sure for (receiver, time), sure in deliveries.items() if receiver == scheduler}
            if self.network.clock is not None:
                instants = dict.fromkeys(self.network.clock[scheduler], True)
            for number, (time, sure) in enumerate(sorted((instants | {0.0: True}).items())):
                yield time, DECISION, self._decide(scheduler, number, sure)
                for column, server in enumerate(self.asked.access[scheduler].tolist()):
                    if self.network.dispatch[scheduler, server] > 0.0:
                        reached = time + self.network.dispatch[scheduler, server]
                        yield reached, REACH, self._reach(scheduler, column, number)
        if self.rates[0] != self.rates[1]:
            for start in self.system.timetable.times[1:-1].tolist():
                yield start, SWITCH, self._switch()

    def _samples(self) -> Iterator[tuple[float, list[Link], int]]:
        """Return when a server's length is read, for which links, and the number of the sample."""
        for sender, sends in enumerate(self.network.sends):
            for number, time in enumerate(sends):
                if self.network.polls:
                    for link in self.links:
                        if link.scheduler == sender:
                            yield time + self.network.there[sender, link.server], [link], number
                else:
                    yield time, [link for link in self.links if link.server == sender], number

    def _is_sure(self, link: Link) -> bool:
        loss = self.network.loss
        never_lost = self.network.sure[link.scheduler, link.server] or (loss.good == 0.0 and not loss.in_bursts)
        return bool(never_lost and self.network.difference == 0)

    def _sample(self, links: list[Link], number: int) -> Step:
        """A server's length is read and sent over links, each of which may lose it."""
        server, difference = links[0].server, self.network.difference
        states = [("bad", *link) for link in links if self.network.loss.in_bursts and not self._is_exact(link)]
        told = [("told", server)] if difference else []
        masks = [
            (self.queue.lengths == length).astype(float).reshape(-1, *[1] * (self.servers - 1 - server))
            for length in range(self.system.buffer + 1)
        ]

        def act(values: Values, mass: Floats) -> Parts:
            for length, mask in enumerate(masks):
                part = mass * mask
                if not part.any():
                    continue
                sent = abs(length - values["told", server]) >= difference if difference else True
                news: Values = {("told", server): length} if sent else {}
                for outcome in product(*[self._fates(link, number, values) for link in links]):
                    changed = dict(news)
                    for link, (_, arrives, bad) in zip(links, outcome, strict=True):
                        changed["flight", *link, number] = length if sent and arrives else None
                        changed["bad", *link] = bad
                    yield changed, part * math.prod(probability for probability, _, _ in outcome)

        reads = frozenset([*told, *(states if number else [])])
        return Step(reads, frozenset([*states, *[("flight", *link, number) for link in links]]), act)

    def _is_exact(self, link: Link) -> bool:
        return bool(self.network.sure[link.scheduler, link.server])

    def _fates(self, link: Link, number: int, values: Values) -> list[tuple[float, bool, bool]]:
        """Return (probability, whether a message arrives, whether the link is bad) for a sample's number."""
        loss = self.network.loss
        if self._is_exact(link):
            return [(1.0, True, False)]
        turns_bad = 0.0
        if loss.in_bursts and number == 0:
            turns_bad = loss.stationary
        elif loss.in_bursts:
            turns_bad = 1.0 - loss.bad_to_good if values["bad", *link] else loss.good_to_bad
        fates = []
        for bad, likely, lost in ((False, 1.0 - turns_bad, loss.good), (True, turns_bad, loss.bad)):
            arrives = (1.0 - lost) ** (2 if self.network.polls else 1)  # a question and its answer
            fates += [(likely * arrives, True, bad), (likely * (1.0 - arrives), False, bad)]
        return [fate for fate in fates if fate[0] > 0.0]

    def _deliver(self, link: Link, number: int) -> Step:
        flight, known = ("flight", *link, number), ("known", link.scheduler, link.column)
        heard, sure = ("heard", link.scheduler), self._is_sure(link)

        def act(values: Values, mass: Floats) -> Parts:
            length = values.get(flight)
            return [({} if length is None else {known: length, heard: True}, mass)]

        sets = frozenset([known, heard])
        wanted = {flight} if link.column in self.columns[link.scheduler] or not sure else set()
        if sure:
            return Step(frozenset(wanted), sets, act if wanted else lambda values, mass: [({heard: True}, mass)])
        return Step(frozenset({flight, known, heard}), NOTHING, act)

    def _decide(self, scheduler: int, number: int, sure: bool) -> Step:
        """A scheduler chooses, if it has heard anything or decides in any case."""
        known = [("known", scheduler, column) for column in self.columns[scheduler]]
        servers, heard = self.asked.access[scheduler].tolist(), ("heard", scheduler)
        names: list[Name] = [
            ("coming", scheduler, column, number)
            if self.network.dispatch[scheduler, server] > 0.0
            else ("toward", scheduler, column)
            for column, server in enumerate(servers)
        ]

        def act(values: Values, mass: Floats) -> Parts:
            if not sure and not values[heard]:
                yield {heard: False} | {name: None for name in names if name[0] == "coming"}, mass
                return
            lengths = [values.get(("known", scheduler, column), 0) for column in range(len(servers))]
            for answer, probability in self.asked.law_of(scheduler, tuple(lengths))[0].items():
                yield {heard: False} | dict(zip(names, answer, strict=True)), mass * probability

        kept = [] if sure else [heard, *[name for name in names if name[0] == "toward"]]
        return Step(frozenset([*known, *kept]), frozenset([heard, *names]) - frozenset(kept[1:]), act)

    def _reach(self, scheduler: int, column: int, number: int) -> Step:
        """The first jobs after a decision are due at a server, if the scheduler did decide."""
        coming, toward = ("coming", scheduler, column, number), ("toward", scheduler, column)

        def act(values: Values, mass: Floats) -> Parts:
            return [({} if values[coming] is None else {toward: values[coming]}, mass)]

        return Step(frozenset({coming, toward}), NOTHING, act)

    def _switch(self) -> Step:
        switch = switching(self.system.arrivals)

        def act(values: Values, mass: Floats) -> Parts:
            return [({("rate",): rate}, mass * switch[values["rate",], rate]) for rate in (0, 1)]

        return Step(frozenset({("rate",)}), frozenset({("rate",)}), act)

    def _pass(self, duration: float, flows: Floats) -> Step:
        """Time passes, and `flows` (3 x servers) are added to."""
        toward = [(link, ("toward", link.scheduler, link.column)) for link in self.links]
        reads: list[Name] = [name for _, name in toward] + [("rate",)] * (self.rates[0] != self.rates[1])

        def act(values: Values, mass: Floats) -> Parts:
            offered = np.zeros(self.servers)
            for link, name in toward:
                offered[link.server] += self.rates[values.get(("rate",), 0)] * values[name]
            start = mass
            for server, rate in enumerate(offered.round(12).tolist()):
                service_rate = float(self.system.service_rates[server])
                transition, flow = self.queue.advance(rate, service_rate, round(duration, 12))
                others = tuple(axis for axis in range(self.servers + 1) if axis != server + 1)
                flows[:, server] += start.sum(axis=others) @ flow
                mass = np.moveaxis(np.tensordot(mass, transition, (server + 1, 0)), -1, server + 1)
            return [({}, mass)]

        return Step(frozenset(reads), NOTHING, act)
