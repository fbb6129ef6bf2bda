"""The fates of traced jobs: written down in order of time, and told by epoch, scheduler and number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from emulator.engines.episode import JobTrace


class Rows(NamedTuple):
    """The fates of jobs, in the order in which they arrive; see `emulator.engines.episode.JobTrace`."""

    scheduler: Any
    number: Any
    epoch: Any
    server: Any
    arrival_time: Any
    reached_time: Any
    start_time: Any
    departure_time: Any
    work: Any
    queue_length_at_arrival: Any
    outcome: Any
    class_: Any
    attempt: Any


def empty_rows(count: int) -> Rows:
    """Return room for the fates of so many jobs."""
    whole, real = np.int32, np.float64
    columns: list[Any] = [whole] * 4 + [real] * 5 + [whole, np.int8] + [whole] * 2
    return Rows(*(np.zeros(count, dtype=dtype) for dtype in columns))


def longer(rows: Rows, count: int, room: int) -> Rows:
    """Return the same rows, of which so many are filled, with room for more."""
    more = empty_rows(room)
    for old, new in zip(rows, more, strict=True):
        new[:count] = old[:count]
    return more


def first(rows: Rows, count: int) -> Rows:
    """Return so many of the rows."""
    return Rows(*(column[:count] for column in rows))


def in_job_order(rows: Rows, count: int, *, at_once: bool) -> JobTrace:
    """Return the first rows by epoch, then scheduler, then number; `at_once` if all reach their servers on arrival."""
    columns = {name: column[:count] for name, column in rows._asdict().items()}
    order = np.lexsort((columns.pop("number"), columns["scheduler"], columns["epoch"]))
    columns = {name: column[order] for name, column in columns.items()}
    if at_once:
        columns["reached_time"] = columns["arrival_time"]
    return JobTrace(**columns)
