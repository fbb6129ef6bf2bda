"""Decisions of single schedulers: when they are due, which answer holds from then on, and what is drawn for it.

A decision changes nothing that anybody else can see. So it is made when it is needed: before the scheduler's next job,
or before what it knows changes. One that another follows before any job is counted, but, as a rule, nobody is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64
from numba.extending import overload

from dispatchers.choice import Drawn, Fixed, pick
from emulator.engines.compiled.world import ANSWERED, ASKED, DECISIONS, NEVER
from emulator.engines.news import age_over
from emulator.model.timetable import SHORTEST_EPOCH
from emulator.randomness import DECISION, ORDER, philox, random_uniform
from emulator.workload.coins import RANKED

INLINED: Any = {
    "nogil": True,
    "error_model": "numpy",
    "forceinline": True,
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""For parts of the walk: they make no arrays, are called by no other, and are a part of its code, as the world is much
to hand over."""

_pick = njit(inline="always")(pick)
_age_over = njit(inline="always")(age_over)


@njit(**INLINED)
def _add_up(world, settings, scheduler):  # type: ignore[no-untyped-def]
    """Add up when what a scheduler knows of others was so, in the order of its columns."""
    total = 0.0
    for entry in range(world.first[scheduler] + settings.own, world.stop[scheduler]):
        total += world.sampled[entry]
    world.schedulers[scheduler].sampled = total


@njit(**INLINED)
def others_of(world, settings, scheduler):  # type: ignore[no-untyped-def]
    """Return how many servers a scheduler can access that are not its own."""
    return world.stop[scheduler] - world.first[scheduler] - settings.own


def work_out(rule, answers, world, table, scheduler):  # type: ignore[no-untyped-def]
    """Write the answer to a scheduler whose rule looks at each server alone, where there is room for its own."""


@overload(work_out, jit_options=INLINED)
def _work_out_by_kind(rule, answers, world, table, scheduler):  # type: ignore[no-untyped-def]
    if rule.instance_class in (Drawn, Fixed):

        def share_out(rule, answers, world, table, scheduler):  # type: ignore[no-untyped-def]
            """`View.least` and `dispatchers.choice.cumulate`, in the same order of operations."""
            start, stop = world.first[scheduler], world.stop[scheduler]
            least, ties = np.inf, 0
            for entry in range(start, stop):
                cost = table.of_servers[table.kinds[entry] + world.known[entry]]
                if cost < least:
                    least, ties = cost, 0
                ties += cost == least
            share, total = 1.0 / ties, 0.0
            for entry in range(start, stop):
                if table.of_servers[table.kinds[entry] + world.known[entry]] == least:
                    total += share
                    ties -= 1
                answers[entry] = min(total, 1.0) if ties else 1.0

        return share_out

    def plan(rule, answers, world, table, scheduler):  # type: ignore[no-untyped-def]
        for entry in range(world.first[scheduler], world.stop[scheduler]):
            place = table.kinds[entry] + world.known[entry]
            for field in range(answers.shape[1]):
                answers[entry, field] = table.of_servers[place, field]

    return plan


@njit(**INLINED)
def _answer(rule, answers, world, table, scheduler):  # type: ignore[no-untyped-def]
    """Return where the answer to what a scheduler observes begins, -1 if it is not known."""
    if table.first[scheduler] < 0:
        if len(table.of_servers) == 0:
            return -1
        work_out(rule, answers, world, table, scheduler)
        return np.int64(world.first[scheduler])
    start, stop = world.first[scheduler], world.stop[scheduler]
    observation = 0
    for entry in range(start, min(start + table.columns, stop)):
        observation = observation * table.base + world.known[entry]
    observation += table.first[scheduler]
    if len(table.version) > 0 and table.version[observation] != world.heard_of[scheduler]:
        return -1
    return np.int64(table.start[observation])


def take_up(rule, answers, world, settings, scheduler):  # type: ignore[no-untyped-def]
    """Draw what holds for a decision as a whole, and count anew what was sent since the news."""


@overload(take_up, jit_options=INLINED)
def _take_up_by_kind(rule, answers, world, settings, scheduler):  # type: ignore[no-untyped-def]
    kind = rule.instance_class
    if kind is Drawn:
        return lambda rule, answers, world, settings, scheduler: None
    if kind is Fixed:

        def fix(rule, answers, world, settings, scheduler):  # type: ignore[no-untyped-def]
            me = world.schedulers[scheduler]
            coin = random_uniform(scheduler, me.decisions, 0, DECISION, settings.seed, settings.replication)
            count = world.stop[scheduler] - world.first[scheduler]
            rule.chosen[scheduler] = _pick(answers[me.start : me.start + count], coin)

        return fix

    def remember(rule, answers, world, settings, scheduler):  # type: ignore[no-untyped-def]
        _draw_order(world, settings, scheduler)
        total = 0
        for entry in range(world.first[scheduler], world.stop[scheduler]):
            world.sent[entry] = world.sent_ever[entry] - world.sent_before_news[entry]
            total += world.sent[entry]
        world.total_sent[scheduler] = total

    return remember


@njit(**INLINED)
def _draw_order(world, settings, scheduler):  # type: ignore[no-untyped-def]
    """Draw the order of `emulator.workload.coins.decision_orders` for a scheduler's next decision.

    Few keys are ranked without a branch, as there.
    """
    number, keys = world.schedulers[scheduler].decisions, world.keys
    first = world.first[scheduler]
    count = world.stop[scheduler] - first
    for column in range(0, count, 4):
        words = philox(scheduler, number, column // 4, ORDER, settings.seed, settings.replication)
        for word in range(min(4, count - column)):
            keys[column + word] = (words[word] << uint64(32)) | uint64(column + word)
    if count <= RANKED:
        for column in range(count):
            rank = 0
            for other in range(count):
                rank += keys[other] < keys[column]
            world.order[first + rank] = column
    else:
        _sort(keys, count)
        for column in range(count):
            world.order[first + column] = np.int64(keys[column] & uint64(0xFFFFFFFF))


@njit(**INLINED)
def _sort(keys, count):  # type: ignore[no-untyped-def]
    """Sort the first keys by Shell's algorithm: it takes no room."""
    gap = 1
    while 3 * gap + 1 < count:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, count):
            key = keys[i]
            k = i
            while k >= gap and keys[k - gap] > key:
                keys[k] = keys[k - gap]
                k -= gap
            keys[k] = key
        gap //= 3


@njit(**INLINED)
def _decide(rule, answers, world, settings, table, scheduler, time, is_needed):  # type: ignore[no-untyped-def]
    """Make a decision; return whether it was made: False if an answer is missing, and nothing was changed."""
    me, tally = world.schedulers[scheduler], world.tally
    if is_needed or table.all_count:
        start = tally[ANSWERED]
        if start < 0:
            start = _answer(rule, answers, world, table, scheduler)
        if start < 0:
            tally[ASKED], world.asked_at[0] = scheduler, time
            return False
        tally[ANSWERED] = -1
        me.start = start
        if len(world.decided) > 0:
            world.decided[scheduler] = time
        take_up(rule, answers, world, settings, scheduler)
    me.age_at_decisions += others_of(world, settings, scheduler) * time - me.sampled
    me.decisions += 1
    tally[DECISIONS] += 1
    return True


@njit(**INLINED)
def _is_due(decision, time, is_included):  # type: ignore[no-untyped-def]
    return decision < time or (is_included and decision == time)


@njit(**INLINED)
def decide(rule, answers, world, settings, table, scheduler, time, is_included, is_needed):  # type: ignore[no-untyped-def]
    """Make a scheduler's decisions before `time`, or then; return whether all were made.

    `is_needed` says whether what is decided last holds for a job, or has to be told.
    """
    me = world.schedulers[scheduler]
    if me.heard != NEVER:
        _add_up(world, settings, scheduler)
        if not (settings.has_clock or _decide(rule, answers, world, settings, table, scheduler, me.heard, is_needed)):
            return False
        me.heard = NEVER
    while settings.has_clock and _is_due(world.next_decision[scheduler], time, is_included):
        phase, period = world.decision_phase[scheduler], world.decision_period[scheduler]
        following = phase + world.tick[scheduler] * period
        rest = settings.horizon - following
        if not (rest > 0.0 and rest >= SHORTEST_EPOCH * period):
            following = np.inf
        is_last = not _is_due(following, time, is_included)
        now = world.next_decision[scheduler]
        if not _decide(rule, answers, world, settings, table, scheduler, now, is_needed and is_last):
            return False
        world.next_decision[scheduler] = following
        world.tick[scheduler] += 1
    return True


@njit(**INLINED)
def hear(rule, answers, world, settings, table, scheduler, time):  # type: ignore[no-untyped-def]
    """Let a scheduler make its decisions before what it knows changes; return whether all were made.

    Those at this instant come after all deliveries. By its own clock the last one holds on, else another one follows.
    """
    me = world.schedulers[scheduler]
    if me.heard == time:
        return True
    if not decide(rule, answers, world, settings, table, scheduler, time, False, settings.has_clock):
        return False
    me.age_over_time += _age_over(others_of(world, settings, scheduler), me.sampled, me.since, time)
    me.since = me.heard = time
    return True
