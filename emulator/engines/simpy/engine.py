"""The reference engine: SimPy processes for every server, every scheduler and every server's broadcasts.

Written to be read. A job's way: `Scheduler.run` meets it at its arrival time, the scheduler's current `Decision`
names a server, `Server.receive` queues or drops it, `Server.serve` completes it. A message's way: `Server.broadcast`
hands it to the `Network`, which puts it into inboxes, which `Scheduler.read_inbox` empties when it is time to decide.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import simpy

from dispatchers.contract import Dispatcher
from emulator.engines.decisions import Decider, Decision, Knowledge
from emulator.engines.engine import Part
from emulator.engines.episode import COMPLETED, DROPPED, UNTRACED, Episode, MessageRecord, Traces
from emulator.engines.simpy.event_loop import ARRIVAL, BROADCAST, DECISION, DELIVERY, DEPARTURE, EventLoop
from emulator.engines.simpy.ledger import Job, Ledger
from emulator.engines.simpy.network import MONITOR, DistributionMessage, Network, StateMessage
from emulator.model.system import System
from emulator.workload.workload import Workload

Process = Generator[Any, None, None]


class Server:
    """A FIFO queue of at most `buffer` jobs, the one in service included."""

    __slots__ = ("buffer", "idle", "index", "jobs", "loop", "service_rate", "sojourn_time")

    def __init__(self, loop: EventLoop, index: int, service_rate: float, buffer: int):
        self.loop = loop
        self.index = index
        self.service_rate = service_rate
        self.buffer = buffer
        self.jobs: deque[Job] = deque()
        """Jobs in the system, the one in service first."""
        self.idle: simpy.Process | None = None
        """The process that serves, while it sleeps for want of a job."""
        self.sojourn_time = 0.0
        """Time from arrival to departure (ms), added up over completed jobs."""

    def receive(self, job: Job) -> None:
        """Queue a job, or drop it if the buffer is full."""
        jobs = self.jobs
        job.server = self.index
        job.queue_length_at_arrival = len(jobs)
        if len(jobs) >= self.buffer:
            job.outcome = DROPPED
            return
        jobs.append(job)
        if self.idle is not None:
            serving, self.idle = self.idle, None
            self.loop.wake(serving)

    def serve(self) -> Process:
        """Serve one job after another, each for `work / service_rate`."""
        loop, jobs = self.loop, self.jobs
        while True:
            if not jobs:
                self.idle = loop.active_process
                yield loop.until_woken()
            job = jobs[0]
            job.start_time = loop.now
            yield loop.at(job.start_time + job.work / self.service_rate, DEPARTURE)
            jobs.popleft()
            job.departure_time = loop.now
            job.outcome = COMPLETED
            self.sojourn_time += job.departure_time - job.arrival_time

    def broadcast(self, network: Network, receivers: Sequence[int], ledger: Ledger) -> Process:
        """Tell, at each epoch's start, every scheduler that can access this server how long its queue is."""
        for epoch, time in enumerate(ledger.timetable.samples(self.index)):
            yield self.loop.at(time, BROADCAST)
            length = len(self.jobs)
            network.send(StateMessage(self.index, epoch, length, self.service_rate, time), receivers, time)
            ledger.note_queue_length(epoch, self.index, length)

    def presence_time(self, horizon: float) -> float:
        """Return the time (ms) that accepted jobs have spent here, those still here until the horizon."""
        waiting = 0.0
        for job in self.jobs:
            waiting += horizon - job.arrival_time
        return self.sojourn_time + waiting


class Scheduler:
    """Sends its jobs to accessible servers, knowing only what messages told it."""

    __slots__ = ("columns", "decider", "decision", "inbox", "index", "known", "loop", "servers")

    def __init__(
        self,
        loop: EventLoop,
        index: int,
        servers: list[Server],
        sharing: tuple[int, ...],
        inbox: list[Any],
        decider: Decider,
    ):
        self.loop = loop
        self.index = index
        self.servers = servers
        """Where jobs can be sent, the own server first; a scheduler calls nothing of them but `receive`."""
        self.columns = {server.index: column for column, server in enumerate(servers)}
        self.inbox = inbox
        self.known = Knowledge.at_start(index, sharing, decider.hidden)
        self.decider = decider
        self.decision: Decision | None = None

    def read_inbox(self) -> None:
        """Take note of the messages that have arrived."""
        known = self.known
        for message in self.inbox:
            if isinstance(message, StateMessage):
                column = self.columns[message.sender]
                known.queue_lengths[column] = message.queue_length
                known.service_rates[column] = message.service_rate
                known.sent_times[column] = message.sent_time
            else:
                known.distribution = message.distribution
        self.inbox.clear()

    def run(self, ledger: Ledger) -> Process:
        """Decide at each epoch's start, then send the epoch's jobs as they arrive."""
        loop, servers = self.loop, self.servers
        for epoch, time in enumerate(ledger.timetable.decisions(self.index)):
            yield loop.at(time, DECISION)
            self.read_inbox()
            decision = self.decider.decide(self.known, time, ledger.begin(epoch))
            for job in ledger.born(self.index):
                yield loop.at(job.arrival_time, ARRIVAL)
                servers[decision.column(job.coin, job.arrival_time - time)].receive(job)
            ledger.note_decision(epoch, self.index, decision)


class Monitor:
    """Gathers the state of all servers and tells every scheduler their distribution (MF-G's global messages)."""

    def __init__(self, loop: EventLoop, nodes: int, buffer: int, inbox: list[Any]):
        self.loop = loop
        self.nodes = nodes
        self.inbox = inbox
        self.lengths = [0] * nodes
        self.buffer = buffer

    def run(self, network: Network, ledger: Ledger) -> Process:
        """Turn each epoch's messages from the servers into one message to all schedulers."""
        everyone = range(self.nodes)
        for epoch, time in enumerate(ledger.timetable.starts):
            yield self.loop.at(time, DELIVERY)
            for message in self.inbox:
                self.lengths[message.sender] = message.queue_length
            self.inbox.clear()
            shares = np.bincount(self.lengths, minlength=self.buffer + 1) / self.nodes
            network.send(DistributionMessage(epoch, tuple(shares.tolist()), time), everyone, time)


class SimpyEngine:
    """Emulates episodes of one system under one dispatcher; `network` carries the messages.

    `threads` are for other engines: here one process after another does its next step.
    """

    def __init__(self, system: System, dispatcher: Dispatcher, threads: int = 1, network: type[Network] = Network):
        self.system = system
        self.dispatcher = dispatcher
        self.network = network

    @staticmethod
    def obstacle(dispatcher: Dispatcher, traces: Traces = UNTRACED) -> str | None:
        """See `Engine.obstacle`: there is none."""
        return None

    def episode(
        self, workload: Workload, traces: Traces = UNTRACED, progress: Callable[[float], None] | None = None
    ) -> Episode:
        """See `Engine.episode`. Raises `DispatcherError` if the dispatcher's answers break the contract."""
        system = self.system
        records: list[MessageRecord] | None = [] if traces.messages else None
        with _garbage_collector_paused():
            loop = EventLoop()
            carrier = self.network(loop, system.access.scheduler_count, records)
            ledger = Ledger(system, workload)
            rates = enumerate(system.service_rates.tolist())
            servers = [Server(loop, index, rate, system.buffer) for index, rate in rates]
            for process in _processes(loop, system, servers, self.dispatcher, carrier, ledger):
                loop.process(process)
            if progress is not None:
                loop.process(_report(loop, progress, ledger))
            loop.run_to(system.horizon)
            if progress is not None:
                progress(system.horizon)
            return ledger.episode(
                traces=traces,
                sojourn_times=[server.sojourn_time for server in servers],
                presence_times=[server.presence_time(system.horizon) for server in servers],
                messages=carrier.delivered,
                records=records,
            )

    def parts(self, workload: Workload, traces: Traces) -> Iterator[Part]:
        """See `Engine.parts`; the traces of all epochs come at once."""
        episode = self.episode(workload, traces)
        yield episode.jobs, episode.epochs


def _processes(
    loop: EventLoop,
    system: System,
    servers: list[Server],
    dispatcher: Dispatcher,
    network: Network,
    ledger: Ledger,
) -> Iterator[Process]:
    """Yield the process of each server, each server's broadcasts, each scheduler, and the monitor if it is needed."""
    decider = Decider(dispatcher, system)
    access, sharing = system.access, system.access.sharing.tolist()
    hears_all = dispatcher.observes == "all"
    for index in range(access.scheduler_count):
        reachable = access.of(index).tolist()
        scheduler = Scheduler(
            loop,
            index,
            [servers[other] for other in reachable],
            tuple(sharing[other] for other in reachable),
            network.inboxes[index],
            decider,
        )
        yield scheduler.run(ledger)
    for server in servers:
        receivers = access.transpose.of(server.index).tolist()
        yield server.serve()
        yield server.broadcast(network, [*receivers, MONITOR] if hears_all else receivers, ledger)
    if hears_all:
        monitor = Monitor(loop, system.nodes, system.buffer, network.inboxes[MONITOR])
        yield monitor.run(network, ledger)


def _report(loop: EventLoop, progress: Callable[[float], None], ledger: Ledger) -> Process:
    for time in ledger.timetable.starts:
        yield loop.at(time, DECISION)
        progress(time)


@contextmanager
def _garbage_collector_paused() -> Iterator[None]:
    """Pause the cyclic collector: an episode makes many objects and few cycles, and the search for them is costly."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
