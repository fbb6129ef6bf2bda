"""What a training leaves while it runs: a line for each iteration, and a checkpoint to go on from."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.errors import InputError
from emulator.tables import whole_file

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LINES = "iterations.csv"
CHECKPOINT = "checkpoint.pt"
IDENTITY = "training.json"
COLUMNS = ("iteration", "decisions", "drops", "seconds")
"""Of a line: decisions so far, drops per queue and 50 ms in the iteration, and seconds of training so far."""


def lines_of(folder: Path) -> dict[str, list[Any]]:
    """Return the lines of the log in a folder, a list for each of `COLUMNS`; empty lists if there are none."""
    path = folder / LINES
    if not path.exists():
        return {column: [] for column in COLUMNS}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    types = (int, int, float, float)
    return {column: [type_(row[column]) for row in rows] for column, type_ in zip(COLUMNS, types, strict=True)}


def check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raise `InputError` if a folder holds a training of another identity."""
    file = folder / IDENTITY
    if file.exists() and file.read_bytes() != _text(identity).encode():
        raise InputError(
            f"{folder}: holds the training of another scenario, seed or version; --fresh starts anew, "
            "--logs names another folder"
        )


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, indent=1, sort_keys=True)


class TrainingLog:
    """The folder of one training. A training of the same identity goes on where the last checkpoint was left.

    With `events` the drops of each line go to TensorBoard, too: for trainings that do not see to it themselves.
    Raises `InputError` if the folder holds a training of another identity.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        on_iteration: Callable[[int], None] = lambda steps: None,
        *,
        events: bool = False,
    ):
        self.folder = folder
        self.identity = identity
        self.on_iteration = on_iteration
        check_identity(folder, identity)
        self.rows: list[tuple[int, int, float, float]] = []
        self._rows_at_checkpoint()
        self._before = self.rows[-1][3] if self.rows else 0.0
        self._events = self._event_writer() if events else None
        self._started = time.perf_counter()

    def _rows_at_checkpoint(self) -> None:
        """Take up the lines that a checkpoint knows of; those of an iteration that was cut off are written again."""
        state = self.checkpoint()
        if state is not None:
            lines = zip(*lines_of(self.folder).values(), strict=True)
            self.rows = [line for line in lines if line[1] <= state["decisions"]]

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resumption included."""
        return self._before + time.perf_counter() - self._started

    def checkpoint(self) -> dict[str, Any] | None:
        """Return what the last `keep` was given, None if there was none."""
        import torch

        path = self.folder / CHECKPOINT
        try:
            return torch.load(path, weights_only=True) if path.exists() else None
        except Exception as error:  # of many kinds, by where a file is damaged
            raise InputError(f"{path}: is damaged; --fresh starts anew") from error

    def _event_writer(self) -> SummaryWriter:
        """Return what writes TensorBoard's events, in place of those that are not in the lines taken up."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder), purge_step=self.rows[-1][1] + 1 if self.rows else 0)

    def _begin(self) -> None:
        """Write down whose folder this is; not before there is something, as a training may yet be refused."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / IDENTITY).exists():
            with whole_file(self.folder / IDENTITY) as file:
                file.write(_text(self.identity).encode())

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
