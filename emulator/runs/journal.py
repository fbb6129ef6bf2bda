"""What of a run is finished, or has failed: finished episodes are kept, and only the others are run.

Finished episodes stand in the results folder, in episodes.parquet once a run has ended and until then in a journal
beside the staged traces: a line for each, written when its traces are whole. Whatever ends a run, the journal is good
up to its last full line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.columns import CELL
from emulator.results.folder import ResultsFolder
from emulator.runs.earlier import JOURNAL_FILE, Earlier
from emulator.runs.identity import Identity
from emulator.runs.tasks import Cell, Cells, Row, Task, swept_columns, types_of


class Failure(NamedTuple):
    """The first replication of a cell that has failed, and why."""

    replication: int
    error: Exception


class Journal:
    """The finished episodes of a run: those found in its folder, and those that are added; and the cells that fail.

    Raises `InputError` if the folder holds results that do not belong to the run, unless a fresh start is asked for.
    """

    def __init__(
        self,
        folder: ResultsFolder,
        identity: Identity,
        cells: Cells,
        hashes: Mapping[Cell, str],
        *,
        fresh: bool = False,
    ):
        self.folder = folder
        self.identity = identity
        self.cells = cells
        self.hashes = hashes
        self.swept = swept_columns(cells)
        self.path = folder.staging / JOURNAL_FILE
        self.failures: dict[Cell, Failure] = {}
        self._file: IO[bytes] | None = None
        if fresh:
            folder.clear_staging()
        self.earlier = None if fresh else Earlier(folder, identity, cells, hashes)
        """What was found; None if nobody looked."""
        self.rows: dict[Task, Row] = {} if self.earlier is None else dict(self.earlier.rows)
        """Those that the run asks for, and those beyond its replications, which are kept."""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the journal open: it starts with the identity and what was found."""
        with whole_file(self.path) as file:
            for line in ({"identity": self.identity, "swept": types_of(self.swept)}, *self.rows.values()):
                file.write(_line(line))
        with self.path.open("ab") as self._file:
            yield

    def add(self, task: Task, row: Row) -> None:
        """Note a finished episode, whose traces are written. Raises `InputError` if that cannot be done."""
        assert self._file is not None
        row = {**row, CELL: self.hashes[task.cell]}
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        self.rows[task] = row

    def fail(self, task: Task, error: Exception) -> None:
        """Note an episode that failed; what comes after it in its cell does not count."""
        if self.counts(task):
            self.failures[task.cell] = Failure(task.replication, error)

    def counts(self, task: Task) -> bool:
        """Return whether an episode comes before the first one of its cell that is known to fail."""
        failure = self.failures.get(task.cell)
        return failure is None or task.replication < failure.replication

    def keep_what_counts(self) -> None:
        """Give up the finished episodes that come after one that failed."""
        self.rows = {task: row for task, row in self.rows.items() if self.counts(task)}


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, default=lambda value: value.tolist()).encode() + b"\n"
