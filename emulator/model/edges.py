"""Edges that somebody gives, in a list or in a file: read, and refused unless they make a simple graph."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dispatchers.errors import one_line
from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.model.access import Floats, Integers
from emulator.model.topologies.kind import check_size

LARGEST_FILE = 2**30
"""Bytes of a file of edges."""


def simple_edges(edges: ArrayLike | Sequence[Sequence[int]], nodes: int | None) -> tuple[Integers, int]:
    """Return edges as an array of pairs, and how many nodes there are; see `edge_list`. Raises `InputError`."""
    pairs = np.asarray(edges)
    if pairs.size == 0:
        pairs = np.empty((0, 2), dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InputError("edges must be pairs of whole numbers >= 0")
    pairs = pairs.astype(np.int64)
    if nodes is None and len(pairs) == 0:
        raise InputError("an edge list without edges needs nodes: to say how many there are")
    count = int(pairs.max()) + 1 if nodes is None else nodes
    check_size(count)
    _refuse(pairs, ((pairs < 0) | (pairs >= count)).any(axis=1), f"must have nodes from 0 to {count - 1}")
    _refuse(pairs, (pairs[:, :1] == pairs[:, 1:]).any(axis=1), "is a loop, and a node must not be its own neighbour")
    codes = pairs.min(axis=1) * count + pairs.max(axis=1)
    _refuse(pairs, _is_repeated(codes), "stands twice, and double edges are not allowed")
    if nodes is None:
        missing = np.flatnonzero(np.bincount(pairs.ravel(), minlength=count) == 0)
        if len(missing):
            raise InputError(
                f"node {missing[0]} is in no edge, though the largest is {count - 1}: "
                "a hole, unless nodes: says that isolated nodes are meant"
            )
    return pairs, count


def entries(pairs: ArrayLike | Sequence[Sequence[int]], servers: int | None) -> tuple[Integers, int, int]:
    """Return (scheduler, server) pairs as an array, and how many there are of both; see `edge_list`.

    Raises `InputError`.
    """
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InputError("edges must be pairs of whole numbers >= 0, a scheduler and a server, and at least one")
    pairs = pairs.astype(np.int64)
    counts = [int(most) + 1 for most in pairs.max(axis=0)]
    schedulers, count = counts[0], counts[1] if servers is None else servers
    for number in (schedulers, count):
        check_size(number)
    is_wrong = (pairs < 0).any(axis=1) | (pairs[:, 1] >= count)
    _refuse(pairs, is_wrong, f"must have servers from 0 to {count - 1}")
    _refuse(pairs, _is_repeated(pairs[:, 0] * count + pairs[:, 1]), "stands twice, and double edges are not allowed")
    for column, number, noun in ((0, schedulers, "scheduler"), (1, counts[1] if servers is None else 0, "server")):
        missing = np.flatnonzero(np.bincount(pairs[:, column], minlength=number)[:number] == 0)
        if len(missing):
            hint = "" if column == 0 else ", unless servers: says that some are for nobody"
            raise InputError(f"{noun} {missing[0]} is in no edge, though the largest is {number - 1}: a hole{hint}")
    return pairs, schedulers, count


def read_edges(path: str | Path) -> Integers:
    """Read edges, two columns of whole numbers, from a CSV file with or without a line of names at its top."""
    return read_lengths(path)[0]


def read_lengths(path: str | Path) -> tuple[Integers, Floats | None]:
    """Read edges as `read_edges` does, and how long they are, ms, if a third column is called latency.

    Where columns are called scheduler and server, these are the first and the second, wherever they stand.
    """
    path = Path(path)
    try:
        lines = read_regular(path, LARGEST_FILE).decode("utf-8-sig").splitlines(keepends=True)
        rows = [(number, row) for number, row in enumerate(csv.reader(lines, strict=True), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read as a CSV file of edges: {reason}") from None
    names: list[str] = []
    if rows and not any(re.match(r"\s*[-+.]?\d", cell) for cell in rows[0][1]):
        names, rows = [cell.strip().lower() for cell in rows[0][1]], rows[1:]
    order = [names.index(name) for name in ("scheduler", "server", "latency") if name in names]
    if "scheduler" in names and "server" in names and len(names) == len(order):
        rows = [(number, [row[place] for place in order] if len(row) == len(order) else row) for number, row in rows]
    has_lengths = len(names) == 3 and "latency" in names
    edges = np.empty((len(rows), 2), dtype=np.int64)
    lengths = np.empty(len(rows))
    for place, (number, row) in enumerate(rows):
        try:
            source, target = (re.fullmatch(r"\s*([0-9]{1,18})\s*", cell, re.ASCII) for cell in _ends(row, has_lengths))
            edges[place] = int(source[1]), int(target[1])  # type: ignore[index]
        except (ValueError, TypeError):
            got = one_line(repr(",".join(row)), 60)
            raise InputError(f"{path}:{number}: must be two whole numbers >= 0, got {got}") from None
        if has_lengths:
            lengths[place] = _length(row[2], path, number)
    return edges, lengths if has_lengths else None


def _ends(row: list[str], has_length: bool) -> list[str]:
    return row[:2] if has_length and len(row) == 3 else row


def _length(cell: str, path: Path, number: int) -> float:
    try:
        length = float(cell)
    except ValueError:
        length = -1.0
    if not 0.0 <= length < np.inf:
        raise InputError(f"{path}:{number}: latency must be a number >= 0 (ms), got {one_line(repr(cell), 60)}")
    return length


def _is_repeated(codes: Integers) -> Any:
    """Return which numbers stand before."""
    first = np.zeros(len(codes), dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return ~first


def _refuse(edges: Integers, wrong: Any, why: str) -> None:
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(f"edge {place} [{edges[place, 0]}, {edges[place, 1]}] {why}")
