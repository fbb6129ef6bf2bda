"""The network: when messages leave, how long they take, which are lost, when schedulers decide; times in ms.

The defaults are the paper's network (section 2.1): every server broadcasts at each epoch's start, every message arrives
at once, and every scheduler decides. `emulator.workload.messages` draws what is random in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emulator.model.laws import Deterministic, Law

Kind = Literal["broadcast", "poll"]
"""Whether servers tell how long their queues are, or schedulers ask."""

Phase = Literal["synchronous", "even", "random"] | tuple[float, ...]
"""When the first of many senders' instants is: 0, sender * period / senders, uniform in a period, or what is listed."""


SAMPLE_LIMIT = 1_000_000_000
"""Instants of all senders of an episode."""


@dataclass(frozen=True)
class Duration:
    """How long something takes: `mean` times a number of mean 1 that a law draws."""

    mean: float = 0.0
    law: Law = field(default_factory=Deterministic)

    @property
    def is_none(self) -> bool:
        """Whether it takes no time at all."""
        return self.mean == 0.0


@dataclass(frozen=True)
class Latency:
    """How long it takes to a server or from one: by the edge's length, by a law, and by a second one on top."""

    per_length: float = 0.0
    """ms for each unit of the edge's length."""
    base: Duration = Duration()
    jitter: Duration = Duration()

    @property
    def is_none(self) -> bool:
        """Whether nothing takes any time."""
        return self.per_length == 0.0 and self.base.is_none and self.jitter.is_none


@dataclass(frozen=True)
class Loss:
    """How messages are lost on a link: with one probability while it is good, with another while it is bad.

    The state is a chain with a step at each sample (E. N. Gilbert, 1960; E. O. Elliott, 1963), stationary at the start.
    """

    good: float = 0.0
    bad: float = 0.0
    good_to_bad: float = 0.0
    bad_to_good: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether no message is lost."""
        return self.good == self.bad == 0.0

    @property
    def has_states(self) -> bool:
        """Whether the state of a link makes a difference."""
        return self.good != self.bad

    @property
    def share_bad(self) -> float:
        """The stationary probability of the bad state; where nothing changes, links are good."""
        leaving = self.good_to_bad + self.bad_to_good
        return self.good_to_bad / leaving if leaving else 0.0


@dataclass(frozen=True)
class Clock:
    """Instants of each of many senders: the first at its phase, the next a period later, or as `gaps` says."""

    period: float | Duration | tuple[float, ...]
    """The same for all, drawn once for each, or what is listed."""
    phase: Phase = "synchronous"
    gaps: Law | None = None
    """The law of the gaps in units of the period; None for a period each."""

    def rate(self, senders: int) -> float:
        """Return how many instants per ms so many senders have together, about."""
        if isinstance(self.period, tuple):
            return sum(1.0 / period for period in self.period)
        return senders / (self.period.mean if isinstance(self.period, Duration) else self.period)


@dataclass(frozen=True)
class Network:
    """What schedulers learn of servers, when, and how long jobs take to them."""

    kind: Kind = "broadcast"
    samples: Clock | None = None
    """When servers broadcast or schedulers ask; at each epoch's start if None."""
    latency: Latency = Latency()
    loss: Loss = Loss()
    own_is_exact: bool = True
    """Whether a message between a scheduler and its own server crosses no network."""
    keeps_newest: bool = True
    """Whether a message older than what is known is ignored."""
    difference: int = 0
    """By how much a length must differ from the one last told to be told; 0 if every sample is."""
    decisions: Clock | None = None
    """When schedulers decide beside time 0; at each instant with a delivery if None."""
    dispatch: Latency = Latency()
    """How long a job takes to its server."""
    own_dispatch_is_exact: bool = True
    """Whether a job to the own server takes no time."""

    @property
    def is_synchronous(self) -> bool:
        """Whether all servers broadcast at the starts of epochs, and all is heard, and acted on, at once."""
        return (
            self.kind == "broadcast"
            and self.samples is None
            and self.latency.is_none
            and self.loss.is_none
            and self.difference == 0
            and self.decisions is None
            and self.dispatch.is_none
        )

    def clock(self, delta_t: float) -> Clock:
        """Return when servers broadcast or schedulers ask."""
        return Clock(delta_t) if self.samples is None else self.samples
