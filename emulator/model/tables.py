"""Columns of tables in files: CSV, JSON lines or Parquet, gzipped or not; all bad lines are told together."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatchers.errors import describe, one_line
from dispatchers.files import read_regular
from emulator.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST_FILE = 2**31
"""Bytes of a file, and of what is in it if it is gzipped."""

TOLD = 20
"""Lines, or runs of them, that are told of each thing that is wrong."""

_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s*(?:Z|UTC|([+-])(\d\d):?(\d\d))?"
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class Table(NamedTuple):
    """The rows of a file, as they stand there."""

    names: list[str]
    lines: list[int]
    """The line at which each row stands, or, in Parquet, its number from 1 on."""
    columns: list[list[Any]]
    """The cells of each column: texts, or numbers where the file says so, or None where there is nothing."""


class Stamps(NamedTuple):
    """When something happened."""

    times: Floats
    """Since the earliest: ms if these are dates, else in a unit that the file does not say."""
    are_dates: bool


def read_numbers(path: str, names: Sequence[str]) -> list[Floats]:
    """Read columns of numbers >= 0. Raises `InputError`."""
    return list(read_columns(path, tuple(names))[1])


def read_columns(
    path: str, numbers: tuple[str, ...] = (), stamp: str | None = None, text: str | None = None
) -> tuple[Stamps | None, list[Floats], Integers | None]:
    """Read a column of times, columns of numbers >= 0, and hashes of a column of anything. Raises `InputError`."""
    modified = os.path.getmtime(path) if os.path.isfile(path) else 0.0
    return _read_once(path, modified, numbers, stamp, text)


@lru_cache(maxsize=8)
def _read_once(
    path: str, modified: float, numbers: tuple[str, ...], stamp: str | None, text: str | None
) -> tuple[Stamps | None, list[Floats], Integers | None]:
    """Read a file only once as long as its time stays `modified`: every point of a sweep and every replication asks."""
    named = [name for name in (stamp, *numbers, text) if name is not None]
    try:
        table, problems = _table(path, named)
    except InputError as error:
        raise InputError(f"{path}{error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a parser's own, of any kind
        raise InputError(f"{path}: cannot be read as a table: {one_line(describe(error), 200)}") from None
    missing = [name for name in named if name not in table.names]
    if missing:
        has = one_line(", ".join(table.names), 200) or "none"
        raise InputError(f"{path}: has no column {', '.join(missing)}; its columns are {has}")
    cells = {name: table.columns[table.names.index(name)] for name in named}
    stamps = None if stamp is None else _stamps(cells[stamp], stamp, problems)
    values = [_numbers(cells[name], name, problems) for name in numbers]
    if problems.found:
        raise InputError(f"{path}{problems.told(table.lines)}")
    if not table.lines:
        raise InputError(f"{path}: has no rows")
    return stamps, values, None if text is None else _hashes(cells[text])


class Problems:
    """What is wrong with the rows of a table."""

    def __init__(self) -> None:
        self.found: dict[str, list[tuple[int, str]]] = {}
        """By what is demanded, the rows and what stands there."""

    def add(self, demand: str, row: int, got: str) -> None:
        """Note a row, by its number in the table."""
        self.found.setdefault(demand, []).append((row, got))

    def told(self, lines: Sequence[int]) -> str:
        """Return all of it in one line, to stand behind the file's name: the first line, and then runs of them."""
        rows = {row for wrong in self.found.values() for row, _ in wrong}
        parts = []
        for demand, wrong in self.found.items():
            first = f", got {one_line(wrong[0][1], 40)}" if wrong[0][1] else ""
            others = f" (and lines {_runs([lines[row] for row, _ in wrong[1:]])})" if wrong[1:] else ""
            parts.append(f"line {lines[wrong[0][0]]}: {demand}{first}{others}")
        count = f"{len(rows):,} bad lines: " if len(rows) > 1 else ""
        return f":{lines[min(rows)]}: {count}{'; '.join(parts)}" if count else f":{parts[0].removeprefix('line ')}"


def _runs(lines: Sequence[int]) -> str:
    """Return lines as a text, those in a row as one: 3, 7 to 12."""
    starts = [lines[0], *(line for before, line in pairwise(lines) if line != before + 1)]
    ends = [*(before for before, line in pairwise(lines) if line != before + 1), lines[-1]]
    runs = [f"{start}" if start == end else f"{start} to {end}" for start, end in zip(starts, ends, strict=True)]
    others = f" and {len(runs) - TOLD:,} more" if len(runs) > TOLD else ""
    return ", ".join(runs[:TOLD]) + others


def _table(path: str, named: Sequence[str]) -> tuple[Table, Problems]:
    data = read_regular(Path(path), LARGEST_FILE)
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data)
    problems = Problems()
    if data[:4] == b"PAR1":
        return _parquet(data, named), problems
    text = data.decode("utf-8-sig")
    return (_json_lines if text.lstrip()[:1] == "{" else _csv)(text, named, problems), problems


def _unpacked(data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = file.read(LARGEST_FILE + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f": cannot be unpacked: {error}") from None
    if len(unpacked) > LARGEST_FILE:
        raise InputError(f": holds more than {LARGEST_FILE} bytes, the most that is read")
    return unpacked


def _csv(text: str, named: Sequence[str], problems: Problems) -> Table:
    """Read a table whose first line has the names; cells are apart by commas, or by tabs or semicolons if that has."""
    first = text.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = [name.strip() for name in next(reader, [])]
    wanted = [names.index(name) for name in names if name in named]
    lines: list[int] = []
    rows: list[list[str | None]] = []
    for row in reader:
        if not row:
            continue
        if len(row) != len(names):
            problems.add(f"must have {len(names)} cells", len(lines), f"{len(row)}")
            row = [""] * len(names)
        lines.append(reader.line_num)
        rows.append([row[place].strip() or None for place in wanted])
    columns: Iterator[Any] = zip(*rows, strict=True) if rows else iter([[]] * len(wanted))
    of_wanted = dict(zip(wanted, map(list, columns), strict=True))
    return Table(names, lines, [of_wanted.get(place, []) for place in range(len(names))])


def _json_lines(text: str, named: Sequence[str], problems: Problems) -> Table:
    names: dict[str, None] = {}
    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            problems.add("must be a JSON object", len(lines), repr(line))
            row = {}
        names |= dict.fromkeys(row)
        lines.append(number)
        rows.append(row)
    return Table([*names], lines, [[row.get(name) for row in rows] if name in named else [] for name in names])


def _parquet(data: bytes, named: Sequence[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    names = file.schema_arrow.names
    table = file.read(columns=[name for name in names if name in named])
    columns = []
    for name in names:
        column = table.column(name) if name in named else None
        if column is not None and pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns")).cast(pa.string())
        columns.append([] if column is None else column.to_pylist())
    return Table(names, list(range(1, table.num_rows + 1)), columns)


def _each(cells: Sequence[Any], read: Callable[[Any], Any], demand: str, problems: Problems) -> list[Any]:
    """Return what is read of each cell; `read` returns None for what it cannot take."""
    values = [read(cell) for cell in cells]
    broken = {row for wrong in problems.found.values() for row, _ in wrong}  # the whole row, which is told
    for row, value in enumerate(values):
        if value is None and row not in broken:
            problems.add(demand, row, "nothing" if cells[row] is None else repr(cells[row]))
    return values


def _numbers(cells: Sequence[Any], name: str, problems: Problems) -> Floats:
    values = _each(cells, _not_negative, f"{name} must be a number >= 0", problems)
    return np.array([0.0 if value is None else value for value in values])


def _not_negative(cell: Any) -> float | None:
    value = _number(cell)
    return None if value is None or not 0 <= value < 1e300 else float(value)


def _number(cell: Any) -> int | float | None:
    """Return a number, a whole one as such, for floats are coarse beyond 2**53."""
    if isinstance(cell, str) and _NUMBER.fullmatch(cell):
        return int(cell) if cell.lstrip("+-").isdigit() else float(cell)
    if isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell):
        return cell
    return None


def _stamps(cells: Sequence[Any], name: str, problems: Problems) -> Stamps:
    """Return times since the earliest; the first row says whether they are dates or numbers."""
    known = (cell for cell in cells if cell is not None)
    are_dates = any(_date(cell) is not None for cell in [next(known, None)])
    noun = "a date" if are_dates else "a number or a date"
    values = _each(cells, _date if are_dates else _number, f"{name} must be {noun}", problems)
    there = [value for value in values if value is not None]
    earliest = min(there, default=0)
    return Stamps(
        np.array([0.0 if value is None else float(value - earliest) for value in values])
        * (1e-6 if are_dates else 1.0),
        are_dates,
    )


def _date(cell: Any) -> int | None:
    """Return a date, ns since the year 1; without a time zone it is UTC."""
    match = _DATE.fullmatch(cell) if isinstance(cell, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return None
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return None
    seconds = ((days * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    if sign is not None:
        seconds -= (1 if sign == "+" else -1) * (int(zone_hours) * 60 + int(zone_minutes)) * 60
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def _hashes(cells: Sequence[Any]) -> Integers:
    """Return 48 bits for each cell, equal for what is written equally: the same of any kind of file."""
    import hashlib

    texts = ["" if cell is None else str(cell) for cell in cells]
    hashed = {text: int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") for text in set(texts)}
    return np.array([hashed[text] for text in texts], dtype=np.int64)
