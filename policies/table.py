"""The iterations of the trainings of a scenario as a Parquet table, and the picture that its `plot:` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from emulator.results.column import FLOATING, RUNNING, Column
from emulator.results.columns import with_swept
from emulator.results.parquet import read_table, write_table
from emulator.version import __version__
from policies.learned import log_folder
from policies.log import lines_of

if TYPE_CHECKING:
    import pandas as pd

    from emulator.report.figure import Picture
    from policies.tasks import Task

TABLE = "training.parquet"
PICTURE = "summary.png"

COLUMNS = (
    Column("algorithm", pa.string(), "none", "what learned"),
    Column("delta_t", pa.float64(), "ms", "time between two broadcasts of a server's state"),
    Column("nodes", pa.int64(), "1", "servers, each with a scheduler, of the network trained on"),
    Column(
        "iteration",
        pa.int64(),
        "1",
        "number of the iteration, generation or look at the policy, from 1",
        False,
        RUNNING,
    ),
    Column("decisions", pa.int64(), "1", "decisions, or tries of a direct search, so far", False, RUNNING),
    Column("drops", pa.float64(), "1", "dropped jobs per queue and 50 ms in the iteration", False, FLOATING),
    Column("seconds", pa.float64(), "s", "seconds of training so far", False, FLOATING),
    Column(
        "converged_seconds",
        pa.float64(),
        "s",
        "seconds until the training had converged, without compiling, where that is told",
        True,
    ),
)


def write_trainings(tasks: Sequence[Task], logs: Path, folder: Path, picture: Picture) -> None:
    """Write `training.parquet` and `summary.png` of the tasks of one scenario. Raises `InputError`."""
    from policies.curves import draw

    parts = [(len(lines["iteration"]), lines) for lines in (_part(task, logs) for task in tasks)]
    swept = {key: [dict(task.swept)[key] for task in tasks] for key, _ in tasks[0].swept}
    write_table(folder / TABLE, with_swept(COLUMNS, swept), parts, {"version": __version__})
    draw(folder / PICTURE, read_trainings(folder), picture.plot, picture.title)


def read_trainings(folder: Path) -> pd.DataFrame:
    """Return the iterations of a scenario's trainings. Raises `InputError`."""
    return read_table(folder / TABLE).to_pandas()


def _part(task: Task, logs: Path) -> dict[str, Any]:
    """Return the columns of one training."""
    lines = lines_of(log_folder(task, logs))
    count = task.algorithm.convergence(lines["drops"])
    return {
        "algorithm": task.training.algorithm,
        "delta_t": task.scenario.delta_t,
        "nodes": task.scenario.topology.node_count(),
        **dict(task.swept),
        **lines,
        "converged_seconds": None if count is None else seconds_without_compiling(lines["seconds"], count),
    }


def seconds_without_compiling(seconds: Sequence[float], count: int) -> float:
    """Return the seconds of the first `count` iterations, each taken as the median one, as compiling delays some."""
    return count * float(np.median(np.diff(seconds, prepend=0.0)))
