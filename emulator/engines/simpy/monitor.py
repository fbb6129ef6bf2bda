"""Who looks at all servers at once: the monitor that tells their distribution, and the observer of epochs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from emulator.engines.simpy.event_loop import SAMPLE, EventLoop, turn
from emulator.engines.simpy.ledger import Ledger
from emulator.engines.simpy.network import Carrier, DistributionMessage, Links
from emulator.engines.simpy.scheduler import Scheduler
from emulator.engines.simpy.server import Server

Process = Generator[Any, None, None]


class Monitor:
    """Gathers the state of all servers and tells every scheduler their distribution (MF-G's global messages)."""

    def __init__(self, loop: EventLoop, servers: Sequence[Server], schedulers: int):
        self.loop = loop
        self.servers = servers
        self.everyone = range(schedulers)
        self.index = max(len(servers), schedulers)
        """The number under which the network draws for it."""
        self.links = Links.of(self.index, np.zeros(schedulers))

    def run(self, carrier: Carrier, starts: Sequence[float]) -> Process:
        """Turn the servers' messages of each epoch's start, which take no time, into one message to all schedulers."""
        buffer = self.servers[0].buffer
        for epoch, time in enumerate(starts):
            yield self.loop.at(time, turn(SAMPLE, self.index))
            lengths = [carrier.tell_monitor(server.state(epoch)).queue_length for server in self.servers]
            shares = np.bincount(lengths, minlength=buffer + 1) / len(lengths)
            carrier.advance(self.links, epoch)
            message = DistributionMessage(self.index, epoch, tuple(shares.tolist()), time)
            carrier.send(message, self.everyone, self.links)


class Observer:
    """Notes for the trace of epochs what nobody in the network sees: all lengths and all rules at once."""

    def __init__(self, loop: EventLoop, servers: Sequence[Server], schedulers: Sequence[Scheduler]):
        self.loop = loop
        self.servers = servers
        self.schedulers = schedulers

    def run(self, ledger: Ledger) -> Process:
        """Look at each epoch's start, when nothing has been told or decided yet at that instant."""
        for epoch, time in enumerate(ledger.starts):
            yield self.loop.at(time, turn(SAMPLE))
            self.note_rules(ledger, epoch - 1)
            for server in self.servers:
                ledger.queue_length[epoch, server.index] = len(server.jobs)

    def note_rules(self, ledger: Ledger, epoch: int) -> None:
        """Note how schedulers send jobs at the end of an epoch, if there is one and they have own servers."""
        for scheduler in self.schedulers if epoch >= 0 and ledger.system.access.has_own else ():
            ledger.offload_probability[epoch, scheduler.index] = scheduler.rule.offload_probability
