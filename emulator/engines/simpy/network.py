"""The network between servers and schedulers: the only way on which a scheduler learns of a queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from emulator.engines.episode import MessageRecord
from emulator.engines.simpy.event_loop import EventLoop

MONITOR = -1
"""Where a message trace names a node, this stands for the monitor that gathers global state."""


class StateMessage(NamedTuple):
    """What a server says of itself at an epoch's start; times in ms, rates per ms."""

    sender: int
    epoch: int
    queue_length: int
    service_rate: float
    sent_time: float


class DistributionMessage(NamedTuple):
    """What the monitor says of all servers: the share of them with each queue length 0..buffer."""

    epoch: int
    distribution: tuple[float, ...]
    sent_time: float


Message = StateMessage | DistributionMessage


class Network:
    """Carries messages into inboxes, at once.

    A network that delays, loses or staggers messages overrides `send` and calls `deliver` when, and if, a message
    arrives (from a SimPy process, in phase `DELIVERY`). Schedulers decide on what their inbox held by then.
    """

    def __init__(self, loop: EventLoop, nodes: int, record: list[MessageRecord] | None = None):
        self.loop = loop
        self.inboxes: list[list[Message]] = [[] for _ in range(nodes)]
        self.inboxes.append([])
        """One per scheduler, then the monitor's."""
        self.record = record
        """Every message as it was received, if a trace is wanted."""
        self.delivered = 0
        """Messages received so far."""

    def send(self, message: Message, receivers: Sequence[int], now: float) -> None:
        """Send a message to schedulers, or to the `MONITOR`."""
        self.deliver(message, receivers, now)

    def deliver(self, message: Message, receivers: Sequence[int], now: float) -> None:
        """Put a message into the receivers' inboxes."""
        inboxes = self.inboxes
        for receiver in receivers:
            inboxes[receiver].append(message)
        self.delivered += len(receivers)
        if self.record is not None:
            self._note(message, receivers, now)

    def _note(self, message: Message, receivers: Sequence[int], now: float) -> None:
        assert self.record is not None
        if isinstance(message, StateMessage):
            server, length = message.sender, message.queue_length
        else:
            server, length = MONITOR, -1
        for receiver in receivers:
            self.record.append(MessageRecord(message.epoch, message.sent_time, now, server, receiver, length))
