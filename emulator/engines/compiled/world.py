"""The world of the ordered engine: all that the walk through an episode reads and writes, as arrays.

An entry is a place in the access relation, of a scheduler and a server. What belongs to one scheduler stands together,
because schedulers are met in an order that no cache foresees. Times in ms, rates per ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.engines.histogram import PLACES
from emulator.model.system import System

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

LINE = 64
"""Bytes that a cache fetches together."""

NEVER = -1.0
"""In the place of an instant that there was not, or that is over."""

SCHEDULER = np.dtype(
    [
        ("heard", np.float64),  # the last instant with a delivery, NEVER if a job has come since
        ("since", np.float64),  # until when ages have been added up
        ("sampled", np.float64),  # the sum of the times at which the others were sampled, as known after `heard`
        ("age_over_time", np.float64),
        ("age_at_decisions", np.float64),
        ("age_at_jobs", np.float64),
        ("first", np.int32),  # its entries are those from here on
        ("stop", np.int32),  # and before this one
        ("start", np.int32),  # where the answer begins that holds since then
        ("decisions", np.int32),  # how many it has made
    ]
)
"""A scheduler, in one line of a cache."""

ENTRY = np.dtype(
    [
        ("sampled", np.float64),  # when what is known was so
        ("known", np.int32),  # the length last received; one more than the buffer if none was and rates differ
        ("server", np.int32),
    ]
)
"""A scheduler and a server that it can access."""

REMEMBERED = np.dtype(
    [
        *ENTRY.descr,
        ("sent_ever", np.int32),  # jobs sent there
        ("sent_before_news", np.int32),  # and those at the news that is known
    ]
)
"""The same if the rule has a memory."""

QUEUE = np.dtype(
    [
        ("service_rate", np.float64),
        ("sojourn_time", np.float64),  # from arrival to departure, added up over the jobs completed by the horizon
        ("received", np.int32),  # jobs that reached it in the present epoch
        ("oldest", np.int16),  # where in its ring of departures the oldest one stands
        ("told", np.int16),  # the length that it told last
    ]
)
"""A server; its last departures, as many as its buffer, stand behind it in memory."""

ON_ITS_WAY = np.dtype(
    [
        ("arrival_time", np.float64),
        ("work", np.float64),
        ("number", np.int64),  # of its scheduler's jobs in the episode
        ("place", np.int64),  # in the rows of traced jobs
        ("patience", np.float64),
        ("scheduler", np.int32),
        ("server", np.int32),
        ("attempt", np.int32),
        ("class_", np.int32),
        ("priority", np.int32),
    ]
)
"""A job between a scheduler and a server."""

(ASKED, PLACE, ANSWERED, UNDER_WAY, COMPLETIONS, DROPS, SENT, RECEIVED, LOST, IGNORED, DECISIONS) = range(11)
GAVE_UP_UNDER_WAY, BUSY = 11, 12
"""What `World.tally` counts, and where a walk was when it had to stop.

The scheduler for which an answer is missing, the place reached among the receivers of a sample or among all schedulers,
and where the answer begins that was missing, -1 if none was; the jobs that are on their way. The ticks in which
servers served.
"""


class NoStations(NamedTuple):
    """In the place of `emulator.engines.compiled.station.Stations`, by type: all servers are FIFO queues."""


class NoFeedback(NamedTuple):
    """In the place of `emulator.engines.compiled.feedback.Feedback`, by type: nobody hears what becomes of jobs."""


class World(NamedTuple):
    """The state of an episode; arrays without a meaning in a network or for a rule are empty."""

    first: Indices
    """Of each scheduler the first of its entries, and the one after the last: a view of `schedulers`."""
    stop: Indices
    servers: Indices
    """Of each entry: a view of records, see `ENTRY`."""
    seen_offsets: Integers
    """The access relation as seen from the servers: schedulers, and entries."""
    receivers: Indices
    entries: Indices

    stations: Any
    """Where servers are more than FIFO queues; if so, what follows of them has no meaning but the lengths told."""
    feedback: Any
    """Where somebody hears what becomes of jobs, see `emulator.engines.compiled.feedback`."""
    departures: Floats
    """Servers x buffer, a ring of the last ones: minus infinity before there were any."""
    queues: Any
    """See `QUEUE`."""
    time_here: Floats
    """The part of the sojourn times since servers were reached, if that is not the same."""
    waiting_time: Floats
    """From reaching the server to the horizon, added up over the accepted jobs that are still there then."""

    schedulers: Any
    """See `SCHEDULER`."""
    known: Indices
    """Of each entry, as are servers."""
    sampled: Floats
    heard_of: Indices
    """Of each scheduler the number of the distribution that it knows, and when it was so."""
    heard_of_time: Floats
    next_decision: Floats
    """By each scheduler's own clock, infinity if there is no more; with number, phase and period of its instants."""
    tick: Integers
    decision_phase: Floats
    decision_period: Floats

    sent: Integers
    """Of each entry: jobs sent there since the news known at the last decision, in all, and in all at that news."""
    sent_ever: Indices
    sent_before_news: Indices
    total_sent: Integers
    """The sum of `sent`, by scheduler, and when it decided last."""
    decided: Floats
    order: Integers
    """The columns as drawn for the last decision."""
    keys: NDArray[np.uint64]
    """Room to draw them."""

    reach_times: Floats
    """A heap: when jobs that are on their way reach their servers; and the places of these in `under_way`, free ones
    behind them."""
    on_their_way: Indices
    under_way: Any
    """See `ON_ITS_WAY`."""

    tally: Integers
    asked_at: Floats
    """When the decision is made for which an answer is missing."""
    fingerprint: NDArray[np.uint64]
    sojourn_counts: Integers
    """See `emulator.engines.histogram`."""


class Settings(NamedTuple):
    """What the walk knows of the system and of the rule."""

    horizon: float
    seed: np.uint64
    replication: np.uint64
    own: int
    """1 if column 0 is a scheduler's own server, else 0."""
    own_is_near: bool
    """Whether jobs reach it at once."""
    difference: int
    keeps_newest: bool
    is_poll: bool
    is_instant: bool
    """Whether broadcasts all arrive at once."""
    has_clock: bool
    """Whether schedulers decide by a clock of their own."""
    has_dispatch: bool
    per_length: float
    """ms of a job's way for each unit of an edge's length."""
    lengths: Floats
    """Of the edges of entries; empty if none is known."""
    is_traced: bool
    ticks_per_ms: float


class Table(NamedTuple):
    """How observations are numbered, and where the answers are; see `emulator.engines.compiled.answers`."""

    first: Integers
    """For each scheduler the number of the first observation of its class; -1 if it is asked at every decision."""
    columns: int
    """How many of its servers are looked at."""
    base: int
    start: Indices
    """Where the answer to each observation begins, -1 if it was not asked."""
    version: Indices
    """Which distribution was known when it was asked; empty if no rule knows any."""
    of_servers: Any
    """What the rule says of a server alone, by its kind and what is known of it: a cost, or a plan (x fields); empty
    unless it says so of each server for itself."""
    kinds: Indices
    """The kind of each entry, times `base`; empty likewise."""
    all_count: bool
    """Whether a decision matters even if no job comes before the next."""


def new_world(system: System, is_per_job: bool) -> World:
    """Return the world at time 0."""
    access, network = system.access, system.network
    schedulers, servers, entries = access.scheduler_count, access.server_count, len(access.servers)
    untold = system.buffer + 1 if (system.service_rates != 1.0).any() else 0
    remembered = entries if is_per_job else 0
    has_clock = network.decisions is not None
    by_scheduler = _aligned(schedulers, SCHEDULER.itemsize).view(SCHEDULER)[:, 0]
    by_scheduler["first"], by_scheduler["stop"] = access.offsets[:-1], access.offsets[1:]
    entry: Any = REMEMBERED if is_per_job else ENTRY
    by_entry = _aligned(entries, entry.itemsize).view(entry)[:, 0]
    by_entry["server"], by_entry["known"] = access.servers, untold
    room = _aligned(servers, QUEUE.itemsize + 8 * system.buffer)
    by_server = room[:, : QUEUE.itemsize].view(QUEUE)[:, 0]
    by_server["service_rate"] = system.service_rates
    departures = room[:, QUEUE.itemsize :].view(np.float64)
    departures[:] = -np.inf
    return World(
        by_scheduler["first"],
        by_scheduler["stop"],
        by_entry["server"],
        access.transpose.offsets,
        access.transpose.servers,
        access.turned.astype(np.int32),
        NoStations(),
        NoFeedback(),
        departures,
        by_server,
        np.zeros(0 if network.dispatch.is_none else servers),
        np.zeros(servers),
        by_scheduler,
        by_entry["known"],
        by_entry["sampled"],
        np.full(schedulers, -1, dtype=np.int32),
        np.zeros(schedulers),
        np.zeros(schedulers if has_clock else 0),
        np.zeros(schedulers if has_clock else 0, dtype=np.int64),
        np.zeros(0),
        np.zeros(0),
        np.zeros(remembered, dtype=np.int64),
        by_entry["sent_ever"] if is_per_job else np.zeros(0, dtype=np.int32),
        by_entry["sent_before_news"] if is_per_job else np.zeros(0, dtype=np.int32),
        np.zeros(schedulers if is_per_job else 0, dtype=np.int64),
        np.zeros(schedulers if is_per_job else 0),
        np.zeros(remembered, dtype=np.int64),
        np.zeros(access.width, dtype=np.uint64),
        np.zeros(0),
        np.zeros(0, dtype=np.int32),
        np.zeros(0, dtype=ON_ITS_WAY),
        np.array([-1, 0, -1, *[0] * 10], dtype=np.int64),
        np.zeros(1),
        np.zeros(1, dtype=np.uint64),
        np.zeros(PLACES, dtype=np.int64),
    )


def _aligned(count: int, size: int) -> NDArray[np.uint8]:
    """Return so many rows of bytes, zeros, none of which lies in more lines of a cache than it has to."""
    room = np.zeros(count * size + LINE, dtype=np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + count * size].reshape(count, size)
