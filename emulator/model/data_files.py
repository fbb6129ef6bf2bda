"""Columns of files of data as people have them: CSV, lines of JSON, or Parquet, gzipped or not."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from dispatchers.errors import describe, one_line
from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.text import show

LARGEST_FILE = 2**30
"""Bytes of a file of data, unpacked."""

MOST_ROWS = 20_000_000
"""Rows of a file of data."""

MOST_TOLD = 5
"""Bad lines that are told by their numbers."""

JSON_ENDINGS = {".jsonl", ".ndjson", ".json"}


@dataclass(frozen=True)
class Columns:
    """Some columns of a file."""

    path: str
    lines: Sequence[int]
    """Of each row its line in the file, counted from 1; of Parquet its row."""
    cells: dict[str, Sequence[Any]]
    """By column, the cell of each row: text in CSV, else as the file has it; None where a row has none."""

    def numbers(self, column: str, allowed: str, is_allowed: Callable[[float], bool]) -> NDArray[np.float64]:
        """Return a column's numbers; `InputError` tells which lines hold none, or one that is not allowed."""
        return self.values(column, f"must be {allowed}", lambda cell: _number(cell, is_allowed))

    def values(self, column: str, rule: str, value_of: Callable[[Any], float | None]) -> NDArray[np.float64]:
        """Return what `value_of` makes of each cell of a column; `InputError` tells all lines of which it is None."""
        found = [value_of(cell) for cell in self.cells[column]]
        wrong = [place for place, value in enumerate(found) if value is None]
        if wrong:
            place = wrong[0]
            others = ", ".join(str(self.lines[each]) for each in wrong[1 : MOST_TOLD + 1])
            others += ", ..." if len(wrong) > MOST_TOLD + 1 else ""
            more = f" (and {len(wrong) - 1} more bad line{'s' * (len(wrong) > 2)}: {others})" if others else ""
            cell = self.cells[column][place]
            got = (
                "nothing" if cell is None or cell == "" else one_line(cell, 60) if isinstance(cell, str) else show(cell)
            )
            raise InputError(f"{self.path}:{self.lines[place]}: {column} {rule}, got {got}{more}")
        return np.array(found, dtype=np.float64)


def read_columns(path: str | Path, columns: Sequence[str] | None = None) -> Columns:
    """Read columns of a file by their names, or the only one that it has. Raises `InputError`.

    A CSV file has names in its first line, but one of numbers alone may do without; commas, semicolons or tabs part
    them. Of JSON each line is an object.
    """
    try:
        content = read_regular(path, LARGEST_FILE)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(content, path)
    if content.startswith(b"PAR1"):
        return _parquet(path, content, columns)
    endings = {ending.lower() for ending in Path(path).suffixes}
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be UTF-8, Parquet or gzipped, got a byte {content[error.start]:#x}") from None
    return (_json if endings & JSON_ENDINGS else _csv)(path, lines, columns)


def _unpacked(content: bytes, path: str | Path) -> bytes:
    """Unpack a gzipped file, of several parts, too, and never more of it than is allowed."""
    parts, size = [], 0
    try:
        while content:
            stream = zlib.decompressobj(wbits=31)
            parts.append(stream.decompress(content, LARGEST_FILE + 1 - size))
            size += len(parts[-1])
            if size > LARGEST_FILE:
                raise InputError(f"{path}: must hold at most {LARGEST_FILE} bytes when it is unpacked")
            if not stream.eof:
                raise InputError(f"{path}: cannot be unpacked: it ends too early")
            content = stream.unused_data
    except zlib.error as error:
        raise InputError(f"{path}: cannot be unpacked: {error}") from None
    return b"".join(parts)


def _csv(path: str | Path, lines: list[str], columns: Sequence[str] | None) -> Columns:
    top = lines[0] if lines else ""
    delimiter = max(",;\t", key=top.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    places: list[int] = []
    try:
        for row in reader:
            if row and not (len(row) == 1 and not row[0].strip()):
                rows.append(row)
                places.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is not CSV: {error}") from None
    has_names = bool(rows) and not all(_number(cell, lambda value: True) is not None for cell in rows[0])
    names = [cell.strip() for cell in rows[0]] if has_names else []
    if has_names:
        rows, places = rows[1:], places[1:]
    if not names and rows and (columns or len(rows[0]) > 1):
        raise InputError(f"{path}:{places[0]}: must have names of columns in its first line, got {show(rows[0])}")
    chosen = _chosen(path, names or ["value"], columns)
    _check_rows(path, len(rows))
    cells: dict[str, Sequence[Any]] = {}
    for name in chosen:
        place = names.index(name) if names else 0
        cells[name] = [row[place] if place < len(row) else None for row in rows]
    return Columns(str(path), places, cells)


def _json(path: str | Path, lines: list[str], columns: Sequence[str] | None) -> Columns:
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: is not JSON: {one_line(str(error), 80)}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number}: must be an object, got {show(row)}")
        rows.append(row)
        places.append(number)
    chosen = _chosen(path, list(dict.fromkeys(name for row in rows[:1000] for name in row)), columns)
    _check_rows(path, len(rows))
    return Columns(str(path), places, {name: [row.get(name) for row in rows] for name in chosen})


def _parquet(path: str | Path, content: bytes, columns: Sequence[str] | None) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        chosen = _chosen(path, file.schema_arrow.names, columns)
        _check_rows(path, file.metadata.num_rows)
        table = file.read(columns=chosen)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {describe(error)}") from None
    return Columns(str(path), range(1, table.num_rows + 1), {name: table.column(name).to_pylist() for name in chosen})


def _chosen(path: str | Path, names: list[str], columns: Sequence[str] | None) -> list[str]:
    """Return the names of the columns that are wanted."""
    if columns is None:
        if len(names) != 1:
            _refuse(path, f"has {len(names)} columns, so one must be named: {', '.join(names)}")
        return names
    for column in columns:
        if column not in names:
            _refuse(path, f"has no column {column}; its columns are {', '.join(names)}")
        if names.count(column) > 1:
            _refuse(path, f"has {names.count(column)} columns {column}")
    return list(columns)


def _check_rows(path: str | Path, rows: int) -> None:
    if not 1 <= rows <= MOST_ROWS:
        _refuse(path, f"must have from 1 to {MOST_ROWS} rows, got {rows}")


def _refuse(path: str | Path, told: str) -> NoReturn:
    raise InputError(f"{path}: {one_line(told, 300)}")


def _number(cell: Any, is_allowed: Callable[[float], bool]) -> float | None:
    """Return a cell as a finite number, None if it is none or not allowed."""
    if isinstance(cell, str):
        # Python's float takes more than people call a number: 1_000, nan, infinity.
        if not re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", cell, re.ASCII):
            return None
        cell = float(cell)
    elif isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    value = float(cell) if abs(cell) < 1e308 else float("inf")
    return value if abs(value) < float("inf") and is_allowed(value) else None
