"""What is measured of an episode: a column of the episodes each, and how it follows from the episode.

A new measure is an entry in `MEASURES`: the tables, their documentation and the summary have it from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from emulator.engines.episode import Episode, Totals
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


def _of_servers() -> tuple[Measure, ...]:
    """Return what is counted of jobs that end in another way than by a departure or a full buffer."""
    counts = (
        ("refused", "jobs that servers refused because they were down", lambda totals: totals.refused),
        ("lost", "jobs that servers lost when they failed", lambda totals: totals.lost),
        ("gave_up", "jobs that gave up because they had to wait too long", lambda totals: totals.gave_up),
        ("retries", "arrivals that are further attempts of a job", lambda totals: totals.retries),
    )

    def measure(column: Column, of: Callable[[Totals], Any]) -> Measure:
        return Measure(column, lambda episode, system: of(episode.totals))

    return tuple(measure(Column(name, COUNT, "jobs", meaning), of) for name, meaning, of in counts)


def _of_messages() -> tuple[Measure, ...]:
    """Return what is measured of messages and decisions, and of the age of knowledge."""
    counts = (
        ("messages", "messages", "messages sent", lambda totals: totals.mail.sent),
        ("messages_lost", "messages", "messages lost on their way", lambda totals: totals.mail.lost),
        (
            "messages_ignored",
            "messages",
            "messages received that were older than what was known",
            lambda totals: totals.mail.ignored,
        ),
        ("message_bytes", "bytes", "bytes of all messages sent", lambda totals: totals.mail.bytes_sent),
        ("decisions", "decisions", "decisions of all schedulers", lambda totals: totals.decisions),
    )
    ages = (
        ("age_of_knowledge", "time", lambda totals: totals.ages.over_time),
        ("age_at_decisions", "decisions", lambda totals: totals.ages.at_decisions),
        ("age_at_jobs", "arriving jobs", lambda totals: totals.ages.at_jobs),
    )
    told = "mean over {} of the time since what a scheduler knows of another server was so; null if there is none"

    def measure(column: Column, of: Callable[[Totals], Any]) -> Measure:
        mean = Column(
            f"mean_{column.name}", NUMBER, column.unit, f"mean of the episodes' {column.name}", column.nullable
        )
        return Measure(column, lambda episode, system: of(episode.totals), mean)

    return (
        *(measure(Column(name, COUNT, unit, meaning), of) for name, unit, meaning, of in counts),
        *(measure(Column(name, NUMBER, "ms", told.format(over), nullable=True), of) for name, over, of in ages),
    )


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
    *_of_servers(),
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
    *_of_messages(),
)
"""All that is measured, in the order of the columns."""
