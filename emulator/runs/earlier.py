"""What earlier runs have left in the folder of a run that belongs to it: finished episodes, and their traces.

They stand in episodes.parquet once a run has ended, and until then in its journal. Episodes of a run that asked for
less are taken for those of this one by their cells' hashes, if all of them belong to it; what tables call them may
have changed, and then their traces are written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dispatchers.files import read_regular
from emulator.engines.auto import obstacle_to
from emulator.engines.engine import REFERENCE
from emulator.errors import InputError
from emulator.results.columns import CELL, EPISODES
from emulator.results.folder import EPISODES_FILE, ResultsFolder, part_name
from emulator.results.measures import compact
from emulator.results.reader import Results
from emulator.results.traces import rewrite
from emulator.runs.check import make_dispatcher
from emulator.runs.identity import Identity, contradiction, difference, is_same
from emulator.runs.tasks import Cell, Cells, Row, Task, swept_columns, types_of
from emulator.text import setting_text

JOURNAL_FILE = "journal.jsonl"

LARGEST_JOURNAL = 2**36
"""Bytes; a million episodes have less than a hundredth of that."""

_ALWAYS = ("replication", "dispatcher", "delta_t")
"""Keys that tell episodes apart in every run, beside those that are swept."""


class _Source(NamedTuple):
    """Where finished episodes were found."""

    identity: Identity
    swept: dict[str, str]
    """The columns of what was swept, and their types."""


class Earlier:
    """The finished episodes that a run finds in its folder.

    Raises `InputError` if the folder holds results that do not belong to the run.
    """

    def __init__(self, folder: ResultsFolder, identity: Identity, cells: Cells, hashes: Mapping[Cell, str]):
        self.folder = folder
        self.identity = identity
        self.swept = swept_columns(cells)
        self.rows: dict[Task, Row] = {}
        """Those that the run asks for, and those beyond its replications, which are kept."""
        self.again: set[Task] = set()
        """Finished episodes that are to be run once more: their traces are missing, or another engine has its turn."""
        self.is_extended = False
        """Whether the folder holds the results of a run that asked for something else."""
        self._has_own_staging = False
        """Whether the traces that are staged are such as this run writes; else they may have other columns."""
        self._engines: dict[tuple[Cell, int], str] = {}
        self._obstacles: dict[Cell, bool] = {}
        self._names = {cell.spec.display for row in cells for cell in row}
        self._former: dict[str, Any] = {}
        """What dispatchers were called that are called otherwise now, by their names."""
        known: dict[str, list[Cell]] = {}
        for cell, value in hashes.items():
            known.setdefault(value, []).append(cell)
        # All belong to the run, or nothing is touched.
        found = [(source, row, self._cell_of(row, known, source)) for source, row in self._found()]
        for source, row, cell in found:
            task = Task(cell, row["replication"])
            if _has_measures(task, row) and self._is_as_now(task, row) and self._has_traces(task, row, source):
                self.rows[task] = self._named(row, task)
            else:
                self.again.add(task)
        self.again -= self.rows.keys()

    def _found(self) -> Iterator[tuple[_Source, Row]]:
        """Yield the episodes in the folder, of an earlier run and then of one that was not finished."""
        if (self.folder.path / EPISODES_FILE).exists():
            results = Results(self.folder.path)
            try:
                identity, swept, rows = results.identity, results.swept, results.rows
            except InputError as error:
                raise self._refusal(str(error)) from None
            source = self._source(identity, swept)
            self.is_extended = not is_same(source.identity, self.identity)
            yield from ((source, row) for row in rows)
        lines = self._journaled()
        first = next(lines, None)
        self._has_own_staging = not any(self.folder.staging.glob("*/*.parquet"))
        if first is not None:
            source = self._source(first.get("identity"), first.get("swept"))
            self._has_own_staging |= source.swept == types_of(self.swept)
            yield from ((source, row) for row in lines)

    def _journaled(self) -> Iterator[Row]:
        """Yield the lines of an unfinished run's journal up to the first one that is not whole."""
        path = self.folder.staging / JOURNAL_FILE
        if not path.exists():
            return
        try:
            content = read_regular(path, LARGEST_JOURNAL)
        except OSError as error:
            raise self._refusal(f"{self.folder.path}: {path} cannot be read: {error.strerror}") from None
        for line in content.split(b"\n")[:-1]:
            try:
                entry = json.loads(line)
            except ValueError:
                return
            if not isinstance(entry, dict):
                return
            yield compact(entry)

    def _source(self, identity: Any, swept: Any) -> _Source:
        """Return where results come from. Raises `InputError` if none of them can belong to the run."""
        told: str | None = "results of unknown origin"
        if _is_of_texts(identity):
            told = contradiction(identity, self.identity) or (None if _is_of_texts(swept) else told)
        if told is not None:
            raise self._refusal(f"{self.folder.path}: it holds {told}")
        return _Source(identity, swept)

    def _cell_of(self, row: Row, known: Mapping[str, list[Cell]], source: _Source) -> Cell:
        """Return the cell of an episode. Raises `InputError` if the run has none.

        A dispatcher that is called otherwise now is the same one if no other is called as it was.
        """
        alike, name = known.get(str(row.get(CELL)), []), row.get("dispatcher")
        cells = [cell for cell in alike if cell.spec.display == name]
        if not cells and name not in self._names:
            cells = [cell for cell in alike if self._former.setdefault(cell.spec.display, name) == name]
        if len(cells) > 1:  # alike in all but what they are called, such as two files of the same content
            cells = [cell for cell in cells if all(row.get(key) == value for key, value in cell.keys.items())] or cells
        if cells and isinstance(row.get("replication"), int):
            return cells[0]
        told = difference(source.identity, self.identity)
        if told is None:
            keys = {key: row.get(key) for key in ("delta_t", *source.swept) if row.get(key) is not None}
            at = ", ".join(map(setting_text, keys, keys.values()))
            told = f"results of {row.get('dispatcher')} at {at}, which the scenario does not ask for"
        raise self._refusal(f"{self.folder.path}: it holds {told}")

    def _is_as_now(self, task: Task, row: Row) -> bool:
        """Return whether the engine emulated an episode that would do so now: engines may be compared elsewhere."""
        kind = task.cell, min(task.replication, max(1, task.cell.scenario.trace.messages))  # see `Cell.kinds`
        if kind not in self._engines:
            self._engines[kind] = task.cell.engines(kind[1])[0]
        engine = row.get("engine")
        return engine == self._engines[kind] or (engine == REFERENCE and self._has_obstacle(task.cell))

    def _has_obstacle(self, cell: Cell) -> bool:
        """Return whether a dispatcher cannot be compiled."""
        if cell not in self._obstacles:
            made = make_dispatcher(cell.point, cell.place[1])
            with made.world:
                self._obstacles[cell] = obstacle_to(made.dispatcher, cell.scenario) is not None
        return self._obstacles[cell]

    def _named(self, row: Row, task: Task) -> Row:
        """Return the row of an episode with what tells it from the others now."""
        kept = {column.name: row.get(column.name) for column in EPISODES}
        return {**kept, "scenario": task.cell.scenario.name, **task.keys}

    def _has_traces(self, task: Task, row: Row, source: _Source) -> bool:
        """Return whether the traces of an episode are there; where its keys were others, they are written anew."""
        keys: dict[str, Any] = {key: row.get(key) for key in (*_ALWAYS, *source.swept)}
        names, places = task.trace_files, (self.folder.staging, self.folder.path)
        if keys == task.keys and source.swept == types_of(self.swept) and self._has_own_staging:
            return all(any((place / name).is_file() for place in places) for name in names)
        before = part_name(keys)

        def is_there(name: str) -> bool:
            files = [place / name for place in places] + [(place / name).with_name(before) for place in places]
            staged = self.folder.staging / name
            found = (rewrite(file, staged, task.keys, self.swept, row["fingerprint"]) for file in files)
            place = next(filter(None, found), None)
            if place != staged:
                staged.unlink(missing_ok=True)  # which would take its place
            return place is not None

        return all(map(is_there, names))

    def _refusal(self, why: str) -> InputError:
        return InputError(f"output folder {why}; choose another --out, or --fresh to start over")


def _has_measures(task: Task, row: Row) -> bool:
    """Return whether an episode has all the measures that its scenario asks for; it may have more."""
    return row.get("measures") == "all" or not task.cell.scenario.measuring().needs_census


def _is_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for pair in value.items() for item in pair)
