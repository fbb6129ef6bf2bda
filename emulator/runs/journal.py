"""What an earlier run left: its finished episodes are kept, and only the others are run.

Finished episodes stand in the results folder, in episodes.parquet once a run has ended and until then in a journal
beside the staged traces: a line for each, written when its traces are whole. Whatever ends a run, the journal is good
up to its last full line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.folder import EPISODES_FILE, TRACE_FOLDERS, ResultsFolder
from emulator.runs.check import Checked, shipped_policies
from emulator.runs.tasks import Row, Task, part_of
from emulator.scenario.plan import Plan, Point
from emulator.version import __version__

JOURNAL_FILE = "journal.jsonl"

LARGEST_JOURNAL = 2**36
"""Bytes; a million episodes have less than a hundredth of that."""

OPENED = "opened "
"""How the names of files begin that a dispatcher has opened without being asked to declare them."""

NOT_COUNTED = ("replications", "precision", "paired_precision", "name", "plot", "training", "folder")
"""Keys that may change from one run to the next in the same results folder."""


def identity_of(plan: Plan, checked: Checked) -> dict[str, str]:
    """Return what episodes depend on, as names and texts: another one means other results.

    Files count by their content, wherever they stand and whatever they are called.
    """
    resolved = {key: value for key, value in plan.resolved().items() if key not in NOT_COUNTED}
    resolved["dispatchers"] = [_without_files(spec, plan.folder) for spec in resolved["dispatchers"]]
    resolved["topology"] = _without_path(resolved["topology"])
    texts = {key: json.dumps(_plain(value), sort_keys=True, default=str) for key, value in resolved.items()}
    files = {f"file {name}": value for name, value in sorted(checked.files.items())}
    opened = {f"{OPENED}{name}": value for name, value in sorted(checked.opened.items())}
    return {**texts, **files, **opened, "version": __version__}


def _without_files(value: Any, folder: Path) -> Any:
    """Return a dispatcher's options in which what names a file only says so."""
    if isinstance(value, dict):
        fixed = {key: value[key] for key in ("name", "class", "label") if key in value}
        return {key: _without_files(item, folder) for key, item in value.items()} | fixed
    if isinstance(value, list):
        return [_without_files(item, folder) for item in value]
    places = (folder, shipped_policies() or folder)
    is_file = isinstance(value, str) and value and any(os.path.isfile(place / value) for place in places)
    return "a file" if is_file else value


def _without_path(topology: Any) -> Any:
    """Return a topology, or several, in which a file of edges only says that it is one."""
    if isinstance(topology, list):
        return [_without_path(item) for item in topology]
    if isinstance(topology, dict) and "path" in topology:
        paths = topology["path"]
        return topology | {"path": ["a file"] * len(paths) if isinstance(paths, list) else "a file"}
    return topology


def _plain(value: Any) -> Any:
    """Return a value in which 5.0 is 5."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Finished:
    """The finished episodes of a plan: those found in a folder, and those that are added.

    Raises `InputError` if the folder holds results of another scenario, unless a fresh start is asked for.
    """

    def __init__(self, plan: Plan, folder: ResultsFolder, checked: Checked, *, fresh: bool = False):
        self.plan = plan
        self.folder = folder
        self.identity = identity_of(plan, checked)
        self.rows: dict[Task, Row] = {}
        """Those that the plan asks for, and those beyond its replications, which are kept."""
        self._file: IO[bytes] | None = None
        if fresh:
            folder.clear_staging()
            return
        cells = {
            _cell_key(point, index): (place, index)
            for place, point in enumerate(plan.points)
            for index in range(len(point.scenario.dispatchers))
        }
        for row in [*self._published(), *self._journaled()]:
            cell, replication = cells.get(_row_key(plan, row)), row.get("replication")
            if cell is not None and isinstance(replication, int):
                task = Task(*cell, replication)
                if self._traces_are_there(task):
                    self.rows[task] = row

    @property
    def journal(self) -> Path:
        """The journal of the run in progress."""
        return self.folder.staging / JOURNAL_FILE

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the journal open: it starts with the identity and what was found."""
        with whole_file(self.journal) as file:
            for line in ({"identity": self.identity}, *self.rows.values()):
                file.write(_line(line))
        with self.journal.open("ab") as self._file:
            yield

    def add(self, task: Task, row: Row) -> None:
        """Note a finished episode, whose traces are written. Raises `InputError` if that cannot be done."""
        assert self._file is not None
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self.journal}: cannot be written: {error.strerror or error}") from error
        self.rows[task] = row

    def keep(self, wanted: Callable[[Task], bool]) -> None:
        """Give up the finished episodes that are not wanted."""
        self.rows = {task: row for task, row in self.rows.items() if wanted(task)}

    def trace_files(self, tasks: Iterable[Task]) -> set[str]:
        """Return the names of the trace files that belong to some episodes, with their folder."""
        names = set()
        for task in tasks:
            trace = self.plan.points[task.point].scenario.trace
            for kind in TRACE_FOLDERS:
                if task.replication < getattr(trace, kind):
                    names.add(f"{kind}/{part_of(self.plan, task)}")
        return names

    def _traces_are_there(self, task: Task) -> bool:
        places = (self.folder.staging, self.folder.path)
        return all(any((place / name).is_file() for place in places) for name in self.trace_files([task]))

    def _published(self) -> Iterator[Row]:
        """Yield the rows of episodes.parquet."""
        path = self.folder.path / EPISODES_FILE
        if not path.exists():
            return
        if not path.is_file():
            raise self._refusal(f"{EPISODES_FILE} cannot be read: it is not a regular file")
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
            found = json.loads((table.schema.metadata or {}).get(b"identity", b"null"))
        except (OSError, ValueError) as error:
            raise self._refusal(f"{EPISODES_FILE} cannot be read: {' '.join(str(error).split())}") from None
        self._check(found)
        yield from table.to_pylist()

    def _journaled(self) -> Iterator[Row]:
        """Yield the rows of an unfinished run's journal up to the first line that is not whole."""
        if not self.journal.exists():
            return
        try:
            content = read_regular(self.journal, LARGEST_JOURNAL)
        except OSError as error:
            raise self._refusal(f"{self.journal} cannot be read: {error.strerror}") from None
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
                yield entry

    def _check(self, found: Any) -> None:
        """Raise `InputError` if results in the folder have another identity."""
        if found == self.identity:
            return
        if not isinstance(found, dict):
            raise self._refusal("it holds results of unknown origin")
        names = [*self.identity, *(name for name in found if name not in self.identity)]
        changed = next((name for name in names if not self._is_alike(found, name)), None)
        if changed is None:
            return
        if changed.startswith(("file ", OPENED)):
            raise self._refusal(f"it holds results of another {changed.partition(' ')[2]}")
        before, now = (texts.get(changed, "none").strip('"') for texts in (found, self.identity))
        raise self._refusal(f"it holds results of another scenario ({changed}: {_short(before)}, now {_short(now)})")

    def _is_alike(self, found: dict[str, str], name: str) -> bool:
        """Return whether earlier results agree in something; a file that is opened need not be so every time."""
        before, now = found.get(name), self.identity.get(name)
        return before == now or (name.startswith(OPENED) and None in (before, now))

    def _refusal(self, why: str) -> InputError:
        return InputError(f"output folder {self.folder.path}: {why}; choose another --out, or --fresh to start over")


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, default=lambda number: number.item()).encode() + b"\n"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _cell_key(point: Point, index: int) -> tuple[str, ...]:
    return (point.scenario.dispatchers[index].display, *map(str, point.values.values()))


def _row_key(plan: Plan, row: Row) -> tuple[str, ...]:
    return (str(row.get("dispatcher")), *(str(row.get(key)) for key in plan.swept))
