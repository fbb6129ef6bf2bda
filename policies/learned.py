"""One task: an algorithm learns a policy, which is scored and becomes an ONNX file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dispatchers.catalogue import make
from dispatchers.contract import Dispatcher
from dispatchers.view import Floats
from emulator.errors import InputError
from emulator.results.estimates import mean_interval
from emulator.scenario.plot import KINDS_OF_TRAINING
from policies.export import write
from policies.log import TrainingLog, lines_of
from policies.process.scoring import EPISODES, dispatcher_of, score
from policies.provenance import is_same, metadata_of
from policies.tasks import Task, systems_of


def is_learned(task: Task, logs: Path) -> bool:
    """Return whether the task's file is there, of the same identity, and the log too if its lines are drawn."""
    try:
        told = metadata_of(task.out)
    except InputError:  # there is no such file, or a damaged one
        return False
    if not is_same(told, task.identity | task.scored_on):
        return False
    is_drawn = task.scenario.plot.kind in KINDS_OF_TRAINING
    return not is_drawn or bool(lines_of(log_folder(task, logs))["iteration"])


def learn(task: Task, command: str, logs: Path, fresh: bool, on_iteration: Callable[[int], None]) -> str:
    """Train, score and write a policy; return the line of it. Raises `InputError` and `DispatcherError`."""
    from dispatchers.onnx_files.writing import add_metadata

    identity = task.identity
    folder = log_folder(task, logs)
    if fresh and folder.is_symlink():
        folder.unlink()
    elif fresh and folder.exists():
        shutil.rmtree(folder)
    log = TrainingLog(folder, identity, on_iteration, events=not task.algorithm.writes_events)
    model = task.algorithm.learn(systems_of(task), seed=task.seed, draws=task.draws, log=log, metadata=identity)
    scores = _scores(task, dispatcher_of(model, identity["executed_as"]))
    add_metadata(model, identity | scores | {"command": command})
    write(task.out, model)
    interval = "equal in all episodes"
    if "score_low" in scores:
        interval = f"95 % interval [{float(scores['score_low']):.3f}, {float(scores['score_high']):.3f}]"
    return (
        f"{task.out}: {float(scores['score']):.3f} drops per server and 50 ms as {identity['executed_as']}, "
        f"{interval}, RND {float(scores['score_RND']):.3f} ({EPISODES} episodes of {task.test.name})"
    )


def log_folder(task: Task, logs: Path) -> Path:
    """Return the folder of a task's log."""
    return logs / task.out.stem


def _scores(task: Task, dispatcher: Dispatcher) -> dict[str, str]:
    """Return a policy's drops on the test scenario and in training, and those of others on the same paths."""
    test = task.test.system()
    own = score(dispatcher, test)
    training = score(dispatcher, replace(task.scenario.system(), horizon=test.horizon))
    others = {name: score(make(name=name).dispatcher, test) for name in ("RND", "OWN", "JSQ")}
    return {
        **_interval("score", own),
        **_interval("training_drops", training),
        **{f"score_{name}": f"{values.mean():.4f}" for name, values in others.items()},
        **task.scored_on,
        "score_episodes": " ".join(f"{value:.4f}" for value in own),
    }


def _interval(name: str, values: Floats) -> dict[str, str]:
    """Return a mean and the ends of its interval, without those where all values are alike and there is none."""
    ends = zip((name, f"{name}_low", f"{name}_high"), mean_interval(values), strict=True)
    return {key: f"{value:.4f}" for key, value in ends if math.isfinite(value)}
