"""The records of a trace: when, how much work, by what they are shared out."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.model.tables import read_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Form = tuple[tuple[str, float], ...]
"""Columns and their factors."""


class Records(NamedTuple):
    """What a file says, in order of time."""

    times: Floats
    """Since the first one, ms."""
    cycle: float
    """After which the trace begins anew, ms: its span and one mean gap more."""
    works: Floats
    """How much work each brings, of mean 1; empty if the law of work says it."""
    hashes: Integers
    """48 bits of the column by which records are shared out; empty if they are not."""


def read_records(path: str, time: str, ms: float | None, form: Form, column: str | None, *, is_scaled: bool) -> Records:
    """Read a trace whose column `time` is dates, or numbers of a unit of so many ms. Raises `InputError`.

    `is_scaled` says that no unit is needed, because times are scaled to a rate.
    """
    modified = os.path.getmtime(path) if os.path.isfile(path) else 0.0
    return _read_once(path, modified, time, ms, form, column, is_scaled)


@lru_cache(maxsize=8)
def _read_once(
    path: str, modified: float, time: str, ms: float | None, form: Form, column: str | None, is_scaled: bool
) -> Records:
    """Read a trace only once as long as its time stays `modified`."""
    stamps, numbers, hashes = read_columns(path, tuple(name for name, _ in form), time, column)
    assert stamps is not None
    if stamps.are_dates and ms is not None:
        raise InputError(f"unit must be left out, for {time} of {path} holds dates")
    if not stamps.are_dates and ms is None and not is_scaled:
        raise InputError(f"unit is missing: {time} of {path} holds numbers, of ns, us, ms, s, min or h")
    order = np.argsort(stamps.times, kind="stable")
    times = stamps.times[order] * (1.0 if ms is None else ms)
    if not times[-1] > 0.0:
        raise InputError(f"{path}: must have rows at two times at least, {time} has one")
    works = np.empty(0)
    if form:
        works = np.zeros(len(times))
        for (_, factor), values in zip(form, numbers, strict=True):
            works += factor * values[order]
        mean = float(np.add.accumulate(works)[-1]) / len(works)
        if works.min() < 0.0 or not 0.0 < mean < np.inf:
            told = f"got {works.min():g}" if works.min() < 0.0 else f"got a mean of {mean:g}"
            raise InputError(f"work must be >= 0 in each row of {path}, and not 0 in all, {told}")
        works /= mean
    cycle = float(times[-1]) * len(times) / (len(times) - 1)
    return Records(times, cycle, works, np.empty(0, dtype=np.int64) if hashes is None else hashes[order])
