"""The calendar of messages: when queues are sampled, and when what was seen is delivered, in order, slice by slice.

How long a message takes and whether it is lost does not depend on what it says. So its delivery is known when it
leaves, and no event list is needed: a slice has its samples and its deliveries in order, and carries the messages that
it does not deliver to the next one. Times in ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.engines.compiled import posting
from emulator.engines.compiled.slices import NO_ROOM, Slice
from emulator.engines.compiled.sorting import in_order
from emulator.engines.news import REQUEST_BYTES, STATE_BYTES, Mail, distribution_bytes
from emulator.errors import InputError
from emulator.machine.compiling import is_ours
from emulator.model.network import SAMPLE_LIMIT
from emulator.model.system import System
from emulator.model.timetable import SHORTEST_EPOCH
from emulator.workload.jobs import told_apart
from emulator.workload.messages import MessageDraws

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


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
    """See `emulator.engines.compiled.posting.MESSAGE`."""
    lengths: Indices
    """What each message says."""
    sent_before: Indices
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
        self.ways = posting.ways(self.seen.width)
        self.is_bad_from_monitor = np.zeros(access.scheduler_count, dtype=np.bool_)
        self.number = np.zeros(draws.senders, dtype=np.int64)
        """Of each sender's next sample."""
        self.next_time = draws.sample_clock[0].copy()
        """When it is, where gaps are drawn."""
        self.messages = np.empty(0, dtype=posting.MESSAGE)
        self.lengths_told = np.empty(0, dtype=np.int32)
        self.sent_before = np.empty(0, dtype=np.int32)
        self.under_way = 0
        """How many messages, the first ones, are to be delivered, or sampled first."""
        self.tally = np.zeros(5, dtype=np.int64)
        """Messages that do not depend on lengths, see `emulator.engines.compiled.posting.QUESTIONS`."""
        laws = [network.latency.base.law, network.latency.jitter.law]
        gaps = draws.clock.gaps
        are_ours = is_ours(*laws, *([] if gaps is None else [gaps]))
        self.compiled: Any = posting.KEPT if are_ours else posting.FOR_USERS

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
            _, sampled, _ = posting.columns_of(messages, places)
            first = places.astype(np.int64)
            stop = first + 1
            lost = np.zeros(len(places), dtype=np.int32)
        else:
            times, places = in_order(times, senders, slice_.start, slice_.end)
            sampled = senders[places]
            if not self.is_instant:
                first, stop, lost = first[places], stop[places], lost[places]
        delivery_times, places = self._within(slice_, messages["time"])
        scheduler, entry, sampled_time = posting.columns_of(messages, places)
        return Events(
            slice_.end,
            times,
            sampled,
            first,
            stop,
            lost,
            delivery_times,
            places,
            scheduler,
            entry,
            sampled_time,
            self.messages,
            self.lengths_told,
            self.sent_before,
        )

    def carry(self, slice_: Slice) -> None:
        """Keep the messages that a slice has not delivered, and that are worth it."""
        self.under_way = posting.keep(self.messages, self.lengths_told, self.sent_before, self.under_way, slice_.end)

    def _post(
        self, times: Floats, senders: Indices, numbers: Indices, samples: tuple[Integers, Integers, Indices]
    ) -> None:
        """Add the messages of some samples, or of the questions asked then, to those under way."""
        self._make_room(int(self.seen.counts[senders].sum()) + 1)
        post = self.compiled.ask if self.is_poll else self.compiled.broadcast
        links = self.seen.offsets, self.seen.servers, self.entries, self.is_near, self.lengths, self.is_bad
        self.under_way = post(
            self.draws.transit,
            self.system.horizon,
            self.system.network.loss.has_states,
            (times, senders, numbers),
            links,
            samples,
            self.ways,
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
        self.tally[posting.TO_MONITOR] += access.server_count

    def _make_room(self, messages: int) -> None:
        """Make room for so many more messages."""
        needed = self.under_way + messages
        if needed > len(self.messages):
            columns: list[Any] = [self.messages, self.lengths_told, self.sent_before]
            longer: list[Any] = [np.empty(2 * needed, dtype=column.dtype) for column in columns]
            for old, new in zip(columns, longer, strict=True):
                new[: self.under_way] = old[: self.under_way]
            self.messages, self.lengths_told, self.sent_before = longer
        self.lengths_told[self.under_way : needed] = posting.UNSEEN

    def _within(self, slice_: Slice, instants: Floats, *, only_asked: bool = False) -> tuple[Floats, Indices]:
        """Return the instants of messages in a slice, of all or of answers, in order, and whose they are."""
        messages = self.messages[: self.under_way]
        times, numbers, places = posting.those_within(messages, instants, slice_.start, slice_.end, only_asked)
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
                count = posting.tick(phases, periods, horizon, end, number, times, senders, numbers)
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
