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
from emulator.engines.news import REQUEST_BYTES, STATE_BYTES, Mail, distribution_bytes
from emulator.errors import InputError
from emulator.machine.compiling import compiled, is_ours
from emulator.model.system import System
from emulator.model.timetable import SHORTEST_EPOCH
from emulator.randomness import SAMPLE, philox
from emulator.workload.jobs import told_apart, work_of
from emulator.workload.messages import BACK, SAMPLE_LIMIT, MessageDraws, draw_message, next_state

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

MESSAGE = np.dtype(
    [
        ("time", np.float64),  # when it is delivered
        ("sampled", np.float64),  # when what it says is so
        ("entry", np.int32),  # whom it tells of whom; of all servers if negative, and then -1 less its number
        ("scheduler", np.int32),
        ("number", np.int32),  # of the sample
    ]
)
"""A message that is delivered before the horizon."""

UNSEEN = -1
"""What a message says before the sample, and for ever if that is found not to be worth a message."""

QUESTIONS, ANSWERS, TO_MONITOR, DISTRIBUTIONS, DRAWN_LOST = range(5)
"""What is counted when it is drawn: messages sent, which are as many answers as questions received, and those lost."""


class Events(NamedTuple):
    """What happens in a slice beside jobs: samples in order of time, deliveries in order of time, messages as drawn."""

    end: float
    """When it ends."""
    sample_times: Floats
    """When queues are sampled, and infinity after the last."""
    sampled: Indices
    """Whose; the entry of the one who asks and the one who answers, if schedulers ask."""
    first: Integers
    """A sample's messages are those from `first` to `stop` - 1: none where all are heard at once."""
    stop: Integers
    lost: Indices
    """How many others of the sample are lost."""
    delivery_times: Floats
    """When messages are delivered, and infinity after the last."""
    place: Indices
    """Which message."""
    scheduler: Indices
    entry: Indices
    sampled_time: Floats
    messages: Any
    """See `MESSAGE`."""
    lengths: Indices
    """What each message says."""
    sent_before: Integers
    """How many jobs its receiver had sent to the server at the sample; for rules with memory."""


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
        self.rate = float((self.seen.counts / draws.sample_clock[1]).sum()) * (2 if self.is_poll else 1)
        """Messages per ms, about."""
        self.is_bad = np.zeros(entries, dtype=np.bool_)
        """The states of links."""
        self.is_bad_from_monitor = np.zeros(access.scheduler_count, dtype=np.bool_)
        self.number = np.zeros(draws.senders, dtype=np.int64)
        """Of each sender's next sample."""
        self.next_time = draws.sample_clock[0].copy()
        """When it is, where gaps are drawn."""
        self.messages = np.empty(0, dtype=MESSAGE)
        self.lengths_told = np.empty(0, dtype=np.int32)
        self.sent_before = np.empty(0, dtype=np.int64)
        self.under_way = 0
        """How many messages, the first ones, are to be delivered, or sampled first."""
        self.tally = np.zeros(5, dtype=np.int64)
        """Messages that do not depend on lengths, see `QUESTIONS`."""
        laws = [network.latency.base.law, network.latency.jitter.law]
        gaps = draws.clock.gaps
        are_ours = is_ours(*laws, *([] if gaps is None else [gaps]))
        self.compiled: Any = _KEPT if are_ours else _FOR_USERS

    def events(self, slice_: Slice) -> Events:
        """Return what happens in the next slice."""
        times, senders, numbers = self._samples(slice_.end)
        nothing = np.empty(0, dtype=np.int64)
        first, stop, lost = nothing, nothing, np.empty(0, dtype=np.int32)
        if not self.is_instant:
            first, stop = np.empty((2, len(times)), dtype=np.int64)
            lost = np.empty(len(times), dtype=np.int32)
            self._post(times, senders, numbers, (first, stop, lost))
        if self.is_global and slice_.is_first:
            self._distribute(slice_)
        messages = self.messages[: self.under_way]
        if self.is_poll:
            times, places = self._within(slice_, messages["sampled"], only_asked=True)
            sampled, first, stop = messages["entry"][places], places.astype(np.int64), places.astype(np.int64) + 1
            lost = np.zeros(len(places), dtype=np.int32)
        else:
            times, places = in_order(times, senders, slice_.start, slice_.end)
            sampled = senders[places]
            if not self.is_instant:
                first, stop, lost = first[places], stop[places], lost[places]
        delivery_times, places = self._within(slice_, messages["time"])
        return Events(
            slice_.end,
            times,
            sampled,
            first,
            stop,
            lost,
            delivery_times,
            places,
            messages["scheduler"][places],
            messages["entry"][places],
            messages["sampled"][places],
            self.messages,
            self.lengths_told,
            self.sent_before,
        )

    def carry(self, slice_: Slice) -> None:
        """Keep the messages that a slice has not delivered, and that are worth it."""
        self.under_way = _keep(self.messages, self.lengths_told, self.sent_before, self.under_way, slice_.end)

    def _post(
        self, times: Floats, senders: Indices, numbers: Indices, samples: tuple[Integers, Integers, Indices]
    ) -> None:
        """Add the messages of some samples, or of the questions asked then, to those under way."""
        self._make_room(int(np.diff(self.seen.offsets)[senders].sum()))
        post = self.compiled.ask if self.is_poll else self.compiled.broadcast
        links = self.seen.offsets, self.seen.servers, self.entries, self.is_near, self.lengths, self.is_bad
        self.under_way = post(
            self.draws.transit,
            self.system.horizon,
            self.system.network.loss.has_states,
            (times, senders, numbers),
            links,
            samples,
            self.messages,
            self.under_way,
            self.tally,
        )

    def _distribute(self, slice_: Slice) -> None:
        """Add the monitor's messages at an epoch's start."""
        access = self.system.access
        self._make_room(access.scheduler_count)
        self.under_way = self.compiled.distribute(
            self.draws.monitor_transit,
            self.system.horizon,
            self.system.network.loss.has_states,
            (max(access.scheduler_count, access.server_count), slice_.epoch, slice_.start),
            self.is_bad_from_monitor,
            self.messages,
            self.under_way,
            self.tally,
        )
        self.tally[TO_MONITOR] += access.server_count

    def _make_room(self, messages: int) -> None:
        """Make room for so many more messages."""
        needed = self.under_way + messages
        if needed > len(self.messages):
            told = self.messages, self.lengths_told, self.sent_before
            self.messages, self.lengths_told, self.sent_before = (
                np.concatenate([column[: self.under_way], np.empty(2 * needed - self.under_way, column.dtype)])
                for column in told
            )
        self.lengths_told[self.under_way : needed] = UNSEEN

    def _within(self, slice_: Slice, instants: Floats, *, only_asked: bool = False) -> tuple[Floats, Indices]:
        """Return the instants of messages in a slice, of all or of answers, in order, and whose they are."""
        messages = self.messages[: self.under_way]
        times, numbers, places = _those_within(messages, instants, slice_.start, slice_.end, only_asked)
        ordered, order = in_order(times, numbers, slice_.start, slice_.end)
        return ordered, places[order]

    def _samples(self, end: float) -> tuple[Floats, Indices, Indices]:
        """Return the samples before `end` that were not returned before: their times, senders and numbers."""
        phases, periods = self.draws.sample_clock
        gaps, horizon = self.draws.clock.gaps, self.system.horizon
        if self.system.network.is_synchronous:
            horizon = max(horizon, SHORTEST_EPOCH * self.system.delta_t)  # the first epoch is there in any case
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
            if room > SAMPLE_LIMIT:
                raise InputError(f"messages.times must make at most {SAMPLE_LIMIT} samples in an episode")

    def mail(self, sent: int, received: int, lost: int, ignored: int) -> Mail:
        """Return the messages of the episode, given those about single servers that were counted on the way.

        Answers count here when they are sent, there when they are received.
        """
        questions, answers, to_monitor, distributions, drawn_lost = self.tally.tolist()
        states = sent + answers + to_monitor
        all_sent, all_received = questions + states + distributions, received + answers + to_monitor
        return Mail(
            sent=all_sent,
            received=all_received,
            lost=lost + drawn_lost,
            under_way=all_sent - all_received - lost - drawn_lost,
            ignored=ignored,
            bytes_sent=questions * REQUEST_BYTES
            + states * STATE_BYTES
            + distributions * distribution_bytes(self.system.buffer),
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
def _note(messages, place, time, sampled, entry, scheduler, number):  # type: ignore[no-untyped-def]
    messages[place].time, messages[place].sampled = time, sampled
    messages[place].entry, messages[place].scheduler = entry, scheduler
    messages[place].number = number


@compiled(nogil=True, error_model="numpy")
def _those_within(messages, instants, start, end, only_asked):  # type: ignore[no-untyped-def]
    """Return the instants that are in a slice, and the numbers and places of the messages that have them.

    With `only_asked` not those about all servers, for which nobody has asked.
    """
    count = 0
    times = np.empty(len(messages))
    numbers, places = np.empty(len(messages), dtype=np.int32), np.empty(len(messages), dtype=np.int32)
    for place in range(len(messages)):
        times[count], numbers[count], places[count] = instants[place], messages[place].number, place
        count += (start <= instants[place] < end) and (messages[place].entry >= 0 or not only_asked)
    return times[:count], numbers[:count], places[:count]


@compiled(nogil=True, error_model="numpy")
def _keep(messages, lengths, sent_before, count, end):  # type: ignore[no-untyped-def]
    """Move the messages that are not delivered before `end` to the front; return how many they are.

    Those that were sampled, but found not to be worth a message, are forgotten.
    """
    kept = 0
    for place in range(count):
        message = messages[place]
        is_silent = lengths[place] == UNSEEN and message.entry >= 0 and message.sampled < end
        if message.time < end or is_silent:
            continue
        if kept < place:
            messages[kept], lengths[kept], sent_before[kept] = message, lengths[place], sent_before[place]
        kept += 1
    return kept


def _broadcast(transit, horizon, has_states, sampled, links, samples, messages, count, tally):  # type: ignore[no-untyped-def]
    """Draw the messages of broadcasts, which count when they leave; return how many are under way then."""
    times, senders, numbers = sampled
    offsets, receivers, entries, is_near, lengths, is_bad = links
    first, stop, lost = samples
    for sample in range(len(times)):
        sender, number, time = senders[sample], numbers[sample], times[sample]
        first[sample], lost[sample] = count, 0
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
                _note(messages, count, delivered, time, entries[link], receivers[link], number)
                count += 1
        stop[sample] = count
    return count


def _ask(transit, horizon, has_states, sampled, links, samples, messages, count, tally):  # type: ignore[no-untyped-def]
    """Draw the messages of questions and their answers; return how many answers are to come then."""
    times, senders, numbers = sampled
    offsets, _, entries, is_near, lengths, is_bad = links
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
            tally[QUESTIONS] += 1
            tally[DRAWN_LOST] += is_lost
            asked = times[sample] + there
            if is_lost or asked >= horizon:
                continue
            tally[ANSWERS] += 1
            tally[DRAWN_LOST] += is_answer_lost
            delivered = asked + back
            if not is_answer_lost and delivered < horizon:
                _note(messages, count, delivered, asked, entries[link], sender, number)
                count += 1
    return count


def _distribute(transit, horizon, has_states, sampled, is_bad, messages, count, tally):  # type: ignore[no-untyped-def]
    """Draw the messages of the monitor; return how many are under way then."""
    monitor, number, time = sampled
    for scheduler in range(len(is_bad)):
        if has_states:
            is_bad[scheduler] = next_state(transit, monitor, number, scheduler, is_bad[scheduler])
        duration, is_lost = draw_message(transit, monitor, number, scheduler, 0.0, is_bad[scheduler])
        tally[DISTRIBUTIONS] += 1
        tally[DRAWN_LOST] += is_lost
        if not is_lost and time + duration < horizon:
            _note(messages, count, time + duration, time, -1 - number, scheduler, number)
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
