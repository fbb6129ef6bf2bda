"""The calendar of messages: when queues are sampled, and when what was seen is delivered, in order, slice by slice.

How long a message takes and whether it is lost does not depend on what it says. So its delivery is known when it
leaves, and no event list is needed: a slice has its samples and its deliveries in order, and carries the messages that
it does not deliver to the next one. Times in ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.engines.compiled.slices import NO_ROOM, Slice
from emulator.engines.compiled.sorting import in_order
from emulator.engines.news import REQUEST_BYTES, STATE_BYTES, distribution_bytes
from emulator.machine.compiling import compiled, is_ours
from emulator.model.system import System
from emulator.model.timetable import SHORTEST_EPOCH
from emulator.randomness import SAMPLE, philox
from emulator.workload.jobs import told_apart, work_of
from emulator.workload.messages import BACK, MessageDraws, draw_message, next_state

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

MESSAGE = np.dtype(
    [
        ("time", np.float64),  # when it is delivered
        ("sampled", np.float64),  # when what it says is so
        ("sent_before", np.int64),  # jobs that its receiver had sent to the server then
        ("entry", np.int32),  # whom it tells of whom; NO_ENTRY if of all servers
        ("scheduler", np.int32),
        ("number", np.int32),  # of the sample
        ("length", np.int32),  # what it says; UNSEEN before the sample, and for ever if it is not worth a message
    ]
)
"""A message that is delivered before the horizon."""

NO_ENTRY, UNSEEN = -1, -1


class Events(NamedTuple):
    """What happens in a slice beside jobs; `*_times`, and infinity after them, in order, `*_places` say to whom."""

    sample_times: Floats
    sample_places: Indices
    """Places in what follows; in the messages, if schedulers ask."""
    sender: Indices
    first: Integers
    """The messages of a sample are those from `first` to `stop` - 1: none where all are heard at once."""
    stop: Integers
    lost: Indices
    """How many others of the sample are lost."""
    delivery_times: Floats
    delivery_places: Indices
    messages: Any
    """See `MESSAGE`."""
    end: float


class Calendar:
    """Draws the messages of an episode, slice by slice."""

    def __init__(self, system: System, draws: MessageDraws, is_global: bool):
        self.system = system
        self.draws = draws
        self.is_global = is_global
        network, access = system.network, system.access
        self.is_poll = network.kind == "poll"
        self.is_instant = not self.is_poll and network.latency.is_none and network.loss.is_none
        self.seen = access if self.is_poll else access.transpose
        entries = len(access.servers)
        self.entries = (np.arange(entries) if self.is_poll else access.turned).astype(np.int32)
        """Of each place in `seen`."""
        is_own = np.zeros(entries, dtype=np.bool_)
        is_own[access.offsets[:-1]] = access.has_own and network.own_is_exact
        self.is_near = is_own[self.entries]
        """Whether no network is crossed."""
        self.lengths = np.zeros(entries) if access.lengths is None else access.lengths[self.entries]
        self.is_bad = np.zeros(entries, dtype=np.bool_)
        """The states of links."""
        self.is_bad_from_monitor = np.zeros(access.scheduler_count, dtype=np.bool_)
        self.number = np.zeros(draws.senders, dtype=np.int64)
        """Of each sender's next sample."""
        self.next_time = draws.sample_clock[0].copy()
        """When it is, where gaps are drawn."""
        self.carried = np.empty(0, dtype=MESSAGE)
        """Messages under way."""
        self.tally = np.zeros(5, dtype=np.int64)
        """Messages sent, received and lost, as far as they do not depend on lengths; questions and distributions sent.

        Answers are sent, but are not received here.
        """
        laws = [network.latency.base.law, network.latency.jitter.law]
        gaps = draws.clock.gaps
        are_ours = is_ours(*laws, *([] if gaps is None else [gaps]))
        self.compiled: Any = _KEPT if are_ours else _FOR_USERS

    def events(self, slice_: Slice) -> Events:
        """Return what happens in the next slice."""
        times, senders, numbers = self._samples(slice_.end)
        nothing = np.empty(0, dtype=np.int64)
        if self.is_instant:
            sample_times, places = in_order(times, senders, slice_.start, slice_.end)
            messages = self._with_distribution(slice_, self.carried)
            return self._events(slice_, sample_times, places, senders, nothing, nothing, senders, messages)
        room = int(np.diff(self.seen.offsets)[senders].sum())
        new = np.empty(room, dtype=MESSAGE)
        first, stop, lost = (np.empty(len(times), dtype) for dtype in (np.int64, np.int64, np.int32))
        post = self.compiled.ask if self.is_poll else self.compiled.broadcast
        count = post(
            self.draws.transit,
            self.system.horizon,
            self.system.network.loss.has_states,
            times,
            senders,
            numbers,
            (self.seen.offsets, self.seen.servers, self.entries, self.is_near, self.lengths, self.is_bad),
            len(self.carried),
            (first, stop, lost),
            new,
            self.tally,
        )
        messages = self._with_distribution(slice_, np.concatenate([self.carried, new[:count]]))
        if self.is_poll:
            times, senders, places = self._within(slice_, messages, "sampled")
        else:
            times, places = in_order(times, senders, slice_.start, slice_.end)
        return self._events(slice_, times, places, senders, first, stop, lost, messages)

    def _events(
        self,
        slice_: Slice,
        times: Floats,
        places: Indices,
        senders: Indices,
        first: Integers,
        stop: Integers,
        lost: Indices,
        messages: Any,
    ) -> Events:
        delivery_times, _, delivery_places = self._within(slice_, messages, "time")
        return Events(times, places, senders, first, stop, lost, delivery_times, delivery_places, messages, slice_.end)

    def _within(self, slice_: Slice, messages: Any, what: str) -> tuple[Floats, Indices, Indices]:
        """Return instants of messages in a slice, in order, and whose they are."""
        times = messages[what]
        those = np.flatnonzero((times >= slice_.start) & (times < slice_.end)).astype(np.int32)
        if what == "sampled":
            those = those[messages["entry"][those] != NO_ENTRY]
        ordered, places = in_order(times[those], messages["number"][those], slice_.start, slice_.end)
        return ordered, those, those[places]

    def carry(self, slice_: Slice, messages: Any) -> None:
        """Keep the messages that a slice has not delivered, and that are worth it."""
        is_silent = (messages["length"] == UNSEEN) & (messages["sampled"] < slice_.end)
        self.carried = messages[(messages["time"] >= slice_.end) & ~is_silent]

    def _samples(self, end: float) -> tuple[Floats, Indices, Indices]:
        """Return the samples before `end` that were not returned before: their times, senders and numbers."""
        phases, periods = self.draws.sample_clock
        gaps, horizon = self.draws.clock.gaps, self.system.horizon
        room = 64 + 2 * len(phases)
        while True:
            times, senders, numbers = np.empty(room), *np.empty((2, room), dtype=np.int32)
            number, next_time = self.number.copy(), self.next_time.copy()
            if gaps is None:
                count = _tick(phases, periods, horizon, end, number, times, senders, numbers)
            else:
                law, seeds = told_apart(gaps.numbers()), self.draws.seeds
                count = self.compiled.tick(
                    law, periods, horizon, end, next_time, number, *seeds, times, senders, numbers
                )
            if count != NO_ROOM:
                self.number, self.next_time = number, next_time
                return times[:count], senders[:count], numbers[:count]
            room *= 2

    def _with_distribution(self, slice_: Slice, messages: Any) -> Any:
        """Add the monitor's messages at an epoch's start."""
        if not self.is_global or not slice_.is_first:
            return messages
        access, horizon = self.system.access, self.system.horizon
        new = np.empty(access.scheduler_count, dtype=MESSAGE)
        count = self.compiled.distribute(
            self.draws.monitor_transit,
            max(access.scheduler_count, access.server_count),
            slice_.epoch,
            slice_.start,
            horizon,
            self.system.network.loss.has_states,
            self.is_bad_from_monitor,
            new,
            self.tally,
        )
        self.tally[0] += access.server_count  # to the monitor, at once
        self.tally[1] += access.server_count
        return np.concatenate([messages, new[:count]])

    def bytes_of(self, sent: int) -> int:
        """Return the bytes of all messages, so many, of the episode."""
        questions, distributions = int(self.tally[3]), int(self.tally[4])
        return (
            questions * REQUEST_BYTES
            + distributions * distribution_bytes(self.system.buffer)
            + (sent - questions - distributions) * STATE_BYTES
        )


@compiled(nogil=True, error_model="numpy")
def _tick(phases, periods, horizon, end, number, times, senders, numbers):  # type: ignore[no-untyped-def]
    """Fill in `emulator.workload.messages.instants` before `end`; return how many there are, or `NO_ROOM`."""
    count = 0
    for sender in range(len(phases)):
        while True:
            time = phases[sender] + number[sender] * periods[sender]
            rest = horizon - time
            if time >= end or not (rest > 0.0 and rest >= SHORTEST_EPOCH * periods[sender]):
                break
            if count == len(times):
                return NO_ROOM
            times[count], senders[count], numbers[count] = time, sender, number[sender]
            number[sender] += 1
            count += 1
    return count


def _tick_by_law(law, periods, horizon, end, next_time, number, seed, replication, times, senders, numbers):  # type: ignore[no-untyped-def]
    """Do the same where gaps are drawn."""
    count = 0
    for sender in range(len(periods)):
        while next_time[sender] < min(end, horizon):
            if count == len(times):
                return NO_ROOM
            times[count], senders[count], numbers[count] = next_time[sender], sender, number[sender]
            number[sender] += 1
            count += 1
            a, b, _, _ = philox(sender, number[sender], 0, SAMPLE, seed, replication)
            next_time[sender] += periods[sender] * work_of((a << uint64(16)) | (b >> uint64(16)), law)
    return count


@njit(inline="always")
def _note(messages, place, time, sampled, entry, scheduler, number, length):  # type: ignore[no-untyped-def]
    messages[place].time, messages[place].sampled = time, sampled
    messages[place].entry, messages[place].scheduler = entry, scheduler
    messages[place].number, messages[place].length = number, length


def _broadcast(transit, horizon, has_states, times, senders, numbers, links, before, samples, messages, tally):  # type: ignore[no-untyped-def]
    """Draw the messages of broadcasts, which count when they leave; return how many will be delivered."""
    offsets, receivers, entries, is_near, lengths, is_bad = links
    first, stop, lost = samples
    count = 0
    for sample in range(len(times)):
        sender, number, time = senders[sample], numbers[sample], times[sample]
        first[sample], lost[sample] = before + count, 0
        for link in range(offsets[sender], offsets[sender + 1]):
            place = link - offsets[sender]
            if has_states:
                is_bad[link] = next_state(transit, sender, number, place, is_bad[link])
            delivered = time
            if not is_near[link]:
                duration, is_lost = draw_message(transit, sender, number, place, lengths[link], is_bad[link])
                if is_lost:
                    lost[sample] += 1
                    continue
                delivered = time + duration
            if delivered < horizon:
                _note(messages, count, delivered, time, entries[link], receivers[link], number, UNSEEN)
                count += 1
        stop[sample] = before + count
    return count


def _ask(transit, horizon, has_states, times, senders, numbers, links, before, samples, messages, tally):  # type: ignore[no-untyped-def]
    """Draw the messages of questions and their answers; return how many answers will be delivered."""
    offsets, _, entries, is_near, lengths, is_bad = links
    count = 0
    for sample in range(len(times)):
        sender, number = senders[sample], numbers[sample]
        for link in range(offsets[sender], offsets[sender + 1]):
            place = link - offsets[sender]
            if has_states:
                is_bad[link] = next_state(transit, sender, number, place, is_bad[link])
            there = back = 0.0
            is_lost = is_answer_lost = False
            if not is_near[link]:
                there, is_lost = draw_message(transit, sender, number, place, lengths[link], is_bad[link])
                back, is_answer_lost = draw_message(transit, sender, number, place + BACK, lengths[link], is_bad[link])
            tally[0] += 1
            tally[3] += 1
            if is_lost:
                tally[2] += 1
                continue
            sampled = times[sample] + there
            if sampled >= horizon:
                continue
            tally[1] += 1
            tally[0] += 1
            if is_answer_lost:
                tally[2] += 1
                continue
            delivered = sampled + back
            if delivered < horizon:
                _note(messages, count, delivered, sampled, entries[link], sender, number, UNSEEN)
                count += 1
    return count


def _distribute(transit, monitor, number, time, horizon, has_states, is_bad, messages, tally):  # type: ignore[no-untyped-def]
    """Draw the messages of the monitor; return how many will be delivered."""
    count = 0
    for scheduler in range(len(is_bad)):
        if has_states:
            is_bad[scheduler] = next_state(transit, monitor, number, scheduler, is_bad[scheduler])
        duration, is_lost = draw_message(transit, monitor, number, scheduler, 0.0, is_bad[scheduler])
        tally[0] += 1
        tally[4] += 1
        tally[2] += is_lost
        if not is_lost and time + duration < horizon:
            _note(messages, count, time + duration, time, NO_ENTRY, scheduler, number, 0)
            count += 1
    return count


class _Functions(NamedTuple):
    """The functions that meet laws, compiled."""

    tick: Any
    broadcast: Any
    ask: Any
    distribute: Any


_SOURCES = _tick_by_law, _broadcast, _ask, _distribute
_KEPT = _Functions(*(compiled(nogil=True, error_model="numpy")(function) for function in _SOURCES))
_FOR_USERS = _Functions(*(njit(nogil=True, error_model="numpy")(function) for function in _SOURCES))
"""For laws of users, whose code must not be kept on disk."""
