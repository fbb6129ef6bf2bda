"""What of a run is finished, or has failed: finished episodes are kept, and only the others are run.

Finished episodes stand in the results folder, in episodes.parquet once a run has ended and until then in a journal
beside the staged traces: a line for each, written when its traces are whole. Whatever ends a run, the journal is good
up to its last full line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.columns import TRACES
from emulator.results.folder import EPISODES_FILE, ResultsFolder
from emulator.results.measures import compact
from emulator.results.reader import Results
from emulator.runs.identity import Identity, difference
from emulator.runs.tasks import Cell, Cells, Row, Task

JOURNAL_FILE = "journal.jsonl"

LARGEST_JOURNAL = 2**36
"""Bytes; a million episodes have less than a hundredth of that."""


class Failure(NamedTuple):
    """The first replication of a cell that has failed, and why."""

    replication: int
    error: Exception


class Journal:
    """The finished episodes of a run: those found in its folder, and those that are added; and the cells that fail.

    Raises `InputError` if the folder holds results of another identity, unless a fresh start is asked for.
    """

    def __init__(self, folder: ResultsFolder, identity: Identity, cells: Cells, *, fresh: bool = False):
        self.folder = folder
        self.identity = identity
        self.cells = cells
        self.path = folder.staging / JOURNAL_FILE
        self.rows: dict[Task, Row] = {}
        """Those that the run asks for, and those beyond its replications, which are kept."""
        self.failures: dict[Cell, Failure] = {}
        self._file: IO[bytes] | None = None
        if fresh:
            folder.clear_staging()
            return
        known = {_texts(cell.keys, cell.keys): cell for row in cells for cell in row}
        names = list(cells[0][0].keys)
        for row in [*self._published(), *self._journaled()]:
            cell, replication = known.get(_texts(row, names)), row.get("replication")
            if cell is None or not isinstance(replication, int):
                continue
            task = Task(cell, replication)
            if self._has_traces(task) and _has_measures(task, row):
                self.rows[task] = row

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the journal open: it starts with the identity and what was found."""
        with whole_file(self.path) as file:
            for line in ({"identity": self.identity}, *self.rows.values()):
                file.write(_line(line))
        with self.path.open("ab") as self._file:
            yield

    def add(self, task: Task, row: Row) -> None:
        """Note a finished episode, whose traces are written. Raises `InputError` if that cannot be done."""
        assert self._file is not None
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

    def trace_files(self, tasks: Iterable[Task]) -> set[str]:
        """Return the names of the trace files that belong to some episodes, with their folder."""
        return {
            f"{kind}/{task.part}"
            for task in tasks
            for kind in TRACES
            if task.replication < getattr(task.cell.scenario.trace, kind)
        }

    def _has_traces(self, task: Task) -> bool:
        places = (self.folder.staging, self.folder.path)
        return all(any((place / name).is_file() for place in places) for name in self.trace_files([task]))

    def _published(self) -> Iterator[Row]:
        """Yield the rows of episodes.parquet."""
        if not (self.folder.path / EPISODES_FILE).exists():
            return
        results = Results(self.folder.path)
        try:
            found = results.identity
        except InputError as error:
            raise self._refusal(str(error)) from None
        self._check(found)
        yield from results.rows

    def _journaled(self) -> Iterator[Row]:
        """Yield the rows of an unfinished run's journal up to the first line that is not whole."""
        if not self.path.exists():
            return
        try:
            content = read_regular(self.path, LARGEST_JOURNAL)
        except OSError as error:
            raise self._refusal(f"{self.folder.path}: {self.path} cannot be read: {error.strerror}") from None
        for number, line in enumerate(content.split(b"\n")[:-1]):
            try:
                entry = json.loads(line)
            except ValueError:
                return
            if not isinstance(entry, dict):
                return
            if number == 0:
                self._check(entry.get("identity"))
            else:
                yield compact(entry)

    def _check(self, found: Any) -> None:
        """Raise `InputError` if results in the folder have another identity."""
        other = difference(found, self.identity) if isinstance(found, dict) else "results of unknown origin"
        if other is not None:
            raise self._refusal(f"{self.folder.path}: it holds {other}")

    def _refusal(self, why: str) -> InputError:
        return InputError(f"output folder {why}; choose another --out, or --fresh to start over")


def _has_measures(task: Task, row: Row) -> bool:
    """Return whether an episode has all the measures that its scenario asks for; it may have more."""
    return row.get("measures") == "all" or not task.cell.scenario.measuring().needs_census


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, default=lambda value: value.tolist()).encode() + b"\n"


def _texts(row: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in names)
