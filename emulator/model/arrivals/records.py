"""The records of a trace: when, how much work, by what they are shared out."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.model.data_files import Columns, Reader, number_reader, read_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Form = tuple[tuple[str, float], ...]
"""Columns and their factors."""

_DATE = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s*(?:Z|UTC|([+-])(\d\d):?(\d\d))?\s*",
    re.ASCII,
)
_WHOLE = re.compile(r"\s*[-+]?\d+\s*", re.ASCII)


class Records(NamedTuple):
    """What a file says, in order of time."""

    times: Floats
    """Since the first one, ms."""
    cycle: float
    """After which the trace begins anew, ms: its span and one mean gap more, or by how much times are spread."""
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
    """Read a trace only once as long as its time stays `modified`: every point of a sweep asks, every replication."""
    names = [time, *(name for name, _ in form), *([] if column is None else [column])]
    columns = read_columns(path, list(dict.fromkeys(names)))
    are_dates = _are_dates(columns.cells[time])
    if are_dates and ms is not None:
        raise ScenarioError("unit", f"must be left out, for {time} of {path} holds dates")
    if not are_dates and ms is None and not is_scaled:
        raise ScenarioError(
            "unit", f"is missing: {time} of {path} holds no dates but numbers of ns, us, ms, s, min or h"
        )
    readers: dict[str, Reader] = {time: ("must be a date", _date) if are_dates else ("must be a number", _number)}
    readers |= {name: number_reader("a number", lambda value: True) for name, _ in form if name != time}
    stamps, *numbers = columns.values(readers)
    earliest = min(stamps)
    times = np.array([float(stamp - earliest) for stamp in stamps]) * (1e-6 if are_dates else ms or 1.0)
    order = np.argsort(times, kind="stable")
    times = times[order]
    if not times[-1] > 0.0:
        raise InputError(f"{path}: must have rows at two times at least, but {time} has one")
    works = _works(columns, form, dict(zip([*readers][1:], numbers, strict=True)) | {time: stamps})
    hashes = np.empty(0, dtype=np.int64) if column is None else _hashes(columns.cells[column])
    cycle = float(times[-1]) * len(times) / (len(times) - 1)
    return Records(times, cycle, works[order] if form else works, hashes if column is None else hashes[order])


def _works(columns: Columns, form: Form, numbers: dict[str, list[Any]]) -> Floats:
    """Return the linear form of columns, divided by its mean; none if there is no form."""
    if not form:
        return np.empty(0)
    works = np.zeros(len(columns.lines))
    for name, factor in form:
        works += factor * np.array(numbers[name], dtype=np.float64)
    wrong = np.flatnonzero(~((works >= 0.0) & (works < np.inf)))
    if len(wrong):
        broken = {int(place): f"work must be >= 0 and finite, got {works[place]:g}" for place in wrong}
        Columns(columns.path, columns.lines, {}, broken).values({})
    mean = float(np.add.accumulate(works)[-1]) / len(works)
    if not 0.0 < mean < np.inf:
        raise InputError(
            f"{columns.path}: work must not be 0 in all rows, or beyond all bounds, got a mean of {mean:g}"
        )
    return works / mean


def _are_dates(cells: Sequence[Any]) -> bool:
    """Return whether times are dates: whether the first one that can be told is one."""
    return next((_date(cell) is not None for cell in cells if (_date(cell), _number(cell)) != (None, None)), False)


def _number(cell: Any) -> int | float | None:
    """Return a number, a whole one as such: floats are coarse beyond 2**53, where clocks count ns since 1970."""
    if isinstance(cell, str) and _WHOLE.fullmatch(cell):
        return int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    read: Callable[[Any], float | None] = number_reader("a number", lambda value: True)[1]
    return read(cell)


def _date(cell: Any) -> int | None:
    """Return a date as ns since the year 1; without a time zone it is UTC."""
    if hasattr(cell, "isoformat"):
        cell = cell.isoformat()
    match = _DATE.fullmatch(cell) if isinstance(cell, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return None
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:  # a leap second
        return None
    seconds = ((days * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    if sign is not None:
        seconds -= (1 if sign == "+" else -1) * (int(zone_hours) * 60 + int(zone_minutes)) * 60
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def _hashes(cells: Sequence[Any]) -> Integers:
    """Return 48 bits for each cell, equal for what is written equally: the same of any format."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    hashed = {text: int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") for text in set(texts)}
    return np.array([hashed[text] for text in texts], dtype=np.int64)
