"""The fates of jobs as kernels write them down, and in the order of a trace."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.engines.episode import JobTrace

Indices = NDArray[np.int32]
Floats = NDArray[np.float64]


class JobRows(NamedTuple):
    """The fates of a window's jobs, in the order in which they were served; see `emulator.engines.episode.JobTrace`."""

    scheduler: Indices
    number: Indices
    server: Indices
    arrival_time: Floats
    start_time: Floats
    departure_time: Floats
    work: Floats
    queue_length_at_arrival: Indices
    outcome: NDArray[np.int8]


def empty_rows(count: int) -> JobRows:
    """Return room for the fates of so many jobs."""
    whole, real = np.int32, np.float64
    columns: list[Any] = [whole, whole, whole, real, real, real, real, whole, np.int8]
    return JobRows(*(np.empty(count, dtype=dtype) for dtype in columns))


def in_job_order(epoch: int, rows: list[JobRows], born: Indices) -> JobTrace:
    """Return an epoch's jobs by scheduler and then time, given how many were born at each scheduler."""
    columns = {name: np.concatenate([getattr(row, name) for row in rows]) for name in JobRows._fields}
    first = np.cumsum(born, dtype=np.int64) - born
    place = first[columns["scheduler"]] + columns.pop("number")
    ordered = {}
    for name, column in columns.items():
        ordered[name] = np.empty_like(column)
        ordered[name][place] = column
    arrived = ordered["arrival_time"]
    alike = np.zeros(len(place), dtype=np.int32)
    return JobTrace(
        epoch=np.full(len(place), epoch, dtype=np.int32), reached_time=arrived, **ordered, class_=alike, attempt=alike
    )
