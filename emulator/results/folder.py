"""The folder of a run's results: staged beside what is there, then moved into place file by file."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.errors import InputError
from emulator.machine.files import whole_file
from emulator.results.column import Column
from emulator.results.columns import EPISODES, SUMMARY, TRACES, with_swept
from emulator.results.parquet import write_table
from emulator.scenario.options import OPTION
from emulator.text import text_of

try:
    import fcntl
except ImportError:  # not on Windows, where a folder with open files cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import pandas as pd

EPISODES_FILE = "episodes.parquet"
SUMMARY_FILE = "summary.parquet"
SCENARIO_FILE = "scenario.resolved.yaml"
PICTURE_FILE = "summary.png"
FILES = (EPISODES_FILE, SUMMARY_FILE, SCENARIO_FILE, PICTURE_FILE)

STAGING = ".partial"
LONGEST_NAME = 180
"""Letters of a trace's name before its replication: with what is put around it aside, a name has at most 255 bytes."""

TRACE_FILES = "*_delta_t=*_r*.parquet"
"""What `part_name` names; nothing else in a trace folder is ever removed."""


class ResultsFolder:
    """The folder `path`, made if it is not there, which keeps its old content until `commit`.

    All files are written into `staging`, a hidden folder inside it: trace files by whoever runs the
    episodes, into its folders jobs, epochs and messages, the others by the methods here. `commit` moves them
    into place, `discard` gives them up; what is left when a `with` block ends is what the next run finds there.
    One run at a time can have the folder.

    Raises `InputError` if files cannot be written there.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.staging = self.path / STAGING
        self._made: list[Path] = []
        """Folders that were not there before, innermost first."""
        self._lock: int | None = None
        try:
            with self._os_errors_told():
                self._prepare()
        except BaseException:
            self._release()
            raise

    def _prepare(self) -> None:
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (self.path / name).is_dir():
                raise InputError(f"output folder {self.path}: {name} is a folder; a file will be written there")
        for name in TRACES:
            place = self.path / name
            if place.exists() and not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
                raise InputError(f"output folder {self.path}: {name} must be a folder that can be written")
        self._take_lock()
        for name in TRACES:
            (self.staging / name).mkdir(parents=True, exist_ok=True)

    def _take_lock(self) -> None:
        if fcntl is None:
            return
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"output folder {self.path}: another run is writing to it") from None
        except OSError:  # some network file systems cannot lock a folder
            pass

    @contextmanager
    def _os_errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
            raise InputError(
                f"output folder {self.path}: {reason}; a folder that can be made and written is needed"
            ) from error

    def __enter__(self) -> ResultsFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def picture(self) -> Path:
        """Where the picture of the summary is to be written."""
        return self.staging / PICTURE_FILE

    def write_episodes(
        self, rows: Sequence[Mapping[str, Any]], metadata: Mapping[str, str], swept: Sequence[Column] = ()
    ) -> None:
        """Write one row per episode; keys that are not in `EPISODES` are swept keys, whose columns may be told."""
        self._write(EPISODES_FILE, EPISODES, {key: [row[key] for row in rows] for key in rows[0]}, metadata, swept)

    def write_summary(self, summary: pd.DataFrame, metadata: Mapping[str, str], swept: Sequence[Column] = ()) -> None:
        """Write what `emulator.results.statistics.summarise` returns."""
        self._write(SUMMARY_FILE, SUMMARY, {str(key): summary[key].tolist() for key in summary}, metadata, swept)

    def _write(
        self,
        name: str,
        columns: Sequence[Column],
        values: Mapping[str, list[Any]],
        metadata: Mapping[str, str],
        swept: Sequence[Column],
    ) -> None:
        rows = len(values["dispatcher"])
        write_table(self.staging / name, with_swept(columns, values, swept), [(rows, values)], metadata)

    def write_scenario(self, resolved_yaml: str) -> None:
        """Write the resolved scenario."""
        with whole_file(self.staging / SCENARIO_FILE) as file:
            file.write(resolved_yaml.encode())

    def commit(self, traces: Container[str] = ()) -> None:
        """Move the staged files into place, `traces` (folder/name) among them, and remove any other traces.

        Raises `InputError` if that cannot be done.
        """
        with self._os_errors_told():
            for kind in TRACES:
                folder = self.path / kind
                for file in folder.glob(TRACE_FILES):
                    if f"{kind}/{file.name}" not in traces:
                        file.unlink(missing_ok=True)
                staged = sorted((self.staging / kind).glob("*.parquet"))
                _move((file for file in staged if f"{kind}/{file.name}" in traces), folder)
                with suppress(OSError):  # it is not there, or not empty
                    folder.rmdir()
            _move((file for name in FILES if (file := self.staging / name).exists()), self.path)
        shutil.rmtree(self.staging, ignore_errors=True)

    def clear_staging(self) -> None:
        """Give up what is staged."""
        shutil.rmtree(self.staging, ignore_errors=True)
        with self._os_errors_told():
            for name in TRACES:
                (self.staging / name).mkdir(parents=True, exist_ok=True)

    def discard(self) -> None:
        """Give up what was not committed, and the folder if it was made for it."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let others have the folder; what is staged stays, folders without files go."""
        if not any(file.is_file() for file in self.staging.rglob("*")):
            shutil.rmtree(self.staging, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        for folder in self._made:
            with suppress(OSError):  # not empty, or never made
                folder.rmdir()
        self._made = []
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _move(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        folder.mkdir(exist_ok=True)
        file.replace(folder / file.name)


def part_name(keys: Mapping[str, int | float | str]) -> str:
    """Return the file name of an episode's traces, such as `JSQ-M_delta_t=5_r000.parquet`.

    `keys` are replication, dispatcher, delta_t and other swept keys; different keys get different names. Options of
    dispatchers stand in what these are called.
    """
    rest = (
        f"_{key}={_safe(value)}"
        for key, value in keys.items()
        if key not in ("replication", "dispatcher") and not key.startswith(OPTION)
    )
    name = f"{_safe(keys['dispatcher'])}{''.join(rest)}"
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{name}_r{keys['replication']:03d}.parquet"


def _safe(value: int | float | str) -> str:
    """Return a value as a part of a file name; what had to be changed is told apart by a hash."""
    text = text_of(value)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}", text) or isinstance(value, int | float):
        return text
    # Readers of a folder skip files that start with a dot or an underscore.
    stem = re.sub(r"[^A-Za-z0-9.+-]", "-", text).lstrip(".-")[:30]
    return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")
