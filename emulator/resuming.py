"""What an earlier run left: its finished episodes are kept, and only the others are run.

Finished episodes stand in the results folder, in episodes.parquet once a run has ended and until then in a journal
beside the staged traces: a line for each, written when its traces are whole. Whatever ends a run, the journal is good
up to its last full line.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from emulator.errors import InputError
from emulator.replications import Row, Task, make_dispatcher, part_of, tasks_of
from emulator.results import EPISODES_FILE, TRACE_FOLDERS, ResultsFolder
from emulator.scenario_file import Plan
from emulator.version import __version__

JOURNAL_FILE = "journal.jsonl"

OURS = ("dispatchers", "emulator", "policies", "benchmarks", "tests")
"""Folders of this software, whose version is told apart by its number."""

EXTENDABLE = ("replications", "precision", "paired_precision", "name", "plot")
"""Keys that may change from one run to the next in the same folder."""


def identity_of(plan: Plan) -> dict[str, str]:
    """Return what episodes depend on, as names and texts: another one means other results."""
    resolved = {key: value for key, value in plan.resolved().items() if key not in EXTENDABLE}
    texts = {key: json.dumps(_plain(value), sort_keys=True, default=str) for key, value in resolved.items()}
    return {**texts, **_files(plan), "version": __version__}


def _files(plan: Plan) -> dict[str, str]:
    """Return the hashes of the files that a plan reads: policies, users' classes, edges."""
    files: dict[str, set[Path]] = {}
    for point in plan.points:
        path = getattr(point.scenario.topology, "path", None)
        if path is not None:
            files.setdefault(f"file {path}", set()).add(Path(point.scenario.folder) / path)
        for index, spec in enumerate(point.scenario.dispatchers):
            dispatcher = make_dispatcher(point, index)
            policy = getattr(dispatcher, "policy", None)
            if policy is not None:
                files.setdefault(f"policy {policy.path.name} of {spec.display}", set()).add(policy.path)
            if spec.class_ is not None:
                own = Path(inspect.getfile(type(dispatcher)))
                files.setdefault(f"file of {spec.display}", set()).update({own}, _imported_from(spec.folder))
    return {name: " ".join(sorted(map(_hash, paths))) for name, paths in files.items()}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _imported_from(folder: Path) -> set[Path]:
    """Return the modules beside a scenario that its classes have brought in."""
    found = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and "site-packages" not in file and Path(file).is_relative_to(folder.resolve()):
            path = Path(file).resolve()
            if path.suffix == ".py" and path.is_file() and path.relative_to(folder.resolve()).parts[0] not in OURS:
                found.add(path)
    return found


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

    def __init__(self, plan: Plan, folder: ResultsFolder, *, fresh: bool = False):
        self.plan = plan
        self.folder = folder
        self.identity = identity_of(plan)
        self.rows: dict[Task, Row] = {}
        self._file: IO[str] | None = None
        tasks = {_key(plan, task): task for task in tasks_of(plan)}
        if fresh:
            folder.clear_staging()
        else:
            for row in [*self._published(), *self._journaled()]:
                task = tasks.get(_row_key(plan, row))
                if task is not None and self._traces_are_there(task):
                    self.rows[task] = row

    @property
    def journal(self) -> Path:
        """The journal of the run in progress."""
        return self.folder.staging / JOURNAL_FILE

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the journal open: it starts with the identity and what was found."""
        try:
            with self.journal.open("w", encoding="utf-8") as self._file:
                self._write({"identity": self.identity})
                for row in self.rows.values():
                    self._write(row)
                yield
        except OSError as error:
            raise InputError(f"{self.journal}: cannot be written: {error.strerror or error}") from error
        finally:
            self._file = None

    def add(self, task: Task, row: Row) -> None:
        """Note a finished episode, whose traces are written."""
        self.rows[task] = row
        self._write(row)

    def _write(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line, default=lambda number: number.item()) + "\n")
        self._file.flush()

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
            lines = self.journal.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        except OSError as error:
            raise self._refusal(f"{self.journal} cannot be read: {error.strerror}") from None
        first = True
        for line in lines:
            try:
                content = json.loads(line) if line.endswith("\n") else None
            except ValueError:
                content = None
            if not isinstance(content, dict):
                return
            if first:
                self._check(content.get("identity"))
                first = False
            else:
                yield content

    def _check(self, found: Any) -> None:
        """Raise `InputError` if results in the folder have another identity."""
        if found == self.identity:
            return
        if not isinstance(found, dict):
            raise self._refusal("it holds results of unknown origin")
        names = [*self.identity, *(name for name in found if name not in self.identity)]
        changed = next(name for name in names if found.get(name) != self.identity.get(name))
        if changed.startswith(("file", "policy")):
            raise self._refusal(f"it holds results of another {changed}")
        before, now = (texts.get(changed, "none").strip('"') for texts in (found, self.identity))
        raise self._refusal(f"it holds results of another scenario ({changed}: {_short(before)}, now {_short(now)})")

    def _refusal(self, why: str) -> InputError:
        return InputError(f"output folder {self.folder.path}: {why}; choose another --out, or --fresh to start over")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _key(plan: Plan, task: Task) -> tuple[str, ...]:
    point = plan.points[task.point]
    values = [str(value) for value in point.values.values()]
    return (point.scenario.dispatchers[task.dispatcher].display, str(task.replication), *values)


def _row_key(plan: Plan, row: Row) -> tuple[str, ...]:
    return (row["dispatcher"], str(row["replication"]), *(str(row.get(key)) for key in plan.swept))
