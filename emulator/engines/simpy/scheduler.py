"""A scheduler: it reads messages, decides, and sends its jobs to servers, knowing only what messages told it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Sequence
from operator import attrgetter
from typing import Any

import simpy

from dispatchers.choice import Rule
from emulator.engines.news import age_over
from emulator.engines.observations import OneByOne
from emulator.engines.simpy.event_loop import ARRIVAL, DECISION, PATIENCE, REACH, SAMPLE, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.ledger import Ledger
from emulator.engines.simpy.network import Carrier, Links, Message, StateMessage
from emulator.engines.simpy.server import Server
from emulator.model.network import Network

Process = Generator[Any, None, None]
TravelTime = Callable[[int, int, int], float]
"""(number of a job of the scheduler, its attempt, column of its server) -> ms on the way."""

_by_sender = attrgetter("sender", "number")


class Scheduler:
    """Sends its jobs to accessible servers; what it knows of them is `observations.known`, at its places."""

    def __init__(
        self,
        loop: EventLoop,
        index: int,
        servers: Sequence[Server],
        observations: OneByOne,
        carrier: Carrier,
        network: Network,
        others: int,
        travel_time: TravelTime | None,
    ):
        self.loop = loop
        self.index = index
        self.servers = servers
        """Where jobs can be sent, the own server first; a scheduler calls nothing of them but `receive`."""
        self.observations = observations
        self.carrier = carrier
        self.known = known = observations.known
        first = observations.offsets[index]
        self.places = {server.index: place for place, server in enumerate(servers, first)}
        """Where in `known` each server stands; of the others' places a scheduler reads and writes nothing."""
        self.others = others
        """How many servers are not its own."""
        self.travel_time = travel_time
        """How long jobs take to servers; None if they take no time."""
        self.sampled_times = known.sampled_times[first + len(servers) - others : first + len(servers)]
        """When what is known of these was so."""
        self.keeps_newest = network.keeps_newest and not carrier.is_instant
        self.decides_on_delivery = network.decisions is None
        self.inbox: list[Message] = []
        self.reading: simpy.Process | None = None
        """The process that reads the inbox, while it sleeps until something arrives."""
        self.rule: Rule
        """Where jobs go until the next decision."""
        self.decided = 0.0
        """When that was decided."""
        self.decisions = 0
        self.log: list[list[float]] | None = [[] for _ in servers] if observations.remembers else None
        """When jobs were sent to each server, if the rule wants to know how many since the last news."""
        self.sent = 0
        """Jobs that were sent since the last news, if the rule wants to know."""
        self.jobs = 0
        self.sampled = 0.0
        """The sum of `sampled_times`."""
        self.since = 0.0
        """Since when that has been so."""
        self.age_over_time = self.age_at_decisions = self.age_at_jobs = 0.0
        """Ages of what is known of the others, added up."""

    def receive(self, message: Message) -> None:
        """Put a message into the inbox, to be read when all that arrives now has arrived."""
        self.inbox.append(message)
        if self.reading is not None:
            reading, self.reading = self.reading, None
            self.loop.wake_at_turn(reading, turn(DECISION, self.index))

    def read(self) -> Process:
        """Read what has arrived, at each instant at which something has, and decide."""
        loop = self.loop
        yield loop.at(0.0, turn(DECISION, self.index))
        while True:
            self.read_inbox()
            if self.decides_on_delivery:
                self.decide()
            self.reading = loop.active_process
            yield loop.until_woken()

    def decide_at(self, times: Iterable[float]) -> Process:
        """Decide by the own clock."""
        for time in times:
            yield self.loop.at(time, turn(DECISION, self.index, 1))
            self.decide()

    def read_inbox(self) -> None:
        """Take note of the messages that have arrived."""
        if not self.carrier.is_instant:
            self.inbox.sort(key=_by_sender)
        known, places = self.known, self.places
        for message in self.inbox:
            if isinstance(message, StateMessage):
                place = places[message.sender]
                if self.keeps_newest and message.sampled_time < known.sampled_times[place]:
                    self.carrier.note_ignored(message, self.index)
                    continue
                known.queue_lengths[place] = message.queue_length
                known.service_rates[place] = message.service_rate
                known.sampled_times[place] = message.sampled_time
            elif self.keeps_newest and message.sampled_time < known.told_times[self.index]:
                self.carrier.note_ignored(message, self.index)
            else:
                known.distribution[self.index] = message.distribution
                known.told_times[self.index] = message.sampled_time
        self.inbox.clear()
        self.grow_older(self.loop.now)

    def grow_older(self, now: float) -> None:
        """Add up the ages of what was known until now."""
        self.age_over_time += age_over(self.others, self.sampled, self.since, now)
        sampled = 0.0
        for time in self.sampled_times.tolist():
            sampled += time
        self.sampled, self.since = sampled, now

    def decide(self) -> None:
        """Ask the dispatcher where jobs go from now on."""
        now = self.loop.now
        self.rule = self.observations.decide(self.index, now, self.decisions, self.sent_since_news())
        self.decided = now
        self.decisions += 1
        self.age_at_decisions += self.others * now - self.sampled

    def sent_since_news(self) -> list[int]:
        """Return how many jobs were sent to each server since what is known of it was so, if the rule wants to know."""
        if self.log is None:
            return []
        counts = [
            len(times) - bisect_left(times, self.known.sampled_times[place])
            for times, place in zip(self.log, self.places.values(), strict=True)
        ]
        self.sent = sum(counts)
        return counts

    def send_jobs(self, ledger: Ledger) -> Process:
        """Send each job when it arrives."""
        for epoch in range(ledger.epochs):
            for job in ledger.born(epoch, self.index):
                yield self.loop.at(job.arrival_time, turn(ARRIVAL, self.index, job.number))
                self.send(job)

    def send(self, job: Job) -> None:
        """Send a job, which arrives now, where the last decision says."""
        now = job.arrival_time
        self.age_at_jobs += self.others * now - self.sampled
        column = self.rule.column(self.sent, job.coin, now - self.decided)
        if self.log is not None:
            self.log[column].append(now)
            self.sent += 1
        job.place = self.jobs
        self.jobs += 1
        time = 0.0 if self.travel_time is None else self.travel_time(job.number, job.attempt, column)
        if time == 0.0:
            self.servers[column].receive(job)
        else:
            self.loop.process(self.bring(job, self.servers[column], time))

    def bring(self, job: Job, server: Server, time: float) -> Process:
        """The way of a job to its server."""
        job.server, job.reached_time = server.index, float("nan")
        reached_time, deadline = job.arrival_time + time, server.deadline_of(job)
        if deadline <= reached_time:
            yield self.loop.at(deadline, turn(PATIENCE, self.index, job.number, job.attempt))
            if not server.goes_on_with(job):
                return
        yield self.loop.at(reached_time, turn(REACH, self.index, job.number, job.attempt))
        job.reached_time = reached_time
        server.receive(job)

    def ask(self, carrier: Carrier, links: Links, times: Iterable[float]) -> Process:
        """Ask all accessible servers, at each of some times, how long their queues are."""
        for number, time in enumerate(times):
            yield self.loop.at(time, turn(SAMPLE, self.index))
            carrier.ask(self.servers, self.index, number, links)
