"""The network between servers and schedulers: the only way on which a scheduler learns of a queue.

A message is an object that leaves, travels and arrives, or is lost. `Carrier.send` draws how long each one takes;
`Carrier.deliver` hands it to a scheduler, which reads it when all that arrives at that instant has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.engines.episode import IGNORED, LOST, RECEIVED, UNDER_WAY, MessageRecord
from emulator.engines.news import REQUEST_BYTES, STATE_BYTES, Mail, distribution_bytes
from emulator.engines.simpy.event_loop import DELIVERY, SAMPLE, EventLoop, turn
from emulator.model.system import System
from emulator.workload.messages import BACK, MessageDraws, Transit

MONITOR = -1
"""Where a message trace names a node, this stands for the monitor that gathers global state."""

Journey = Generator[Any, None, None]


class StateMessage(NamedTuple):
    """What a server says of itself; times in ms, rates per ms."""

    sender: int
    number: int
    """Which sample of the server it is, or, if a scheduler has asked, which of its questions."""
    queue_length: int
    service_rate: float
    sampled_time: float


class DistributionMessage(NamedTuple):
    """What the monitor says of all servers: the share of them with each queue length 0..buffer."""

    sender: int
    number: int
    distribution: tuple[float, ...]
    sampled_time: float


Message = StateMessage | DistributionMessage


@dataclass
class Links:
    """A sender's links to the others, in the order of its list."""

    sender: int
    """The number under which the network draws for it."""
    lengths: NDArray[np.float64]
    """Lengths of the edges."""
    is_bad: NDArray[np.bool_]
    """Whether a link is in its bad state."""
    is_near: NDArray[np.bool_] | None = None
    """Whether the other side is so near that no network is crossed; None if none is."""

    @classmethod
    def of(cls, sender: int, lengths: NDArray[np.float64], is_near: NDArray[np.bool_] | None = None) -> Links:
        """Return links that are good."""
        return cls(sender, lengths, np.zeros(len(lengths), dtype=np.bool_), is_near)


class Carrier:
    """Carries messages to those who read them; what happens at an instant is read once all of it has happened."""

    def __init__(self, loop: EventLoop, system: System, draws: MessageDraws, record: list[MessageRecord] | None = None):
        self.loop = loop
        self.draws = draws
        network = system.network
        self.is_instant = network.latency.is_none and network.loss.is_none
        """Whether all messages arrive, and at once."""
        self.has_states = network.loss.has_states
        self.state_kind = "state" if network.kind == "broadcast" else "answer"
        self.inboxes: list[Callable[[Message], None]] = []
        """What puts a message into each scheduler's inbox."""
        self.record = record
        """Every message and what became of it, if a trace is wanted."""
        self._places: dict[tuple[int, int, int], int] = {}
        self._distribution_bytes = distribution_bytes(system.buffer)
        self.sent = self.received = self.lost = self.under_way = self.ignored = self.bytes_sent = 0

    def mail(self) -> Mail:
        """Return what became of the messages so far."""
        return Mail(self.sent, self.received, self.lost, self.under_way, self.ignored, self.bytes_sent)

    def send(self, message: Message, receivers: Sequence[int], links: Links) -> None:
        """Send a message of a server, or of the monitor, to schedulers."""
        count = len(receivers)
        self.sent += count
        self.bytes_sent += count * (STATE_BYTES if isinstance(message, StateMessage) else self._distribution_bytes)
        if self.is_instant:
            for receiver in receivers:
                self.deliver(message, receiver)
            return
        transit = self.draws.transit if isinstance(message, StateMessage) else self.draws.monitor_transit
        fates = self.fates(transit, links, message.number)
        for receiver, (time, is_lost) in zip(receivers, fates, strict=True):
            self.loop.process(self.travel(message, receiver, time, is_lost))

    def tell_monitor(self, message: StateMessage) -> StateMessage:
        """Carry a server's message to the monitor, at once."""
        self.sent += 1
        self.received += 1
        self.bytes_sent += STATE_BYTES
        if self.record is not None:
            now = self.loop.now
            told = message.sender, MONITOR, message.queue_length
            self.record.append(MessageRecord("state", message.number, now, now, *told, 0.0, RECEIVED))
        return message

    def advance(self, links: Links, number: int) -> None:
        """Let a sender's links go on to their states at its next sample."""
        if self.has_states:
            self.draws.advance_links(links.sender, number, links.is_bad)

    def fates(self, transit: Transit, links: Links, number: int, way: int = 0) -> list[tuple[float, bool]]:
        """Return how long each of a sender's messages of one sample takes, and whether it is lost."""
        times, lost = self.draws.messages(transit, links.sender, number, way, links.lengths, links.is_bad)
        if links.is_near is not None:
            times[links.is_near], lost[links.is_near] = 0.0, False
        return list(zip(times.tolist(), lost.tolist(), strict=True))

    def travel(self, message: Message, receiver: int, time: float, is_lost: bool) -> Journey:
        """The life of a message: it leaves, is lost or travels for `time`, and arrives."""
        if is_lost:
            self.lost += 1
            self.note(message, receiver, LOST)
            return
        self.under_way += 1
        self.note(message, receiver, UNDER_WAY)
        yield self.loop.at(self.loop.now + time, turn(DELIVERY, receiver))
        self.under_way -= 1
        self.deliver(message, receiver)

    def deliver(self, message: Message, receiver: int) -> None:
        """Put a message into a scheduler's inbox."""
        self.received += 1
        if self.record is not None:
            self.note(message, receiver, RECEIVED)
        self.inboxes[receiver](message)

    def ask(self, servers: Sequence[Any], scheduler: int, number: int, links: Links) -> None:
        """Let a scheduler ask its servers; each one's answer says how long its queue was when the question came."""
        self.advance(links, number)
        there = self.fates(self.draws.transit, links, number)
        back = self.fates(self.draws.transit, links, number, BACK)
        for server, *ways in zip(servers, there, back, strict=True):
            self.loop.process(self.converse(server, scheduler, number, *ways))

    def converse(
        self, server: Any, scheduler: int, number: int, there: tuple[float, bool], back: tuple[float, bool]
    ) -> Journey:
        """The life of a question and its answer."""
        self.sent += 1
        self.bytes_sent += REQUEST_BYTES
        record = self.note_question(server.index, scheduler, number, LOST if there[1] else UNDER_WAY)
        if there[1]:
            self.lost += 1
            return
        self.under_way += 1
        yield self.loop.at(self.loop.now + there[0], turn(SAMPLE, server.index))
        self.under_way -= 1
        self.received += 1
        if record is not None:
            record.fate, record.received_time = RECEIVED, self.loop.now
        self.sent += 1
        self.bytes_sent += STATE_BYTES
        yield from self.travel(server.state(number), scheduler, *back)

    def note_question(self, server: int, scheduler: int, number: int, fate: int) -> MessageRecord | None:
        """Write a question into the trace, if there is one."""
        if self.record is None:
            return None
        record = MessageRecord("question", number, self.loop.now, np.nan, server, scheduler, -1, np.nan, fate)
        self.record.append(record)
        return record

    def note(self, message: Message, receiver: int, fate: int) -> None:
        """Write into the trace, if there is one, what has become of a message."""
        if self.record is None:
            return
        key = message.sender, message.number, receiver
        if fate == IGNORED or (fate == RECEIVED and key in self._places):
            record = self.record[self._places[key]]
        else:
            kind, sender, length = "distribution", MONITOR, -1
            if isinstance(message, StateMessage):
                kind, sender, length = self.state_kind, message.sender, message.queue_length
            sent = message.sampled_time
            record = MessageRecord(kind, message.number, sent, np.nan, sender, receiver, length, np.nan, fate)
            self._places[key] = len(self.record)
            self.record.append(record)
        record.fate = fate
        if fate == RECEIVED:
            record.received_time, record.age = self.loop.now, self.loop.now - message.sampled_time

    def note_ignored(self, message: Message, receiver: int) -> None:
        """Count a message that was older than what its receiver knew."""
        self.ignored += 1
        self.note(message, receiver, IGNORED)
