"""What is measured of an episode: a column of the episodes each, and how it follows from the episode.

A new measure is an entry in `MEASURES`: the tables, their documentation, the summary with its intervals, the picture,
the table on the terminal and the precision at which a run stops have it from there.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa

from emulator.engines.account import Account
from emulator.engines.episode import Episode
from emulator.engines.histogram import Histogram, sparse
from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.model.system import System
from emulator.results.column import COUNT, INDEX, NUMBER, Column
from emulator.scenario.scenario import Scenario
from emulator.text import show

DISCOUNT = 0.99
"""Gamma of section 1.3.2, per epoch."""

REFERENCE_TIME = 50.0
"""Drops are scaled to this many ms, as in section 3."""

DROPS = f"jobs per queue and {REFERENCE_TIME:g} ms"
"""The unit of drops."""

NUMBERS, INDICES, COUNTS = pa.list_(NUMBER), pa.list_(INDEX), pa.list_(COUNT)
"""The types of columns that hold several numbers of an episode."""

_ASKED = "unless measures: all, warmup or batches ask for it"
"""When a column holds nothing that costs time."""

Times = Literal["sojourn", "waiting"]
"""What there are histograms of: `sojourn_bins` and `sojourn_counts` hold those of sojourn times, and so on."""


HISTOGRAMS = {
    f"{times}_{what}": kind
    for times in get_args(Times)
    for what, kind in (("bins", ("i", np.int32)), ("counts", ("q", np.int64)))
}
"""The columns of the histograms, and what their numbers are in memory: there may be a million episodes."""


class Measure(NamedTuple):
    """One number of an episode."""

    column: Column
    of: Callable[[Episode, System], Any]
    mean: Column | None = None
    """The column of the summary that has its mean over the replications, if there is one."""
    label: str = ""
    """What an axis calls it, without its unit; its name if not given."""
    short: str = ""
    """What it may be called beside its name; those with one are named where another word is refused."""
    weight: str = ""
    """Of a ratio, the column of the episodes that holds what is divided by: the summary then divides the sums."""
    quantile: tuple[Times, float] | None = None
    """Of a quantile, whose, and which share lies below it: the summary then merges the histograms."""
    most: float = np.inf
    """The largest value that it can have."""
    is_of_account: bool = True
    """Whether it follows from an account, so that each batch has it, too."""
    is_on_request: bool = False
    """Whether only `measures: all`, `warmup` or `batches` give it."""

    @property
    def name(self) -> str:
        """What it is called: as its column."""
        return self.column.name

    @property
    def title(self) -> str:
        """What it is called along an axis, with its unit."""
        unit = self.column.unit
        return self.label or (self.name if unit in ("1", "none") else f"{self.name} ({unit})")


class Names(NamedTuple):
    """The columns of the summary that are about a measure."""

    value: str
    low: str
    high: str
    difference: str
    difference_low: str
    difference_high: str
    lag_one: str


def names_of(measure: Measure) -> Names:
    """Return the names of a measure's columns in the summary; those of the drops are older than the others."""
    if measure.name == "drops_per_queue":
        return Names("mean_drops", "ci_low", "ci_high", "difference", *_ENDS, "mean_drops_lag_one")
    assert measure.mean is not None
    name = measure.mean.name
    ends = [f"{name}_{end}" for end in ("low", "high", "difference", *_ENDS, "lag_one")]
    return Names(name, *ends)


_ENDS = ("difference_low", "difference_high")


def drops_per_queue(episode: Episode, system: System) -> float:
    """Return the dropped jobs per server, scaled to `REFERENCE_TIME`."""
    account = episode.account
    return account.drops * REFERENCE_TIME / account.span / system.servers


def discounted_drops(episode: Episode, system: System) -> float:
    """Return the drops of each epoch per server, discounted and added up: -J of section 1.3.2."""
    by_epoch = episode.account.drops_by_epoch
    return float(np.sum(DISCOUNT ** np.arange(len(by_epoch)) * by_epoch)) / system.servers


def mean_sojourn_time(episode: Episode, system: System) -> float:
    """Return the mean time of completed jobs from arrival to departure, NaN if there were none."""
    return _share(episode.account.sojourn_time, episode.account.completions)


def mean_queue_length(episode: Episode, system: System) -> float:
    """Return the mean over servers and time of the jobs in a server."""
    return episode.account.presence_time / episode.account.span / system.servers


def loss_probability(episode: Episode, system: System) -> float:
    """Return the share of jobs that will never be completed, NaN if there were no jobs."""
    return _share(episode.account.losses, episode.account.arrivals)


def mean_waiting_time(episode: Episode, system: System) -> float:
    """Return the mean time of completed jobs from reaching their server to the start of service."""
    waiting_time = episode.account.waiting_time
    return np.nan if waiting_time is None else _share(waiting_time, episode.account.completions)


def utilisation(episode: Episode, system: System) -> float:
    """Return the share of time in which servers served, those of a node counted each for itself."""
    return episode.account.busy_time / episode.account.span / (system.servers * system.station.servers)


def herding(episode: Episode, system: System) -> float:
    """Return the variance over servers of the jobs that they receive in an epoch, over the mean; NaN for one server.

    The mean over the epochs in which there were any. It is 1 if each job is sent to a server at random.
    """
    received, servers = episode.account.received, system.servers
    some = received.jobs > 0
    if servers < 2 or not some.any():
        return np.nan
    mean = received.jobs[some] / servers
    variance = (received.squares[some] - received.jobs[some] * mean) / (servers - 1)
    return float(np.mean(variance / mean))


def messages_per_job(episode: Episode, system: System) -> float:
    """Return the messages of the episode for each job of it."""
    return _share(episode.totals.mail.sent, episode.totals.arrivals)


def energy(episode: Episode, system: System) -> float:
    """Return what all servers took, mJ; NaN if nobody has said what a server takes."""
    account, power = episode.account, system.measuring.power
    if power is None:
        return np.nan
    each = system.station.servers
    down_time = account.down_time * each
    idle_time = account.span * system.servers * each - account.busy_time - down_time
    return power.busy * account.busy_time + power.idle * idle_time + power.down * down_time


def energy_per_job(episode: Episode, system: System) -> float:
    """Return what all servers took for each completed job, mJ."""
    return _share(energy(episode, system), episode.account.completions)


def jain(shares: np.ndarray) -> float:
    """Return Jain's index of fairness: 1 if all shares are alike, 1 / n if one of n has all; NaN without any.

    (Sum of x)**2 / (n * sum of x**2): R. Jain, D.-M. Chiu, W. Hawe, DEC-TR-301, 1984.
    """
    squares = float((shares**2).sum())
    return float(shares.sum()) ** 2 / (len(shares) * squares) if squares > 0.0 else np.nan


def fairness_of_service(episode: Episode, system: System) -> float:
    """Return Jain's index over schedulers of the share of their jobs that is not lost."""
    schedulers = episode.account.schedulers
    if schedulers is None:
        return np.nan
    some = schedulers.jobs > 0
    return jain(1.0 - schedulers.lost[some] / schedulers.jobs[some])


def fairness_of_sojourn_times(episode: Episode, system: System) -> float:
    """Return Jain's index over schedulers of the mean sojourn time of their completed jobs."""
    schedulers = episode.account.schedulers
    if schedulers is None:
        return np.nan
    some = schedulers.completed > 0
    return jain(schedulers.sojourn_time[some] / schedulers.completed[some])


def time_shares(episode: Episode, system: System) -> list[float] | None:
    """Return the share of time that servers spent at each queue length, from 0 to the buffer."""
    spent = episode.account.time_at_length
    return None if spent is None else (spent / spent.sum()).tolist()


def _share(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _quantile(times: Times, share: float, episode: Episode, system: System) -> float:
    counts = getattr(episode.account, f"{times}_counts")
    return np.nan if counts is None else Histogram(*sparse(counts)).quantile(share)


def _quantiles(times: Times, *, is_on_request: bool) -> tuple[Measure, ...]:
    """Return the quantiles of a kind of times."""
    found = []
    for word, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)):
        name = f"{word.replace('.', '')}_{times}_time"
        meaning = f"time below which {100 * share:g} % of the {times} times of completed jobs lie"
        found.append(
            Measure(
                Column(name, NUMBER, "ms", f"{meaning}; null {_ASKED if is_on_request else 'if none'}", nullable=True),
                partial(_quantile, times, share),
                Column(name, NUMBER, "ms", f"{meaning}, of all replications together", nullable=True),
                label=f"{word} of the {times} time (ms)",
                short=word if times == "sojourn" else f"{times}_{word}",
                quantile=(times, share),
                is_on_request=is_on_request,
            )
        )
    return tuple(found)


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
        ("age_of_knowledge", "age", "time", lambda totals: totals.ages.over_time),
        ("age_at_decisions", "", "decisions", lambda totals: totals.ages.at_decisions),
        ("age_at_jobs", "", "arriving jobs", lambda totals: totals.ages.at_jobs),
    )
    told = "mean over {} of the time since what a scheduler knows of another server was so; null if there is none"

    def measure(column: Column, of: Callable[[Any], Any], short: str = "") -> Measure:
        mean = Column(
            f"mean_{column.name}", NUMBER, column.unit, f"mean of the episodes' {column.name}", column.nullable
        )
        return Measure(column, lambda episode, system: of(episode.totals), mean, short=short, is_of_account=False)

    return (
        *(measure(Column(name, COUNT, unit, meaning), of) for name, unit, meaning, of in counts),
        *(
            measure(Column(name, NUMBER, "ms", told.format(over), nullable=True), of, short)
            for name, short, over, of in ages
        ),
    )


def _count(name: str, meaning: str) -> Measure:
    return Measure(Column(name, COUNT, "jobs", meaning), lambda episode, system: getattr(episode.account, name))


def _ratio(
    of: Callable[[Episode, System], Any],
    unit: str,
    meaning: str,
    weight: str,
    *,
    null: str,
    label: str = "",
    short: str = "",
    **more: Any,
) -> Measure:
    """Return a measure named like its function, whose summary divides the sums over all replications."""
    name = getattr(of, "__name__")  # noqa: B009 (of a Callable, mypy knows no name)
    column = Column(name, NUMBER, unit, f"{meaning}; null {null}", nullable=True)
    mean = column._replace(description=f"{meaning}, of all replications together; null {null}")
    return Measure(column, of, mean, label=label, short=short, weight=weight, **more)


def _mean(of: Callable[[Episode, System], Any], unit: str, meaning: str, *, null: str = "", **more: Any) -> Measure:
    """Return a measure named like its function, whose summary has the mean over the replications."""
    name = getattr(of, "__name__")  # noqa: B009
    column = Column(name, NUMBER, unit, meaning + (f"; null {null}" if null else ""), nullable=bool(null))
    return Measure(column, of, column._replace(description=f"mean of the episodes' {name}"), **more)


FIRST = (
    _count("arrivals", "jobs that arrived by the horizon"),
    _count("completions", "jobs completed by the horizon"),
    _count("drops", "jobs dropped by the horizon"),
    _count("refused", "jobs that servers refused because they were down"),
    _count("lost", "jobs that servers lost when they failed"),
    _count("gave_up", "jobs that gave up because they had to wait too long"),
    Measure(
        Column("retries", COUNT, "jobs", "arrivals that are further attempts of a job"),
        lambda episode, system: episode.totals.retries,
        is_of_account=False,
    ),
    Measure(
        Column("drops_per_queue", NUMBER, DROPS, "dropped jobs per server, scaled to 50 ms"),
        drops_per_queue,
        Column("mean_drops", NUMBER, DROPS, "mean of drops_per_queue over the replications"),
        label=f"dropped {DROPS}",
        short="drops",
    ),
    Measure(
        Column(
            "discounted_drops",
            NUMBER,
            "jobs per queue",
            "sum over epochs of the dropped jobs per server, discounted by 0.99 per epoch (J of section 1.3.2)",
        ),
        discounted_drops,
        Column("mean_discounted_drops", NUMBER, "jobs per queue", "mean of discounted_drops"),
        label="discounted drops per queue",
        short="discounted",
        is_of_account=False,
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
        label="mean sojourn time (ms)",
        short="sojourn",
    ),
    Measure(
        Column("mean_queue_length", NUMBER, "jobs", "mean over servers and time of the jobs in a server"),
        mean_queue_length,
        Column("mean_queue_length", NUMBER, "jobs", "mean of the episodes' mean_queue_length"),
        label="mean queue length (jobs)",
        short="length",
    ),
    *_of_messages(),
)
"""Those whose columns stand before the fingerprint of an episode; all others stand behind it."""

MEASURES = (
    *FIRST,
    _ratio(
        loss_probability,
        "1",
        "share of jobs that will never be completed: dropped, refused, lost or gone",
        "arrivals",
        null="if there were no jobs",
        label="share of jobs lost",
        short="loss",
        most=1.0,
    ),
    _mean(
        utilisation, "1", "share of time in which servers served", label="utilisation", short="utilisation", most=1.0
    ),
    _mean(
        herding,
        "1",
        "variance over mean of the jobs that servers receive in an epoch, mean over epochs: 1 if sent at random",
        null="with one server or no jobs",
        label="herding: variance over mean of the jobs that servers receive in an epoch",
        short="herding",
    ),
    _ratio(
        messages_per_job,
        "messages per job",
        "messages sent for each job",
        "arrivals",
        null="if there were no jobs",
        label="messages per job",
        is_of_account=False,
    ),
    _mean(
        energy,
        "mJ",
        "what all servers took",
        null="unless power says what a server takes",
        label="energy (mJ)",
        short="energy",
    ),
    _ratio(
        energy_per_job,
        "mJ per job",
        "what all servers took for each completed job",
        "completions",
        null="without power or completed jobs",
        label="energy per completed job (mJ)",
    ),
    *_quantiles("sojourn", is_on_request=False),
    _ratio(
        mean_waiting_time,
        "ms",
        "mean time of completed jobs from reaching their server to the start of service",
        "completions",
        null=_ASKED,
        label="mean waiting time (ms)",
        short="waiting",
        is_on_request=True,
    ),
    *_quantiles("waiting", is_on_request=True),
    _mean(
        fairness_of_service,
        "1",
        "Jain's index over schedulers of the share of their jobs that is not lost",
        null=_ASKED,
        label="fairness of service (Jain)",
        short="fairness",
        most=1.0,
        is_of_account=False,
        is_on_request=True,
    ),
    _mean(
        fairness_of_sojourn_times,
        "1",
        "Jain's index over schedulers of the mean sojourn time of their completed jobs",
        null=_ASKED,
        label="fairness of sojourn times (Jain)",
        most=1.0,
        is_of_account=False,
        is_on_request=True,
    ),
)
"""All that is measured, in the order of the columns."""

SHOWN = tuple(measure for measure in MEASURES if measure.mean is not None)
"""Those that have an interval, and that a table, a picture or a precision may be asked for."""

TIME_SHARES = Measure(
    Column(
        "time_shares",
        NUMBERS,
        "1",
        f"share of time that servers spent at each queue length, from 0 to the buffer; null {_ASKED}",
        nullable=True,
    ),
    time_shares,
    Column("time_shares", NUMBERS, "1", "means of the episodes' time_shares", nullable=True),
    most=1.0,
    is_on_request=True,
)
"""The only measure of which there are several numbers."""


def names_of_all() -> str:
    """Return the names of all measures with an interval, with short ones in brackets."""
    return ", ".join(
        measure.name if measure.short in ("", measure.name) else f"{measure.name} ({measure.short})"
        for measure in SHOWN
    )


def measure_named(word: str) -> Measure:
    """Return the measure of a name or a short name. Raises `InputError` with those of which most is asked."""
    found = next((measure for measure in SHOWN if word in (measure.name, measure.short) and word), None)
    if found is None:
        usual = ", ".join(measure.short for measure in SHOWN if measure.short)
        raise InputError(f"must be {usual} or another measure that --help names, got {show(word, 30)}")
    return found


def measure_asked(word: str, key: str, scenario: Scenario) -> Measure:
    """Return the measure that a scenario's key names. Raises `ScenarioError` if the scenario does not have it."""
    try:
        measure = measure_named(word)
    except InputError as error:
        raise ScenarioError(key, str(error)) from None
    if measure.is_on_request and not scenario.measuring().needs_census:
        raise ScenarioError(key, f"needs measures: all beside it, for it costs time, got {word}")
    if measure.name.startswith("energy") and scenario.power is None:
        raise ScenarioError(key, f"needs power, which says what a server takes, got {word}")
    return measure


def batch_values(episode: Episode, system: System, batch: Account) -> dict[str, Any]:
    """Return what `values_of` does, of a batch of an episode."""
    return values_of(replace(episode, account=batch), system, only_of_account=True)


def values_of(episode: Episode, system: System, *, only_of_account: bool = False) -> dict[str, Any]:
    """Return the measures of an episode by name, None for what it does not have, and its histograms."""
    some = [measure for measure in MEASURES if measure.is_of_account or not only_of_account]
    values = {measure.name: measure.of(episode, system) for measure in (*some, TIME_SHARES)}
    return {name: None if value != value else value for name, value in values.items()} | histograms(episode.account)


def histograms(account: Account) -> dict[str, Any]:
    """Return the histograms of an account, by the names of their columns."""
    columns: dict[str, Any] = {}
    for times in ("sojourn", "waiting"):
        counts = getattr(account, f"{times}_counts")
        columns[f"{times}_bins"], columns[f"{times}_counts"] = (None, None) if counts is None else sparse(counts)
    return compact(columns)


def compact(row: dict[str, Any]) -> dict[str, Any]:
    """Return an episode, or a batch, whose histograms take little room: arrays that compare like lists."""
    for name, (code, dtype) in HISTOGRAMS.items():
        if (values := row.get(name)) is not None and not isinstance(values, array):
            row[name] = array(code, np.asarray(values, dtype=dtype).tobytes())
    if row.get("batches") is not None:
        row["batches"] = [compact(batch) for batch in row["batches"]]
    return row
