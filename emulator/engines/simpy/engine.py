"""The reference engine: SimPy processes for every server, every scheduler and every message.

Written to be read. A job's way: `Scheduler.send_jobs` meets it at its arrival time, the scheduler's rule names a
server, `Scheduler.bring` takes it there if that takes time, `Server.receive` queues or drops it, `Server.serve`
completes it. A message's way: `Server.broadcast` hands it to the `Carrier`, where it travels or is lost, and arrives in
an inbox; `Scheduler.read` reads it once all that arrives at that instant has arrived, and decides.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher
from emulator.engines.engine import Part
from emulator.engines.episode import UNTRACED, Episode, MessageRecord, Traces
from emulator.engines.news import ages_of
from emulator.engines.observations import OneByOne
from emulator.engines.service import Service, new_times
from emulator.engines.simpy.event_loop import END, EventLoop, turn
from emulator.engines.simpy.ledger import Ledger
from emulator.engines.simpy.monitor import Monitor, Observer
from emulator.engines.simpy.network import Carrier, Links
from emulator.engines.simpy.retries import Client
from emulator.engines.simpy.scheduler import Scheduler, TravelTime
from emulator.engines.simpy.server import Server
from emulator.engines.simpy.server_queue import QueueServer
from emulator.engines.simpy.server_sharing import SharingServer
from emulator.engines.simpy.server_station import StationServer
from emulator.model.access import Access
from emulator.model.network import Network
from emulator.model.system import System
from emulator.workload.marks import StationDraws
from emulator.workload.messages import MessageDraws
from emulator.workload.workload import Workload

Process = Generator[Any, None, None]


class SimpyEngine:
    """Emulates episodes of one system under one dispatcher; `carrier` carries the messages.

    `threads` are for other engines: here one process after another does its next step.
    """

    def __init__(self, system: System, dispatcher: Dispatcher, threads: int = 1, carrier: type[Carrier] = Carrier):
        self.system = system
        self.dispatcher = dispatcher
        self.carrier = carrier

    @staticmethod
    def obstacle(
        dispatcher: Dispatcher, network: Network, traces: Traces = UNTRACED, *, has_feedback: bool = False
    ) -> str | None:
        """See `Engine.obstacle`: there is none."""
        return None

    def episode(
        self, workload: Workload, traces: Traces = UNTRACED, progress: Callable[[float], None] | None = None
    ) -> Episode:
        """See `Engine.episode`. Raises `DispatcherError` if the dispatcher's answers break the contract."""
        with _garbage_collector_paused():
            world = _World(self, workload, traces)
            for process in world.processes():
                world.loop.process(process)
            if progress is not None:
                world.loop.process(_report(world.loop, progress, world.ledger))
            world.loop.run_to(self.system.horizon)
            if progress is not None:
                progress(self.system.horizon)
            return world.episode()

    def parts(self, workload: Workload, traces: Traces) -> Iterator[Part]:
        """See `Engine.parts`; the traces of all epochs come at once."""
        episode = self.episode(workload, traces)
        yield episode.jobs, episode.epochs


class _World:
    """All that lives in one episode."""

    def __init__(self, engine: SimpyEngine, workload: Workload, traces: Traces):
        self.system = system = engine.system
        self.traces = traces
        self.loop = loop = EventLoop()
        self.station_draws = StationDraws(system, workload.replication)
        self.ledger = Ledger(system, workload, self.station_draws)
        self.draws = MessageDraws(system, workload.replication)
        self.records: list[MessageRecord] | None = [] if traces.messages else None
        self.carrier = engine.carrier(loop, system, self.draws, self.records)
        self.observations = OneByOne(engine.dispatcher, system, workload)
        self.times = new_times(system)
        rates = enumerate(system.service_rates.tolist())
        self.servers = [self._server(index, rate) for index, rate in rates]
        self.schedulers = [self._scheduler(index) for index in range(system.access.scheduler_count)]
        if system.station.retries is not None:
            client = Client(loop, self.schedulers, self.ledger, self.station_draws, system.station.retries)
            for server in self.servers:
                server.on_end = client.hear
        self.carrier.inboxes = [scheduler.receive for scheduler in self.schedulers]
        self.observer = Observer(loop, self.servers, self.schedulers)
        self.is_own = np.zeros(len(system.access.servers), dtype=np.bool_)
        """Whether an entry of the access relation is a scheduler's own server."""
        self.is_own[system.access.offsets[:-1]] = system.access.has_own

    def _server(self, index: int, rate: float) -> Server:
        loop, station, buffer = self.loop, self.system.station, self.system.buffer
        if station.is_plain:
            return Server(loop, index, rate, buffer)
        kind = SharingServer if station.discipline == "ps" else QueueServer
        return kind(loop, index, rate, buffer, station, self.station_draws.times_up_and_down(index), self.times)

    def _scheduler(self, index: int) -> Scheduler:
        access = self.system.access
        servers = [self.servers[server] for server in access.of(index).tolist()]
        others = int(access.others[index])
        return Scheduler(
            self.loop,
            index,
            servers,
            self.observations,
            self.carrier,
            self.system.network,
            others,
            self._travel_time(index),
        )

    def processes(self) -> Iterator[Process]:
        """Yield the processes of servers, messages, decisions and jobs, and of those who look at all servers."""
        system, network, starts = self.system, self.system.network, self.ledger.starts
        in_step = network.is_synchronous
        for server in self.servers:
            yield from server.processes()
            if network.kind == "broadcast":
                receivers = system.access.transpose.of(server.index).tolist()
                times = starts if in_step else self.draws.sample_times(server.index).tolist()
                links = self._links(server.index, system.access.transpose, system.access.turned)
                yield server.broadcast(self.carrier, receivers, links, times, network.difference)
        for scheduler in self.schedulers:
            yield scheduler.read()
            if network.decisions is not None:
                yield scheduler.decide_at(self.draws.decision_times(scheduler.index).tolist())
            if network.kind == "poll":
                times = self.draws.sample_times(scheduler.index).tolist()
                links = self._links(scheduler.index, system.access, np.arange(len(system.access.servers)))
                yield scheduler.ask(self.carrier, links, times)
            yield scheduler.send_jobs(self.ledger)
        if self.observations.is_global:
            yield Monitor(self.loop, self.servers, len(self.schedulers)).run(self.carrier, starts)
        if self.traces.epochs:
            yield self.observer.run(self.ledger)

    def _links(self, sender: int, seen: Access, entries: NDArray[np.int64]) -> Links:
        """Return the links of a sender, given the access relation as senders see it, and the entry of each place."""
        access = self.system.access
        here = slice(seen.offsets[sender], seen.offsets[sender + 1])
        lengths = np.zeros(here.stop - here.start) if access.lengths is None else access.lengths[entries[here]]
        if not access.has_own or not self.system.network.own_is_exact:
            return Links.of(sender, lengths)
        return Links.of(sender, lengths, self.is_own[entries[here]])

    def _travel_time(self, scheduler: int) -> TravelTime | None:
        """Return what says how long a scheduler's jobs take to their servers; None if they take no time."""
        system = self.system
        if system.network.dispatch.is_none:
            return None
        access = system.access
        here = slice(access.offsets[scheduler], access.offsets[scheduler + 1])
        lengths = [0.0] * int(access.counts[scheduler]) if access.lengths is None else access.lengths[here].tolist()
        own_is_near = access.has_own and system.network.own_dispatch_is_exact

        def travel_time(number: int, attempt: int, column: int) -> float:
            if own_is_near and column == 0:
                return 0.0
            return self.draws.dispatch_time(scheduler, number, lengths[column], attempt)

        return travel_time

    def episode(self) -> Episode:
        """Return the episode when it is over."""
        system, schedulers, servers, horizon = self.system, self.schedulers, self.servers, self.system.horizon
        for scheduler in schedulers:
            scheduler.grow_older(horizon)
        if self.traces.epochs:
            self.observer.note_rules(self.ledger, self.ledger.epochs - 1)
        return self.ledger.episode(
            traces=self.traces,
            sojourn_times=[server.sojourn_time for server in servers],
            presence_times=[server.presence_time(horizon) for server in servers],
            decisions=sum(scheduler.decisions for scheduler in schedulers),
            mail=self.carrier.mail(),
            ages=ages_of(
                system.access.others,
                horizon,
                np.array([scheduler.age_over_time for scheduler in schedulers]),
                np.array([scheduler.decisions for scheduler in schedulers]),
                np.array([scheduler.age_at_decisions for scheduler in schedulers]),
                np.array([scheduler.jobs for scheduler in schedulers]),
                np.array([scheduler.age_at_jobs for scheduler in schedulers]),
            ),
            records=self.records,
            is_chosen=self.observations.remembers,
            service=self._service(),
        )

    def _service(self) -> Service | None:
        """Return what stations have done, None of FIFO queues."""
        stations = [server for server in self.servers if isinstance(server, StationServer)]
        if not stations:
            return None
        for server in stations:
            server.add_up(self.system.horizon)
        own = ([getattr(server, name) for server in stations] for name in ("presence", "busy", "down"))
        return Service(self.times, *(np.array(times, dtype=np.int64) for times in own))


def _report(loop: EventLoop, progress: Callable[[float], None], ledger: Ledger) -> Process:
    for time in ledger.starts:
        yield loop.at(time, turn(END))
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
