"""What a training leaves while it runs: a line for each iteration, and a checkpoint to go on from."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.machine.files import whole_file
from policies.provenance import is_same

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LINES = "iterations.csv"
CHECKPOINT = "checkpoint.pt"
IDENTITY = "training.json"
LARGEST_LINES = 2**29
LARGEST_CHECKPOINT = 2**31
LARGEST_IDENTITY = 2**20
"""Bytes that are read: those of the most iterations, and of the largest tables of SAC with as much again."""

COLUMNS = ("iteration", "decisions", "drops", "seconds")
"""Of a line: decisions so far, drops per queue and 50 ms in the iteration, and seconds of training so far."""


def lines_of(folder: Path) -> dict[str, list[Any]]:
    """Return the lines of the log in a folder, a list for each of `COLUMNS`. Raises `InputError`."""
    path = folder / LINES
    content = _content(path, LARGEST_LINES)
    types = (int, int, float, float)
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)) if content else []
        lines = {column: [type_(row[column]) for row in rows] for column, type_ in zip(COLUMNS, types, strict=True)}
        if not all(math.isfinite(value) for values in lines.values() for value in values):
            raise ValueError
    except (ValueError, TypeError, KeyError, csv.Error):
        raise _damage(path) from None
    return lines


def check_identity(folder: Path, identity: Mapping[str, str]) -> None:
    """Raise `InputError` if a folder holds a training of another identity."""
    path = folder / IDENTITY
    content = _content(path, LARGEST_IDENTITY)
    if content is None:
        return
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        raise _damage(path) from None
    if not isinstance(told, dict):
        raise _damage(path)
    if not is_same(told, identity):
        raise InputError(
            f"{folder}: holds the training of another scenario, seed or version; --fresh starts anew, "
            "--logs names another folder"
        )


def _content(path: Path, limit: int) -> bytes | None:
    """Return what a file of a log holds, None if there is no such file. Raises `InputError`."""
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; --fresh starts anew") from None


def _damage(path: Path) -> InputError:
    return InputError(f"{path}: is damaged; --fresh starts anew")


class TrainingLog:
    """The folder of one training, which goes on from the last checkpoint; with `events` TensorBoard is told the drops.

    Raises `InputError` if the folder holds a training of another identity.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        on_iteration: Callable[[int], None] = lambda steps: None,
        *,
        events: bool = False,
    ):
        self.folder = folder
        self.identity = identity
        self.on_iteration = on_iteration
        check_identity(folder, identity)
        self.rows: list[tuple[int, int, float, float]] = []
        if (state := self.checkpoint()) is not None:  # lines of an iteration that was cut off are written again
            lines = zip(*lines_of(folder).values(), strict=True)
            self.rows = [line for line in lines if line[1] <= state["decisions"]]
        self._before = self.rows[-1][3] if self.rows else 0.0
        self._events: SummaryWriter | None = None
        if events:
            from torch.utils.tensorboard import SummaryWriter

            # In place of events that are not in the lines taken up.
            self._events = SummaryWriter(str(folder), purge_step=self.rows[-1][1] + 1 if self.rows else 0)
        self._started = time.perf_counter()

    def beside(self, name: str) -> TrainingLog:
        """Return the log of another start of the same training, a folder in this one's."""
        return TrainingLog(self.folder / name, self.identity, self.on_iteration)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resumption included."""
        return self._before + time.perf_counter() - self._started

    def checkpoint(self) -> dict[str, Any] | None:
        """Return what the last `keep` was given, None if there was none."""
        import torch

        content = _content(self.folder / CHECKPOINT, LARGEST_CHECKPOINT)
        if content is None:
            return None
        with self.taking_up():
            state = torch.load(io.BytesIO(content), weights_only=True)
            return {**state, "decisions": int(state["decisions"])}

    @contextmanager
    def taking_up(self) -> Iterator[None]:
        """Make of whatever fails while a checkpoint is taken up an `InputError` that tells of the damage."""
        try:
            yield
        except Exception as error:  # of many kinds, by where a file is damaged
            raise _damage(self.folder / CHECKPOINT) from error

    def _begin(self) -> None:
        """Write down whose folder this is; not before there is something, as a training may yet be refused."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from error
        if not (self.folder / IDENTITY).exists():
            with whole_file(self.folder / IDENTITY) as file:
                file.write(json.dumps(self.identity, indent=1, sort_keys=True).encode())

    def note(self, *, decisions: int, drops: float, steps: int = 1) -> None:
        """Add the line of an iteration, or of so many `steps` of the training's progress."""
        self._begin()
        self.rows.append((len(self.rows) + 1, decisions, drops, round(self.seconds, 3)))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *self.rows])
        with whole_file(self.folder / LINES) as file:
            file.write(text.getvalue().encode())
        if self._events is not None:
            self._events.add_scalar("rollout/drops", drops, decisions)
            self._events.flush()
        self.on_iteration(steps)

    def keep(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, which holds `decisions` and whatever else the training goes on from."""
        import torch

        self._begin()
        with whole_file(self.folder / CHECKPOINT) as file:
            torch.save(dict(state), file)
