"""What is measured of an episode: a column of the episodes each, and how it follows from the episode.

A new measure is an entry in `MEASURES`: the tables, their documentation and the summary have it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from emulator.engines.episode import Episode
from emulator.model.system import System
from emulator.results.column import COUNT, NUMBER, Column

DISCOUNT = 0.99
"""Gamma of section 1.3.2, per epoch."""

REFERENCE_TIME = 50.0
"""Drops are scaled to this many ms, as in section 3."""

DROPS = f"jobs per queue and {REFERENCE_TIME:g} ms"
"""The unit of drops."""


class Measure(NamedTuple):
    """One number of an episode."""

    column: Column
    of: Callable[[Episode, System], Any]
    mean: Column | None = None
    """The column of the summary that has its mean over the replications, if there is one."""


def drops_per_queue(episode: Episode, system: System) -> float:
    """Return the dropped jobs per server, scaled to `REFERENCE_TIME`."""
    return episode.totals.drops * REFERENCE_TIME / system.horizon / system.servers


def discounted_drops(episode: Episode, system: System) -> float:
    """Return the drops of each epoch per server, discounted and added up: -J of section 1.3.2."""
    by_epoch = episode.totals.drops_by_epoch
    return float(np.sum(DISCOUNT ** np.arange(len(by_epoch)) * by_epoch)) / system.servers


def mean_sojourn_time(episode: Episode, system: System) -> float:
    """Return the mean time of completed jobs from arrival to departure, NaN if there were none."""
    totals = episode.totals
    return totals.sojourn_time / totals.completions if totals.completions else np.nan


def mean_queue_length(episode: Episode, system: System) -> float:
    """Return the mean over servers and time of the jobs in a server."""
    return episode.totals.presence_time / system.horizon / system.servers


MEASURES = (
    Measure(
        Column("arrivals", COUNT, "jobs", "jobs that arrived by the horizon"),
        lambda episode, system: episode.totals.arrivals,
    ),
    Measure(
        Column("completions", COUNT, "jobs", "jobs completed by the horizon"),
        lambda episode, system: episode.totals.completions,
    ),
    Measure(
        Column("drops", COUNT, "jobs", "jobs dropped by the horizon"),
        lambda episode, system: episode.totals.drops,
    ),
    Measure(Column("drops_per_queue", NUMBER, DROPS, "dropped jobs per server, scaled to 50 ms"), drops_per_queue),
    Measure(
        Column(
            "discounted_drops",
            NUMBER,
            "jobs per queue",
            "sum over epochs of the dropped jobs per server, discounted by 0.99 per epoch (J of section 1.3.2)",
        ),
        discounted_drops,
        Column("mean_discounted_drops", NUMBER, "jobs per queue", "mean of discounted_drops"),
    ),
    Measure(
        Column(
            "mean_sojourn_time",
            NUMBER,
            "ms",
            "mean time from arrival to departure of completed jobs; null if there were none",
            nullable=True,
        ),
        mean_sojourn_time,
        Column("mean_sojourn_time", NUMBER, "ms", "mean of the episodes' mean_sojourn_time", nullable=True),
    ),
    Measure(
        Column("mean_queue_length", NUMBER, "jobs", "mean over servers and time of the jobs in a server"),
        mean_queue_length,
        Column("mean_queue_length", NUMBER, "jobs", "mean of the episodes' mean_queue_length"),
    ),
    Measure(
        Column("messages", COUNT, "messages", "messages received"),
        lambda episode, system: episode.totals.messages,
        Column("mean_messages", NUMBER, "messages", "mean of the episodes' messages"),
    ),
)
"""All that is measured, in the order of the columns."""
