"""The joint chain over lengths, messages under way, knowledge and choices, for messages at instants known beforehand.

Between two instants (samples, deliveries, decisions, jobs of a new choice reaching a server) schedulers keep to their
choices, so each queue is a Markov chain of its own, a matrix exponential. At an instant the cases of the joint law are
split and merged. A variable is forgotten as soon as no later instant reads it, which keeps the cases few.

Solved are rules without memory on what `FixedNetwork` takes: broadcasts and polls with periods and phases, fixed times
on each link, independent or bursty loss, thresholds and decisions by clocks, on any small system.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby, pairwise, product

import numpy as np

from dispatchers.contract import Dispatcher
from emulator.model.system import System
from emulator.verification.exact.asking import UNTOLD, Asked
from emulator.verification.exact.expected import Expected, Floats
from emulator.verification.exact.law import Law, Name, Parts, Step, Values, needed_after
from emulator.verification.exact.network import FixedNetwork, Link
from emulator.verification.exact.queue import Queue
from emulator.verification.exact.synchronous import rates_of, switching

EPOCH, SAMPLE, DELIVERY, DECISION, REACH = range(5)
"""What happens first at equal times."""

NOTHING: frozenset[Name] = frozenset()


class MessageChain:
    """The joint chain of a small system under a memory-less dispatcher."""

    def __init__(self, system: System, dispatcher: Dispatcher):
        self.system, self.network = system, FixedNetwork(system)
        self.queue = Queue(system.buffer, system.work)
        self.asked = Asked(system, dispatcher)
        self.columns = [self.asked.columns(scheduler) for scheduler in range(system.schedulers)]
        self.rates = rates_of(system.arrivals)

    def expected(self) -> Expected:
        """Return the expectations of an episode from empty queues, over all paths of the arrival rate."""
        servers, starts, horizon = self.system.servers, self.system.timetable.starts, self.system.horizon
        happening = sorted((each for each in self._happening() if each[0] < horizon), key=lambda each: each[:2])
        ends = dict(pairwise([*sorted({time for time, _, _ in happening}), horizon]))
        flows = np.zeros((3, len(starts), servers))
        steps, epoch, marks = [self._begin()], -1, []
        for time, instant in groupby(happening, key=lambda each: each[0]):
            if time in starts:
                epoch += 1
                marks.append(len(steps))
            steps += [step for _, _, step in instant]
            steps.append(self._pass(ends[time] - time, flows[:, epoch]))
        mass = np.zeros((len(self.queue.states),) * servers)
        mass[(0,) * servers] = 1.0
        law, laws = Law(mass), []
        for number, (step, needed) in enumerate(zip(steps, needed_after(steps), strict=True)):
            if number in marks:
                laws.append(law.total.ravel())
            law.apply(step, needed)
        lengths = self.queue.lengths[np.array(list(product(range(len(self.queue.states)), repeat=servers)))]
        return Expected(horizon, flows, np.array([*laws, law.total.ravel()]), lengths)

    def _happening(self) -> Iterator[tuple[float, int, Step]]:
        """Return all that happens, at which time, and what of it first at equal times."""
        for start in self.system.timetable.starts[1:]:
            yield start, EPOCH, self._switch()
        hearing: list[dict[float, bool]] = [defaultdict(bool) for _ in range(self.system.schedulers)]
        """When each scheduler receives, and whether it surely does."""
        for time, number, links in self.network.readings():
            yield time, SAMPLE, self._sample(links, number)
            for link in links:
                received = time + link.telling
                yield received, DELIVERY, self._deliver(link, number)
                hearing[link.scheduler][received] |= self._is_sure(link)
        for scheduler, instants in enumerate(hearing):
            if self.network.decisions is not None:
                instants = dict.fromkeys(self.network.decisions[scheduler], True)
            links = [link for link in self.network.links if link.scheduler == scheduler]
            for number, (time, sure) in enumerate(sorted((instants | {0.0: True}).items())):
                yield time, DECISION, self._decide(links, number, sure)
                for link in links:
                    if link.dispatch > 0.0:
                        yield time + link.dispatch, REACH, self._reach(link, number)

    def _is_sure(self, link: Link) -> bool:
        """Return whether the scheduler hears of every sample."""
        return link.is_sure and self.network.difference == 0

    def _begin(self) -> Step:
        """All queues are known to be empty, no rate is told, no jobs are under way, and the rate is high or low."""
        known = UNTOLD if self.asked.has_unequal_rates else 0
        start: Values = {("rate",): 0} | {("told", server): 0 for server in range(self.system.servers)}
        for link in self.network.links:
            start |= {("known", link): known, ("toward", link): 0.0, ("heard", link.scheduler): False}

        def act(values: Values, mass: Floats) -> Parts:
            return [(start | {("rate",): rate}, mass / 2) for rate in (0, 1)]

        return Step(NOTHING, frozenset(start), act)

    def _switch(self) -> Step:
        """The rate is high or low for another epoch."""
        if self.rates[0] == self.rates[1]:
            return Step(NOTHING, NOTHING, lambda values, mass: [({}, mass)])
        switch, rate = switching(self.system.arrivals), frozenset({("rate",)})

        def act(values: Values, mass: Floats) -> Parts:
            return [({("rate",): after}, mass * switch[values["rate",], after]) for after in (0, 1)]

        return Step(rate, rate, act)

    def _sample(self, links: list[Link], number: int) -> Step:
        """A server's length is read and sent over links, each of which may lose it."""
        server, difference = links[0].server, self.network.difference
        states = [("bad", link) for link in links if link.has_states]
        told = [("told", server)] if difference else []
        masks = [
            (self.queue.lengths == length).astype(float).reshape(-1, *[1] * (self.system.servers - 1 - server))
            for length in range(self.system.buffer + 1)
        ]

        def act(values: Values, mass: Floats) -> Parts:
            fates = [self.network.fates(link, values.get(("bad", link))) for link in links]
            for length, mask in enumerate(masks):
                part = mass * mask
                if not part.any():
                    continue
                sent = abs(length - values["told", server]) >= difference if difference else True
                for outcome in product(*fates):
                    changed: Values = {("told", server): length} if sent else {}
                    for link, (_, arrives, bad) in zip(links, outcome, strict=True):
                        changed["flight", link, number] = length if sent and arrives else None
                        changed["bad", link] = bad
                    yield changed, part * math.prod(probability for probability, _, _ in outcome)

        reads = frozenset([*told, *(states if number else [])])
        return Step(reads, frozenset([*states, *[("flight", link, number) for link in links]]), act)

    def _deliver(self, link: Link, number: int) -> Step:
        """A scheduler hears of a sample, if it was not lost."""
        flight, known, heard = ("flight", link, number), ("known", link), ("heard", link.scheduler)

        def act(values: Values, mass: Floats) -> Parts:
            length = values[flight]
            return [({} if length is None else {known: length, heard: True}, mass)]

        if not self._is_sure(link):
            return Step(frozenset({flight, known, heard}), NOTHING, act)
        if link.column not in self.columns[link.scheduler]:
            return Step(NOTHING, frozenset({heard}), lambda values, mass: [({heard: True}, mass)])
        return Step(frozenset({flight}), frozenset({known, heard}), act)

    def _decide(self, links: list[Link], number: int, sure: bool) -> Step:
        """A scheduler chooses, if it has heard anything or decides in any case."""
        scheduler = links[0].scheduler
        heard: Name = ("heard", scheduler)
        known: list[Name] = [("known", links[column]) for column in self.columns[scheduler]]
        coming = {link.column: ("coming", link, number) for link in links if link.dispatch > 0.0}
        toward = {link.column: ("toward", link) for link in links if link.dispatch == 0.0}
        choice: dict[int, Name] = coming | toward

        def act(values: Values, mass: Floats) -> Parts:
            if not sure and not values[heard]:
                yield {heard: False} | dict.fromkeys(coming.values()), mass
                return
            lengths = tuple(values.get(("known", link), 0) for link in links)
            for answer, probability in self.asked.law_of(scheduler, lengths)[0].items():
                yield {heard: False} | {choice[c]: answer[c] for c in choice}, mass * probability

        if sure:
            return Step(frozenset(known), frozenset([heard, *choice.values()]), act)
        return Step(frozenset([*known, heard, *toward.values()]), frozenset([heard, *coming.values()]), act)

    def _reach(self, link: Link, number: int) -> Step:
        """The first jobs after a decision are due at a server, if the scheduler did decide."""
        coming, toward = ("coming", link, number), ("toward", link)

        def act(values: Values, mass: Floats) -> Parts:
            return [({} if values[coming] is None else {toward: values[coming]}, mass)]

        return Step(frozenset({coming, toward}), NOTHING, act)

    def _pass(self, duration: float, flows: Floats) -> Step:
        """Time passes, and `flows` (3 x servers) are added to."""
        links, servers = self.network.links, self.system.servers
        reads: list[Name] = [("toward", link) for link in links] + [("rate",)] * (self.rates[0] != self.rates[1])

        def act(values: Values, mass: Floats) -> Parts:
            offered = np.zeros(servers)
            for link in links:
                offered[link.server] += self.rates[values.get(("rate",), 0)] * values["toward", link]
            start = mass
            for server, rate in enumerate(offered.round(12).tolist()):
                service_rate = float(self.system.service_rates[server])
                transition, flow = self.queue.advance(rate, service_rate, round(duration, 12))
                others = tuple(axis for axis in range(servers + 1) if axis != server + 1)
                flows[:, server] += start.sum(axis=others) @ flow
                mass = np.moveaxis(np.tensordot(mass, transition, (server + 1, 0)), -1, server + 1)
            return [({}, mass)]

        return Step(frozenset(reads), NOTHING, act)
