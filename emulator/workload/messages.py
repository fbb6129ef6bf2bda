"""What is drawn of the network: when messages leave, how long they take, which are lost; times in ms.

Addresses: PHASE and SAMPLE (sender, k, what), MESSAGE and LINK (sender, k, place), DISPATCH (scheduler, job, attempt).
A sender is a server that broadcasts or a scheduler that asks, and k numbers its samples. A place is that of the other
side in the sender's list: for a server `access.transpose.of(server)`, for a scheduler `access.of(scheduler)`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.machine.compiling import compiled, is_ours
from emulator.model.laws import Law
from emulator.model.laws.drawing import work_of
from emulator.model.network import SAMPLE_LIMIT, Clock, Duration, Latency
from emulator.model.system import System
from emulator.model.timetable import SHORTEST_EPOCH
from emulator.randomness import DISPATCH, LINK, MESSAGE, PHASE, SAMPLE, SECOND, address, philox
from emulator.workload.jobs import told_apart

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

BACK = 2**31
"""Added to the place of the other side on the way back of a poll."""

SAMPLES, DECISIONS = range(2)
"""Whose phases are drawn."""


class Transit(NamedTuple):
    """Of which laws a journey's time is drawn, and how messages are lost; see `emulator.model.network`."""

    seed: np.uint64
    replication: np.uint64
    per_length: float
    base_mean: float
    base: Any
    jitter_mean: float
    jitter: Any
    loss_if_good: float
    loss_if_bad: float
    good_to_bad: float
    bad_to_good: float
    share_bad: float


@njit(inline="always")
def drawn_parts(transit, a, b, c, purpose):  # type: ignore[no-untyped-def]
    """Return (base, jitter, word): a journey's time but for the edge, drawn at an address, and the block's last word.

    Where a part takes no time, its law is not asked.
    """
    seed, replication = transit.seed, transit.replication
    first, second, third, fourth = philox(a, b, c, purpose, seed, replication)
    base = jitter = 0.0
    if transit.base_mean > 0.0:
        bits = (first << uint64(16)) | (second >> uint64(16))
        base = transit.base_mean * work_of(bits, transit.base, address(a, b, c, purpose, seed, replication))
    if transit.jitter_mean > 0.0:
        bits = ((second & uint64(0xFFFF)) << uint64(32)) | third
        more = address(a, b, c, purpose + SECOND, seed, replication)
        jitter = transit.jitter_mean * work_of(bits, transit.jitter, more)
    return base, jitter, fourth


@njit(inline="always")
def draw_message(transit, sender, k, place, length, is_bad):  # type: ignore[no-untyped-def]
    """Return (time, whether it is lost) of a message over an edge of this `length`, on a link in this state."""
    base, jitter, word = drawn_parts(transit, sender, k, place, MESSAGE)
    loss = transit.loss_if_bad if is_bad else transit.loss_if_good
    return length * transit.per_length + base + jitter, np.float64(np.int64(word)) * 2.0**-32 < loss


@njit(inline="always")
def next_state(transit, sender, k, place, is_bad):  # type: ignore[no-untyped-def]
    """Return whether a link is bad at sample k, given whether it was at the one before."""
    _, _, _, d = philox(sender, k, place, LINK, transit.seed, transit.replication)
    coin = np.float64(np.int64(d)) * 2.0**-32
    if k == 0:
        return coin < transit.share_bad
    return coin >= transit.bad_to_good if is_bad else coin < transit.good_to_bad


@njit(inline="always")
def draw_dispatch(transit, scheduler, number, length, attempt):  # type: ignore[no-untyped-def]
    """Return how long an attempt of a scheduler's job takes over an edge of this `length`."""
    base, jitter, _ = drawn_parts(transit, scheduler, number, attempt, DISPATCH)
    return length * transit.per_length + base + jitter


def _messages(transit, sender, k, leg, lengths, is_bad, times, lost):  # type: ignore[no-untyped-def]
    for place in range(len(times)):
        times[place], lost[place] = draw_message(transit, sender, k, place + leg, lengths[place], is_bad[place])


def _next_states(transit, sender, k, is_bad):  # type: ignore[no-untyped-def]
    for place in range(len(is_bad)):
        is_bad[place] = next_state(transit, sender, k, place, is_bad[place])


def _dispatch(transit, scheduler, number, length, attempt):  # type: ignore[no-untyped-def]
    return draw_dispatch(transit, scheduler, number, length, attempt)


@njit(inline="always")
def draw_gap(law, sender, k, seed, replication):  # type: ignore[no-untyped-def]
    """Return the gap before a sender's sample k, in units of its period."""
    a, b, _, _ = philox(sender, k, 0, SAMPLE, seed, replication)
    more = address(sender, k, 0, SAMPLE, seed, replication)
    return work_of((a << uint64(16)) | (b >> uint64(16)), law, more)


def _gaps(law, period, first, horizon, sender, seed, replication, times):  # type: ignore[no-untyped-def]
    """Fill in instants from `first` on, before the horizon; return how many there are, -1 if there is no room."""
    time, count = first, 0
    while time < horizon:
        if count == len(times):
            return -1
        times[count] = time
        count += 1
        time += period * draw_gap(law, sender, count, seed, replication)
    return count


def _durations(law, mean, low_bits, whose, seed, replication):  # type: ignore[no-untyped-def]
    durations = np.empty(len(low_bits))
    for sender in range(len(low_bits)):
        more = address(sender, 0, whose, PHASE + SECOND, seed, replication)
        durations[sender] = mean * work_of(low_bits[sender], law, more)
    return durations


class _Functions(NamedTuple):
    """The functions that meet laws, compiled."""

    messages: Any
    next_states: Any
    dispatch: Any
    gaps: Any
    durations: Any


_SOURCES = _messages, _next_states, _dispatch, _gaps, _durations
_KEPT = _Functions(*(compiled(error_model="numpy", nogil=True)(function) for function in _SOURCES))
_FOR_USERS = _Functions(*(njit(error_model="numpy", nogil=True)(function) for function in _SOURCES))
"""For laws of users, whose code cannot be kept on disk."""


@compiled()
def _phase_bits(senders, whose, seed, replication):  # type: ignore[no-untyped-def]
    """Return of each sender 48 bits for its phase, and 48 for its period."""
    phases, periods = np.empty(senders, dtype=np.uint64), np.empty(senders, dtype=np.uint64)
    for sender in range(senders):
        a, b, c, _ = philox(sender, 0, whose, PHASE, seed, replication)
        phases[sender] = (a << uint64(16)) | (b >> uint64(16))
        periods[sender] = ((b & uint64(0xFFFF)) << uint64(32)) | c
    return phases, periods


class MessageDraws:
    """What is drawn of the network in one replication of a system."""

    def __init__(self, system: System, replication: int):
        self.system = system
        self.seeds = np.uint64(system.seed), np.uint64(replication)
        network = system.network
        laws: list[Law] = [latency.law for latency in (network.latency.base, network.latency.jitter)]
        laws += [network.dispatch.base.law, network.dispatch.jitter.law]
        clocks = [clock for clock in (self.clock, network.decisions) if clock is not None]
        laws += [clock.gaps for clock in clocks if clock.gaps is not None]
        laws += [clock.period.law for clock in clocks if isinstance(clock.period, Duration)]
        self._compiled = _KEPT if is_ours(*laws) else _FOR_USERS

    @property
    def clock(self) -> Clock:
        """When servers broadcast or schedulers ask."""
        return self.system.network.clock(self.system.delta_t)

    @property
    def senders(self) -> int:
        """How many servers broadcast, or schedulers ask."""
        access = self.system.access
        return access.server_count if self.system.network.kind == "broadcast" else access.scheduler_count

    @cached_property
    def sample_clock(self) -> tuple[Floats, Floats]:
        """Phase and period of each sender."""
        return self._phases_and_periods(self.clock, self.senders, SAMPLES)

    @cached_property
    def decision_clock(self) -> tuple[Floats, Floats]:
        """Phase and period of each scheduler's own clock, if schedulers have one."""
        clock = self.system.network.decisions
        assert clock is not None
        return self._phases_and_periods(clock, self.system.access.scheduler_count, DECISIONS)

    def _phases_and_periods(self, clock: Clock, senders: int, whose: int) -> tuple[Floats, Floats]:
        phase_bits, period_bits = _phase_bits(senders, whose, *self.seeds)
        if isinstance(clock.period, Duration):
            numbers = told_apart(clock.period.law.numbers())
            periods = self._compiled.durations(numbers, clock.period.mean, period_bits, whose, *self.seeds)
        else:
            periods = np.broadcast_to(np.asarray(clock.period, dtype=float), senders).copy()
        if clock.phase == "synchronous":
            phases = np.zeros(senders)
        elif clock.phase == "even":
            phases = np.arange(senders) * periods / senders
        elif clock.phase == "random":
            phases = phase_bits * 2.0**-48 * periods
        else:
            phases = np.array(clock.phase, dtype=float)
        if not (self.system.horizon / periods).sum() <= SAMPLE_LIMIT:  # a drawn period can be 0, too
            key = ("messages.period", "decide.every")[whose]
            raise InputError(f"{key} must make at most {SAMPLE_LIMIT:,} instants in an episode")
        return phases, periods

    def sample_times(self, sender: int) -> Floats:
        """Return the instants before the horizon at which a server broadcasts, or a scheduler asks."""
        phases, periods = self.sample_clock
        return self._times(float(phases[sender]), float(periods[sender]), sender)

    def _times(self, phase: float, period: float, sender: int) -> Floats:
        horizon = self.system.horizon
        if self.clock.gaps is None:
            return instants(phase, period, horizon)
        numbers, room = told_apart(self.clock.gaps.numbers()), 16 + int(2 * horizon / period)
        while True:
            times = np.empty(room)
            count = self._compiled.gaps(numbers, period, phase, horizon, sender, *self.seeds, times)
            if count >= 0:
                return times[:count].copy()
            room *= 2
            if room > SAMPLE_LIMIT:
                raise InputError(f"messages.times must make at most {SAMPLE_LIMIT} samples in an episode")

    def decision_times(self, scheduler: int) -> Floats:
        """Return the instants before the horizon at which a scheduler's own clock lets it decide, time 0 among them."""
        phases, periods = self.decision_clock
        times = instants(float(phases[scheduler]), float(periods[scheduler]), self.system.horizon)
        return times if len(times) and times[0] == 0.0 else np.append(0.0, times)

    @cached_property
    def transit(self) -> Transit:
        """How messages travel, for compiled functions."""
        return self._transit(self.system.network.latency)

    @cached_property
    def monitor_transit(self) -> Transit:
        """How the monitor's messages travel, for compiled functions: no edge leads to it."""
        return self.transit._replace(per_length=0.0)

    @cached_property
    def dispatch(self) -> Transit:
        """How jobs travel, for compiled functions."""
        return self._transit(self.system.network.dispatch)

    def _transit(self, latency: Latency) -> Transit:
        loss = self.system.network.loss
        return Transit(
            *self.seeds,
            latency.per_length,
            latency.base.mean,
            told_apart(latency.base.law.numbers()),
            latency.jitter.mean,
            told_apart(latency.jitter.law.numbers()),
            loss.good,
            loss.bad,
            loss.good_to_bad,
            loss.bad_to_good,
            loss.share_bad,
        )

    def messages(
        self, transit: Transit, sender: int, k: int, leg: int, lengths: Floats, is_bad: Booleans
    ) -> tuple[Floats, Booleans]:
        """Draw the times of a sender's messages of sample k, one for each edge, and which of them are lost."""
        times, lost = np.empty(len(lengths)), np.empty(len(lengths), dtype=np.bool_)
        self._compiled.messages(transit, sender, k, leg, lengths, is_bad, times, lost)
        return times, lost

    def advance_links(self, sender: int, k: int, is_bad: Booleans) -> None:
        """Let each of a sender's links go on to its state at sample k."""
        self._compiled.next_states(self.transit, sender, k, is_bad)

    def dispatch_time(self, scheduler: int, number: int, length: float, attempt: int = 0) -> float:
        """Return how long an attempt of a scheduler's job of this number takes over an edge of this length."""
        time: float = self._compiled.dispatch(self.dispatch, scheduler, number, length, attempt)
        return time


def instants(phase: float, period: float, horizon: float) -> Floats:
    """Return `phase + k * period`, computed as that, before the horizon; for `SHORTEST_EPOCH` see there."""
    count = max(0, math.ceil((horizon - phase) / period) + 2)
    times = phase + np.arange(count, dtype=np.float64) * period
    rest = horizon - times
    return times[(rest > 0.0) & (rest >= SHORTEST_EPOCH * period)]
