"""Every column of every table of results, said once: name, type, unit, meaning.

The writers of Parquet files, the metadata of their fields, the documentation and `emulator.results.reader` follow from
`TABLES`. Times in ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from emulator.engines.episode import FATES, OUTCOMES
from emulator.results.column import COUNT, FLOATING, INDEX, NUMBER, RUNNING, TEXT, Column
from emulator.results.measures import (
    COUNTS,
    FIRST,
    INDICES,
    MEASURES,
    SHOWN,
    TIME_SHARES,
    Measure,
    measure_named,
    names_of,
)
from emulator.scenario.options import OPTION
from emulator.text import UNITS

_DISPATCHER = Column("dispatcher", TEXT, "none", "dispatcher, as the scenario calls it")
_DELTA_T = Column("delta_t", NUMBER, "ms", "time between broadcasts")
_REPLICATION = Column("replication", INDEX, "none", "number of the replication, from 0")

_SYSTEM = (
    Column("scenario", TEXT, "none", "name of the scenario"),
    Column("topology", TEXT, "none", "kind of the topology"),
    Column("nodes", INDEX, "none", "nodes, each a scheduler and a server; of two sets the larger number"),
    Column("schedulers", INDEX, "none", "schedulers, at which jobs arrive"),
    Column("servers", INDEX, "none", "servers, each with a queue"),
    _DISPATCHER,
    Column("information", TEXT, "none", "what the dispatcher may know"),
    _DELTA_T,
)
_EPISODE = (_REPLICATION, _DISPATCHER, _DELTA_T)
"""What tells an episode from the others, in each row of its traces."""

_SAMPLES = tuple(
    Column(f"{times}_{what}", type_, unit, f"{meaning} {times} times of completed jobs{null}", nullable=bool(null))
    for times, null in (("sojourn", ""), ("waiting", "; null unless measures: all, warmup or batches ask for it"))
    for what, type_, unit, meaning in (
        ("bins", INDICES, "none", "bins that hold some of the"),
        ("counts", COUNTS, "jobs", "how many each of these bins holds of the"),
    )
)
"""The histograms: a bin is the upper 18 bits of a time's float."""

_BATCH = (*(measure.column for measure in MEASURES if measure.is_of_account), TIME_SHARES.column, *_SAMPLES)
"""What is told of each batch of an episode."""

EPISODES = (
    *_SYSTEM,
    _REPLICATION,
    Column("seed", COUNT, "none", "seed of the scenario"),
    Column("topology_hash", TEXT, "none", "SHA-256 of the graph; equal ones stand for equal graphs"),
    Column("engine", TEXT, "none", "engine that emulated the episode"),
    *(measure.column for measure in FIRST),
    Column("cell", TEXT, "none", "16 hexadecimal digits; equal ones stand for equal systems and dispatchers"),
    Column("fingerprint", TEXT, "none", "16 hexadecimal digits; equal ones stand for equal trajectories"),
    *(measure.column for measure in MEASURES[len(FIRST) :]),
    Column("measured_time", NUMBER, "ms", "time that is measured: the horizon less the warm-up"),
    Column("measures", TEXT, "none", "all, if the scenario asked for what costs more; else usual"),
    TIME_SHARES.column,
    *_SAMPLES,
    Column(
        "batches",
        pa.list_(pa.struct([(column.name, column.type) for column in _BATCH])),
        "none",
        "the same measures of each batch, by their names; null without batches",
        nullable=True,
    ),
)

_WHEN_NULL = "null with one replication, or if all are alike"


def _about(measure: Measure) -> tuple[Column, ...]:
    """Return the columns of the summary that are about a measure: its value, its intervals, its correlation."""
    assert measure.mean is not None
    names, (_, type_, unit, _, _, _) = names_of(measure), measure.mean
    base = "drops_per_queue" if measure.name == "drops_per_queue" else names.value
    of_losses = measure.name in ("drops_per_queue", "loss_probability")
    zero, three = ("; 0 if no job was lost", "; 3 / jobs seen if none was lost") if of_losses else ("", "")
    told = {
        names.low: f"lower end of the 95 % interval of {base}{zero}; {_WHEN_NULL}",
        names.high: f"upper end of the 95 % interval of {base}{three}; {_WHEN_NULL}",
        names.difference: f"{base} less that of the scenario's first dispatcher in the same replications",
        names.difference_low: f"lower end of the 95 % interval of the difference in {base}; {_WHEN_NULL}",
        names.difference_high: f"upper end of the 95 % interval of the difference in {base}; {_WHEN_NULL}",
        names.lag_one: f"correlation of {base} in a batch and the next one; null without batches",
    }
    *ends, lag_one = (Column(name, type_, unit, meaning, nullable=True) for name, meaning in told.items())
    return (measure.mean, *ends, lag_one._replace(type=NUMBER, unit="1"))


_DROPS = {column.name: column for column in _about(measure_named("drops_per_queue"))}

SUMMARY = (
    *_SYSTEM,
    *(_DROPS[name] for name in ("mean_drops", "ci_low", "ci_high")),
    Column("replications", INDEX, "replications", "replications that this row is about"),
    *(_DROPS[name] for name in ("difference", "difference_low", "difference_high")),
    Column("drop_probability", NUMBER, "1", "share of all arrivals that was dropped", nullable=True),
    *(measure.mean for measure in FIRST if measure.mean is not None and measure.mean.name not in _DROPS),
    _DROPS["mean_drops_lag_one"],
    *(column for measure in FIRST if measure in SHOWN[1:] for column in _about(measure)[1:]),
    *(column for measure in SHOWN if measure not in FIRST for column in _about(measure)),
    *_about(TIME_SHARES),
    Column("batches", INDEX, "none", "batches that the intervals are made from; null if these are replications", True),
)

JOBS = (
    *_EPISODE,
    Column("job", COUNT, "none", "number of the job: by epoch, then scheduler, then arrival time", encoding=RUNNING),
    Column("epoch", INDEX, "none", "epoch in which the job arrived, from 0"),
    Column("scheduler", INDEX, "none", "scheduler at which the job arrived", encoding=RUNNING),
    Column("server", INDEX, "none", "server to which the scheduler sent the job", encoding=RUNNING),
    Column("arrival_time", NUMBER, "ms", "when the job arrived", encoding=FLOATING),
    Column(
        "reached_time",
        NUMBER,
        "ms",
        "when the job reached its server: its arrival time, unless dispatch takes time; null if it did not",
        nullable=True,
        encoding=FLOATING,
    ),
    Column("start_time", NUMBER, "ms", "when its service started; null if it did not by the horizon", True, FLOATING),
    Column("departure_time", NUMBER, "ms", "when it left its server; null if not by the horizon", True, FLOATING),
    Column("work", NUMBER, "1", "work of the job, of mean 1; service takes work / service rate", encoding=FLOATING),
    Column(
        "queue_length_at_arrival",
        INDEX,
        "jobs",
        "jobs that the job met at its server, the one in service included; null if it is on its way",
        nullable=True,
    ),
    Column("outcome", TEXT, "none", f"what became of the job by the horizon: {', '.join(OUTCOMES)}"),
    Column("class", INDEX, "none", "class of the job, by its place in the scenario's list", encoding=RUNNING),
    Column("attempt", INDEX, "none", "how often the job had been tried before", encoding=RUNNING),
)

_NO_SERVER = "null if there are fewer servers"

EPOCHS = (
    *_EPISODE,
    Column("epoch", INDEX, "none", "number of the epoch, from 0"),
    Column("time", NUMBER, "ms", "start of the epoch"),
    Column(
        "arrival_rate",
        NUMBER,
        "1/ms",
        "rate at which jobs arrive at the scheduler, on average over the epoch; null without a scheduler",
        nullable=True,
    ),
    Column("node", INDEX, "none", "index of a server, and of a scheduler", encoding=RUNNING),
    Column("queue_length", INDEX, "jobs", f"queue length of the server at the epoch's start; {_NO_SERVER}", True),
    Column(
        "arrivals", INDEX, "jobs", f"jobs that reached the server in the epoch, dropped ones too; {_NO_SERVER}", True
    ),
    Column("drops", INDEX, "jobs", f"jobs that the server dropped in the epoch; {_NO_SERVER}", True),
    Column(
        "offload_probability",
        NUMBER,
        "1",
        "probability, at the epoch's end, that the scheduler sends a job to another server than its own; under a "
        "per-job rule the share of the epoch's jobs sent there; null without a scheduler, an own server or jobs",
        nullable=True,
    ),
)

_MONITOR = "null if it is the monitor of global state"

MESSAGES = (
    *_EPISODE,
    Column("kind", TEXT, "none", "state of a server, question of a scheduler, answer to one, distribution of lengths"),
    Column("number", INDEX, "none", "which sample of the sender it tells, or which question it is or answers"),
    Column("epoch", INDEX, "none", "epoch in which the message was sent, from 0"),
    Column("sent_time", NUMBER, "ms", "when the message was sent"),
    Column("received_time", NUMBER, "ms", "when the message was received; null if it was not", nullable=True),
    Column("server", INDEX, "none", f"server at one end; {_MONITOR}", True, RUNNING),
    Column("scheduler", INDEX, "none", f"scheduler at the other end; {_MONITOR}", True, RUNNING),
    Column(
        "queue_length",
        INDEX,
        "jobs",
        "queue length of the server when it sent the message; null if none is told",
        nullable=True,
    ),
    Column("age", NUMBER, "ms", "how old its news was when it was received; null if it was not", nullable=True),
    Column("fate", TEXT, "none", f"what became of the message by the horizon: {', '.join(FATES)}"),
)

CELL = "cell"
"""The column that tells what an episode depends on, besides its replication."""

_NO_SCHEDULER = "null if there are fewer schedulers"

NODES = (
    *_EPISODE,
    Column("node", INDEX, "none", "index of a server, and of a scheduler", encoding=RUNNING),
    Column("degree", INDEX, "none", f"servers that the scheduler can access beside its own; {_NO_SCHEDULER}", True),
    Column("sharing", INDEX, "none", f"schedulers that can access the server; {_NO_SERVER}", True),
    Column("x", NUMBER, "1", "place of the node, or its longitude; null if it has none", True, FLOATING),
    Column("y", NUMBER, "1", "place of the node, or its latitude; null if it has none", True, FLOATING),
    Column("service_rate", NUMBER, "1/ms", f"rate of the server; {_NO_SERVER}", True),
    Column("arrivals", COUNT, "jobs", f"jobs that reached the server, dropped ones too; {_NO_SERVER}", True),
    Column("drops", COUNT, "jobs", f"jobs that the server dropped; {_NO_SERVER}", True),
    Column("busy_time", NUMBER, "ms", f"time in which the server served; {_NO_SERVER}", True, FLOATING),
    Column("down_time", NUMBER, "ms", f"time in which the server was down; {_NO_SERVER}", True),
    Column("mean_queue_length", NUMBER, "jobs", f"its jobs, mean over time; {_NO_SERVER}", True, FLOATING),
    Column("jobs", COUNT, "jobs", f"jobs that arrived at the scheduler; {_NO_SCHEDULER}", True),
    Column("lost", COUNT, "jobs", f"those of the scheduler's jobs that will never be completed; {_NO_SCHEDULER}", True),
    Column(
        "mean_sojourn_time",
        NUMBER,
        "ms",
        "mean time from arrival to departure of the scheduler's completed jobs; null if there were none",
        True,
        FLOATING,
    ),
)

TRACES = {"jobs": JOBS, "epochs": EPOCHS, "messages": MESSAGES, "nodes": NODES}
"""The traces of an episode, each in a folder and under a key of the scenario's `trace` of that name."""

TABLES = {"episodes": EPISODES, "summary": SUMMARY, **TRACES}
"""The tables of a run by name: two files, and a folder of files for each kind of trace."""


def with_swept(
    columns: Sequence[Column], values: Mapping[str, Iterable[Any]], swept: Iterable[Column] = ()
) -> list[Column]:
    """Return `columns` with one more, right after `delta_t`, for each key that is not among them yet.

    `values` holds each key's values. Its column is that of `swept`; if there is none, the values decide its type.
    """
    known, given = {column.name for column in columns}, {column.name: column for column in swept}
    swept = [given.get(key) or swept_column(key, some) for key, some in values.items() if key not in known]
    place = next(place for place, column in enumerate(columns, start=1) if column.name == "delta_t")
    return [*columns[:place], *swept, *columns[place:]]


def swept_column(key: str, values: Iterable[Any]) -> Column:
    """Return the column of a swept key, of the type of its values; None says that a dispatcher has no such option."""
    some = list(values)
    try:
        type_ = pa.array([value for value in some if value is not None]).type
    except pa.ArrowException:
        type_ = TEXT
    is_number = pa.types.is_integer(type_) or pa.types.is_floating(type_)
    unit = UNITS.get(key, "1" if is_number else "none")
    meaning = f"value of the scenario's key {key}, which is swept"
    if key.startswith(OPTION):
        meaning = f"value of the dispatcher's option {key.removeprefix(OPTION)}, which is swept; null if it has none"
    return Column(key, type_, unit, meaning, nullable=key.startswith(OPTION))
