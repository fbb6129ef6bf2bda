"""Messages as they are posted: when their senders do so, what is drawn of each, and which are due in a slice."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from emulator.engines.compiled.slices import NO_ROOM
from emulator.machine.compiling import compiled
from emulator.model.timetable import SHORTEST_EPOCH
from emulator.workload.messages import BACK, draw_gap, draw_message, next_state

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


@compiled(nogil=True, error_model="numpy")
def tick(phases, periods, horizon, end, number, times, senders, numbers):  # type: ignore[no-untyped-def]
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
            next_time[sender] += periods[sender] * draw_gap(law, sender, number[sender], seed, replication)
    return count


@njit(inline="always")
def _note(messages, place, time, sampled, entry, scheduler, number):  # type: ignore[no-untyped-def]
    messages[place].time, messages[place].sampled = time, sampled
    messages[place].entry, messages[place].scheduler = entry, scheduler
    messages[place].number = number


@compiled(nogil=True, error_model="numpy")
def those_within(messages, instants, start, end, only_asked):  # type: ignore[no-untyped-def]
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
def keep(messages, lengths, sent_before, count, end):  # type: ignore[no-untyped-def]
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
KEPT = _Functions(*(compiled(nogil=True, error_model="numpy")(function) for function in _SOURCES))
FOR_USERS = _Functions(*(njit(nogil=True, error_model="numpy")(function) for function in _SOURCES))
"""For laws of users, whose code must not be kept on disk."""
