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
from emulator.model.access import Integers
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
    first = np.zeros(len(pairs), dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    _refuse(pairs, ~first, "stands twice, and double edges are not allowed")
    if nodes is None:
        missing = np.flatnonzero(np.bincount(pairs.ravel(), minlength=count) == 0)
        if len(missing):
            raise InputError(
                f"node {missing[0]} is in no edge, though the largest is {count - 1}: "
                "a hole, unless nodes: says that isolated nodes are meant"
            )
    return pairs, count


def read_edges(path: str | Path) -> Integers:
    """Read edges, two columns of whole numbers, from a CSV file with or without a line of names at its top."""
    path = Path(path)
    try:
        lines = read_regular(path, LARGEST_FILE).decode("utf-8-sig").splitlines(keepends=True)
        rows = [(number, row) for number, row in enumerate(csv.reader(lines, strict=True), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read as a CSV file of edges: {reason}") from None
    if rows and not any(re.match(r"\s*[-+.]?\d", cell) for cell in rows[0][1]):
        rows = rows[1:]
    edges = np.empty((len(rows), 2), dtype=np.int64)
    for place, (number, row) in enumerate(rows):
        try:
            source, target = (re.fullmatch(r"\s*([0-9]{1,18})\s*", cell, re.ASCII) for cell in row)
            edges[place] = int(source[1]), int(target[1])  # type: ignore[index]
        except (ValueError, TypeError):
            got = one_line(repr(",".join(row)), 60)
            raise InputError(f"{path}:{number}: must be two whole numbers >= 0, got {got}") from None
    return edges


def _refuse(edges: Integers, wrong: Any, why: str) -> None:
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(f"edge {place} [{edges[place, 0]}, {edges[place, 1]}] {why}")
