"""Who hears what becomes of jobs, and sends them again: in the walk, what comes of events that nobody knows beforehand.

Then nodes cannot be left alone until somebody looks: which of them something happens at first is told by a tree of
tournaments. Jobs that will come again stand in a heap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload
from numpy.typing import NDArray

from emulator.engines.compiled.deciding import INLINED
from emulator.engines.compiled.journeys import pop, push
from emulator.engines.compiled.station import NOBODY, happen
from emulator.engines.compiled.world import UNDER_WAY, NoFeedback, NoStations
from emulator.engines.episode import DROPPED, GAVE_UP, LOST_JOB, REFUSED
from emulator.machine.compiling import compiled
from emulator.model.system import System
from emulator.randomness import DISPATCH
from emulator.workload.marks import StationDraws, draw_backoff
from emulator.workload.messages import MessageDraws, drawn_parts

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

REASONS = {"drop": DROPPED, "refuse": REFUSED, "lose": LOST_JOB, "timeout": GAVE_UP}
"""The outcomes after which a job can be tried again."""

COMING, FURTHER, EPOCH = range(3)
"""What `Feedback.tally` counts: jobs that will come again, further attempts that came in this slice; and its epoch."""

BIRTH = np.dtype(
    [
        ("work", np.float64),
        ("coin", np.float64),
        ("patience", np.float64),
        ("number", np.int64),
        ("scheduler", np.int32),
        ("attempt", np.int32),
        ("class_", np.int32),
        ("priority", np.int32),
    ]
)
"""A job that will come again."""


class Feedback(NamedTuple):
    """What is to come because of what has happened."""

    backoffs: Any
    """See `emulator.workload.marks.Backoffs`."""
    dispatch: Any
    """How long jobs take to servers, see `emulator.workload.messages.Transit`."""
    reasons: int
    """Bit k is set if a job with outcome k is tried again."""
    most: int
    horizon: float
    buffer: int
    tree: Indices
    """The nodes stand in its second half; above two the one stands at which something happens first; -1 for none."""
    times: Floats
    """A heap: when jobs come again, and the places of these in `births`, free ones behind them."""
    whose: Indices
    births: Any
    """See `BIRTH`."""
    arrived: Integers
    """How many jobs have arrived at each scheduler, further attempts among them."""
    tally: Integers


def new_feedback(system: System, draws: StationDraws, messages: MessageDraws) -> Feedback:
    """Return what is to come at time 0: nothing."""
    retries, room = system.station.retries, 1
    assert retries is not None
    while room < system.servers:
        room *= 2
    tree = np.full(2 * room, -1, dtype=np.int32)
    tree[room : room + system.servers] = np.arange(system.servers)
    return Feedback(
        backoffs=draws.backoffs,
        dispatch=messages.dispatch,
        reasons=sum(1 << REASONS[reason] for reason in retries.on),
        most=retries.most,
        horizon=float(system.horizon),
        buffer=system.buffer,
        tree=tree,
        times=np.zeros(0),
        whose=np.zeros(0, dtype=np.int32),
        births=np.zeros(0, dtype=BIRTH),
        arrived=np.zeros(system.schedulers, dtype=np.int64),
        tally=np.zeros(3, dtype=np.int64),
    )


def with_room(feedback: Feedback) -> Feedback:
    """Return the same with room for twice as many jobs that will come again."""
    room = len(feedback.times)
    more = room + 64 + 2 * feedback.buffer
    return feedback._replace(
        times=np.append(feedback.times, np.zeros(more)),
        whose=np.append(feedback.whose, np.arange(room, room + more, dtype=np.int32)),
        births=np.append(feedback.births, np.zeros(more, dtype=BIRTH)),
    )


@njit(**INLINED)
def _is_earlier(nodes, one, other):  # type: ignore[no-untyped-def]
    return other < 0 or (one >= 0 and nodes[one].time <= nodes[other].time)


@njit(**INLINED)
def replay(feedback, stations, server):  # type: ignore[no-untyped-def]
    """Let a node, at which something else happens next than before, play its matches again."""
    tree, place = feedback.tree, (len(feedback.tree) // 2 + server) // 2
    while place > 0:
        left, right = tree[2 * place], tree[2 * place + 1]
        tree[place] = left if _is_earlier(stations.nodes, left, right) else right
        place //= 2


@njit(**INLINED)
def _hear(feedback, stations):  # type: ignore[no-untyped-def]
    """Let those who have sent the jobs that have just ended hear it, and try again."""
    for index in range(stations.ended_count[0]):
        one = stations.ended[index]
        if (feedback.reasons >> one.outcome) & 1 == 0 or one.attempt >= feedback.most:
            continue
        attempt = np.int64(one.attempt) + 1
        backoff, coin = draw_backoff(feedback.backoffs, np.int64(one.scheduler), one.number, attempt)
        if not one.time + backoff < feedback.horizon:
            continue
        free = feedback.whose[feedback.tally[COMING]]
        new = feedback.births[free]
        new.work, new.coin, new.patience, new.number = one.work, coin, one.patience, one.number
        new.scheduler, new.attempt, new.class_, new.priority = one.scheduler, attempt, one.class_, one.priority
        push(feedback.times, feedback.whose, feedback.births, feedback.tally[COMING], one.time + backoff, free)
        feedback.tally[COMING] += 1
    stations.ended_count[0] = 0


def happens_next(feedback: Any, stations: Any) -> Any:
    """Return when something happens next at a node by itself, infinity if nobody would hear of it."""


@overload(happens_next, jit_options=INLINED)
def _happens_next(feedback, stations):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, stations: np.inf
    return lambda feedback, stations: stations.nodes[feedback.tree[1]].time


def let_happen(feedback: Any, stations: Any) -> Any:
    """Let happen what happens next at a node by itself."""


@overload(let_happen, jit_options=INLINED)
def _let_happen(feedback, stations):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, stations: None

    def happen_and_be_heard(feedback, stations):  # type: ignore[no-untyped-def]
        server = np.int64(feedback.tree[1])
        happen(stations, server)
        replay(feedback, stations, server)
        _hear(feedback, stations)

    return happen_and_be_heard


def hear_of(feedback: Any, stations: Any, server: Any) -> Any:
    """Hear what has become of jobs at a node that a job has just reached, or not."""


@overload(hear_of, jit_options=INLINED)
def _hear_of(feedback, stations, server):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, stations, server: None

    def hear(feedback, stations, server):  # type: ignore[no-untyped-def]
        replay(feedback, stations, np.int64(server))
        _hear(feedback, stations)

    return hear


def is_short_of_room(feedback: Any, world: Any, settings: Any, jobs: Any, rows: Any, first_row: Any) -> Any:
    """Return whether there may be no room for what happens next."""


@overload(is_short_of_room, jit_options=INLINED)
def _is_short_of_room(feedback, world, settings, jobs, rows, first_row):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, world, settings, jobs, rows, first_row: False

    def is_short(feedback, world, settings, jobs, rows, first_row):  # type: ignore[no-untyped-def]
        if feedback.tally[COMING] + feedback.buffer + 2 > len(feedback.times):
            return True
        if settings.has_dispatch and world.tally[UNDER_WAY] == len(world.under_way):
            return True
        return settings.is_traced and first_row + len(jobs.work) + feedback.tally[FURTHER] == len(rows.server)

    return is_short


def comes_again(feedback: Any, jobs: Any, job: Any, end: Any) -> Any:
    """Return whether a job that comes again arrives before the next one that is new, and before `end`."""


@overload(comes_again, jit_options=INLINED)
def _comes_again(feedback, jobs, job, end):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, jobs, job, end: False

    def is_next(feedback, jobs, job, end):  # type: ignore[no-untyped-def]
        if feedback.tally[COMING] == 0 or not feedback.times[0] < end:
            return False
        if feedback.times[0] != jobs.times[job]:
            return feedback.times[0] < jobs.times[job]
        one = feedback.births[feedback.whose[0]]
        if one.scheduler != jobs.scheduler[job]:
            return one.scheduler < jobs.scheduler[job]
        return one.number < jobs.ever[job]

    return is_next


def arriving(feedback: Any, jobs: Any, job: Any, first_row: Any, again: Any) -> Any:
    """Return (time, scheduler, coin, work, row) of the job that arrives next, which comes again or is new."""


@overload(arriving, jit_options=INLINED)
def _arriving(feedback, jobs, job, first_row, again):  # type: ignore[no-untyped-def]
    def new(feedback, jobs, job, first_row, again):  # type: ignore[no-untyped-def]
        return jobs.times[job], np.int64(jobs.scheduler[job]), jobs.coin[job], jobs.work[job], first_row + job

    def either(feedback, jobs, job, first_row, again):  # type: ignore[no-untyped-def]
        if again:
            one, row = feedback.births[feedback.whose[0]], first_row + len(jobs.work) + feedback.tally[FURTHER]
            return feedback.times[0], np.int64(one.scheduler), one.coin, one.work, row
        return jobs.times[job], np.int64(jobs.scheduler[job]), jobs.coin[job], jobs.work[job], first_row + job

    return new if feedback.instance_class is NoFeedback else either


def way_of(feedback: Any, jobs: Any, job: Any, again: Any) -> Any:
    """Return the parts of the time that the job takes to its server which do not depend on the server."""


@overload(way_of, jit_options=INLINED)
def _way_of(feedback, jobs, job, again):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, jobs, job, again: (jobs.base[job], jobs.jitter[job])

    def either(feedback, jobs, job, again):  # type: ignore[no-untyped-def]
        if not again:
            return jobs.base[job], jobs.jitter[job]
        one = feedback.births[feedback.whose[0]]
        attempt = np.int64(one.attempt)
        base, jitter, _ = drawn_parts(feedback.dispatch, np.int64(one.scheduler), one.number, attempt, DISPATCH)
        return base, jitter

    return either


def marks_of(feedback: Any, stations: Any, jobs: Any, job: Any, again: Any) -> Any:
    """Return (priority, patience, (scheduler, number, attempt, class)) of the job."""


@overload(marks_of, jit_options=INLINED)
def _marks_of(feedback, stations, jobs, job, again):  # type: ignore[no-untyped-def]
    def unmarked(feedback, stations, jobs, job, again):  # type: ignore[no-untyped-def]
        return np.int64(0), np.inf, NOBODY

    def marked(feedback, stations, jobs, job, again):  # type: ignore[no-untyped-def]
        if len(jobs.priority) == 0:
            return np.int64(0), np.inf, NOBODY
        return np.int64(jobs.priority[job]), jobs.patience[job], NOBODY

    def either(feedback, stations, jobs, job, again):  # type: ignore[no-untyped-def]
        if again:
            one = feedback.births[feedback.whose[0]]
            who = np.int64(one.scheduler), one.number, np.int64(one.attempt), np.int64(one.class_)
            return np.int64(one.priority), one.patience, who
        priority, patience, class_ = np.int64(0), np.inf, np.int64(0)
        if len(jobs.priority) > 0:
            priority, patience = np.int64(jobs.priority[job]), jobs.patience[job]
            class_ = np.int64(jobs.class_[job])
        return priority, patience, (np.int64(jobs.scheduler[job]), jobs.ever[job], np.int64(0), class_)

    if stations.instance_class is NoStations:
        return unmarked
    return marked if feedback.instance_class is NoFeedback else either


def number_of(feedback: Any, jobs: Any, job: Any, who: Any) -> Any:
    """Return the number of the job among its scheduler's jobs in the episode."""


@overload(number_of, jit_options=INLINED)
def _number_of(feedback, jobs, job, who):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, jobs, job, who: jobs.ever[job]
    return lambda feedback, jobs, job, who: who[1]


def has_arrived(feedback: Any, settings: Any, rows: Any, row: Any, who: Any, work: Any, again: Any) -> Any:
    """Count a job that arrives, and write down what is not known of it beforehand."""


@overload(has_arrived, jit_options=INLINED)
def _has_arrived(feedback, settings, rows, row, who, work, again):  # type: ignore[no-untyped-def]
    if feedback.instance_class is NoFeedback:
        return lambda feedback, settings, rows, row, who, work, again: None

    def count(feedback, settings, rows, row, who, work, again):  # type: ignore[no-untyped-def]
        scheduler, _, attempt, class_ = who
        if settings.is_traced:
            rows.number[row] = feedback.arrived[scheduler]
            if again:
                rows.scheduler[row], rows.epoch[row] = scheduler, feedback.tally[EPOCH]
                rows.arrival_time[row], rows.work[row] = feedback.times[0], work
                rows.class_[row], rows.attempt[row] = class_, attempt
        feedback.arrived[scheduler] += 1
        if again:
            pop(feedback.times, feedback.whose, feedback.births, feedback.tally[COMING])
            feedback.tally[COMING] -= 1
            feedback.tally[FURTHER] += 1

    return count


@compiled(nogil=True, error_model="numpy", _nrt=False)
def replay_all(feedback, stations):  # type: ignore[no-untyped-def]
    """Let all nodes play all their matches again."""
    tree = feedback.tree
    for place in range(len(tree) // 2 - 1, 0, -1):
        left, right = tree[2 * place], tree[2 * place + 1]
        tree[place] = left if _is_earlier(stations.nodes, left, right) else right
