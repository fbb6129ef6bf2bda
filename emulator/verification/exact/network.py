"""The network of a small system, link by link; refused is what is random in it beside the loss of messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emulator.errors import InputError
from emulator.model.laws import Deterministic, Law
from emulator.model.network import Duration, Latency, Network
from emulator.model.system import System
from emulator.workload.messages import MessageDraws


class Link(NamedTuple):
    """Between a scheduler and the server of one of its columns; times in ms."""

    scheduler: int
    column: int
    server: int
    sender: int
    """The server that broadcasts, or the scheduler that asks."""
    asking: float
    """What a question takes; 0 where servers broadcast."""
    telling: float
    """What a broadcast or an answer takes."""
    dispatch: float
    """What a job takes."""
    arrives: tuple[float, float]
    """How likely what a server tells arrives (a question must, too), while the link is good, and while it is bad."""

    @property
    def is_sure(self) -> bool:
        """Whether everything arrives."""
        return self.arrives == (1.0, 1.0)

    @property
    def has_states(self) -> bool:
        """Whether it matters if the link is good or bad."""
        return self.arrives[0] != self.arrives[1]


class FixedNetwork:
    """A network whose instants and times are known beforehand. Raises `InputError` for any other."""

    def __init__(self, system: System):
        network = system.network
        for key in _random_keys(network):
            raise InputError(f"{key} must not be random to be solved exactly")
        draws = MessageDraws(system, 0)
        self.links = list(_links(system))
        self.loss, self.difference = network.loss, network.difference
        self.samples: list[list[float]] = [draws.sample_times(sender).tolist() for sender in range(draws.senders)]
        """When each sender broadcasts or asks."""
        self.decisions: list[list[float]] | None = None
        """When each scheduler decides by its own clock; None: at deliveries."""
        if network.decisions is not None:
            self.decisions = [draws.decision_times(scheduler).tolist() for scheduler in range(system.schedulers)]

    def readings(self) -> Iterator[tuple[float, int, list[Link]]]:
        """Return when a server's length is read, the number of that sample, and over which links it is told."""
        told: dict[tuple[int, int], list[Link]] = defaultdict(list)
        for link in self.links:
            told[link.sender, link.server].append(link)
        for (sender, _), links in told.items():
            for number, time in enumerate(self.samples[sender]):
                yield time + links[0].asking, number, links

    def fates(self, link: Link, was_bad: bool | None) -> list[tuple[float, bool, bool]]:
        """Return (probability, whether a sample arrives, whether the link is bad), `was_bad` at the one before."""
        turns_bad = 0.0
        if link.has_states and was_bad is None:
            turns_bad = self.loss.share_bad
        elif link.has_states:
            turns_bad = 1.0 - self.loss.bad_to_good if was_bad else self.loss.good_to_bad
        fates = []
        for bad, likely in ((False, 1.0 - turns_bad), (True, turns_bad)):
            fates += [(likely * link.arrives[bad], True, bad), (likely * (1.0 - link.arrives[bad]), False, bad)]
        return [fate for fate in fates if fate[0] > 0.0]


def _random_keys(network: Network) -> Iterator[str]:
    """Return the keys that ask for what is random, beside the loss of messages."""
    for section, clock in (("messages", network.samples), ("decide", network.decisions)):
        if clock is None:
            continue
        if clock.phase == "random":
            yield f"{section}.phase"
        if isinstance(clock.period, Duration) and _is_random(clock.period.law):
            yield f"{section}.period"
        if clock.gaps is not None and _is_random(clock.gaps):
            yield f"{section}.times"
    for key, time in (
        ("messages.latency", network.latency.base),
        ("messages.jitter", network.latency.jitter),
        ("dispatch.latency", network.dispatch.base),
    ):
        if not time.is_none and _is_random(time.law):
            yield key


def _is_random(law: Law) -> bool:
    return not isinstance(law, Deterministic)


def _links(system: System) -> Iterator[Link]:
    """Return the links of each scheduler, column by column."""
    access, network = system.access, system.network
    lengths = np.zeros(len(access.servers)) if access.lengths is None else access.lengths
    polls, loss = network.kind == "poll", network.loss
    ways = 2 if polls else 1
    for scheduler, first in enumerate(access.offsets[:-1].tolist()):
        for column, server in enumerate(access.of(scheduler).tolist()):
            is_own = access.has_own and column == 0
            is_exact = is_own and network.own_is_exact
            length = float(lengths[first + column])
            message = 0.0 if is_exact else _time(network.latency, length)
            yield Link(
                scheduler,
                column,
                server,
                sender=scheduler if polls else server,
                asking=message if polls else 0.0,
                telling=message,
                dispatch=0.0 if is_own and network.own_dispatch_is_exact else _time(network.dispatch, length),
                arrives=(1.0, 1.0) if is_exact else ((1.0 - loss.good) ** ways, (1.0 - loss.bad) ** ways),
            )


def _time(latency: Latency, length: float) -> float:
    return length * latency.per_length + latency.base.mean + latency.jitter.mean
