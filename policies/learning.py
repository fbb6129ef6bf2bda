"""One lesson: an algorithm learns a policy, which is scored and becomes an ONNX file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from dispatchers.catalogue import make
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from emulator.errors import InputError
from emulator.machine.cores import cores_at_hand
from emulator.machine.processes import Fatal, Report, Work, check_main_module, run_in_processes
from emulator.model.system import System
from emulator.results.statistics import mean_interval
from emulator.scenario.plot import KINDS_OF_TRAINING
from policies.log import TrainingLog, lines_of
from policies.presets import ITERATION_SECONDS, PRESETS, Preset, SacPreset, SearchPreset, starts_of
from policies.process.networks import Floats
from policies.process.scoring import EPISODES, score
from policies.provenance import identity_of, is_same, metadata_of, scored_on
from policies.tasks import Lesson, systems_of

if TYPE_CHECKING:
    import onnx

OPERATIONS_PER_SECOND = 2e10
"""About what one core does for a network that learns."""


def is_learned(lesson: Lesson, logs: Path) -> bool:
    """Return whether the lesson's file is there already, of this scenario, these hyperparameters and versions.

    So must the log be where its lines are to be drawn.
    """
    try:
        told = metadata_of(lesson.out)
    except InputError:  # there is no such file, or a damaged one
        return False
    if not is_same(told, identity_of(lesson) | scored_on(lesson)):
        return False
    is_drawn = lesson.scenario.plot.kind in KINDS_OF_TRAINING
    return not is_drawn or bool(lines_of(log_folder(lesson, logs))["iteration"])


def learn_all(
    lessons: Sequence[Lesson], prepare: Callable[[], Work], workers: int | None, advance: Report
) -> Iterator[str]:
    """Learn lessons, in several processes if there are cores, and yield the line that tells of each as it is done.

    `prepare` is `teacher`, but for its arguments. `advance` is told the expected seconds of what is done.
    """
    processes = min(len(lessons), workers or cores_at_hand())
    outcomes: Iterator[tuple[Lesson, str | Fatal | Exception]]
    if processes <= 1:
        work = prepare()
        outcomes = ((lesson, work(lesson, advance)) for lesson in lessons)
    else:
        check_main_module()
        outcomes = run_in_processes(prepare, iter(lessons), processes, advance, ahead=1)
    for lesson, outcome in outcomes:
        if isinstance(outcome, Fatal):
            raise outcome.error
        if isinstance(outcome, Exception):
            raise RuntimeError(f"{lesson.out}: {outcome}")
        yield outcome


def teacher(command: str, logs: Path, fresh: bool) -> Work:
    """Return what learns a lesson, in this process or in one of several."""

    def work(lesson: Lesson, report: Report) -> str | Fatal:
        seconds = _iteration_seconds(lesson)
        try:
            return learn(
                lesson, command=command, logs=logs, fresh=fresh, on_iteration=lambda steps: report(steps * seconds)
            )
        except InputError as error:
            return Fatal(error)
        except DispatcherError as error:
            return Fatal(InputError(f"{lesson.out}: {error}"))

    return work


def expected_seconds(lesson: Lesson) -> float:
    """Return about how long a lesson takes."""
    starts = len(starts_of(lesson.preset, lesson.draws)) if isinstance(lesson.preset, Preset) else 1
    return lesson.preset.iterations * starts * _iteration_seconds(lesson)


def _iteration_seconds(lesson: Lesson) -> float:
    scenario, preset = lesson.scenario, lesson.preset
    seconds = ITERATION_SECONDS[type(preset)]
    if isinstance(preset, SearchPreset):
        return seconds * preset.nodes / 8000 * scenario.horizon / scenario.delta_t / 10
    if isinstance(preset, Preset):
        widths = (scenario.buffer + 1, *preset.hidden, scenario.buffer + 1)
        weights = sum(one * other for one, other in pairwise(widths))
        # Of the policy and the critic: two operations a weight, forwards once and backwards twice.
        return seconds + 12.0 * weights * preset.batch * preset.passes / OPERATIONS_PER_SECOND
    return seconds


def learn(lesson: Lesson, *, command: str, logs: Path, fresh: bool, on_iteration: Callable[[int], None]) -> str:
    """Train, score and write one policy, and return the line that tells of it.

    Raises `InputError`, and `DispatcherError` for a network whose answers are no probabilities.
    """
    from policies.export import set_metadata, write

    identity = identity_of(lesson)
    folder = log_folder(lesson, logs)
    if fresh and folder.is_symlink():
        folder.unlink()
    elif fresh and folder.exists():
        shutil.rmtree(folder)
    log = TrainingLog(folder, identity, on_iteration, events=not isinstance(lesson.preset, Preset))
    model = ALGORITHMS[type(lesson.preset)](lesson, log, identity)
    scores = _scores(lesson, dispatcher_of(model, identity["executed_as"]))
    own = {entry.key: entry.value for entry in model.metadata_props}  # SAC's has the number of nodes
    set_metadata(model, own | identity | scores | {"command": command})
    write(lesson.out, model)
    return (
        f"{lesson.out}: {float(scores['score']):.3f} drops per server and 50 ms as {identity['executed_as']}, "
        f"{_told_interval(scores)}, RND {float(scores['score_RND']):.3f} ({EPISODES} episodes of {lesson.test.name})"
    )


def _told_interval(scores: dict[str, str]) -> str:
    if "score_low" not in scores:
        return "equal in all episodes"
    return f"95 % interval [{float(scores['score_low']):.3f}, {float(scores['score_high']):.3f}]"


def log_folder(lesson: Lesson, logs: Path) -> Path:
    """Return the folder of a lesson's log."""
    return logs / lesson.out.stem


def _by_ppo(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> onnx.ModelProto:
    assert isinstance(lesson.preset, Preset)
    systems = systems_of(lesson)
    found = []
    for number, preset in enumerate(starts_of(lesson.preset, lesson.draws)):
        # The log of the first is the lesson's own.
        own = log if number == 0 else TrainingLog(log.folder / f"start_{number + 1}", log.identity, log.on_iteration)
        found += _by_ppo_from(preset, lesson, systems, own, metadata)
    if len(found) == 1:
        return found[0]

    def drops(model: onnx.ModelProto) -> float:
        dispatcher = dispatcher_of(model, metadata["executed_as"])
        return sum(float(score(dispatcher, system, seed=lesson.seed).mean()) for system in systems)

    return min(found, key=drops)


def _by_ppo_from(
    preset: Preset, lesson: Lesson, systems: list[System], log: TrainingLog, metadata: dict[str, str]
) -> list[onnx.ModelProto]:
    from policies.algorithms.ppo import train
    from policies.export import fixed_to_onnx, rules_of, to_onnx

    model = to_onnx(train(systems, preset, seed=lesson.seed, log=log, draws=lesson.draws), metadata)
    if preset.recurrent is not None or preset.observation == "all" or preset.rows == "schedulers":
        return [model]
    # What was observed told nothing: the answers are one rule, learned several times, and chance averages out.
    rule = rules_of(model)(np.eye(lesson.scenario.buffer + 1)).mean(axis=0)
    # An action that holds is 0 or 1, and the likelier one may be better always than mostly.
    rules = [rule, np.round(rule)] if lesson.draws == "epoch" else [rule]
    return [fixed_to_onnx(one, metadata) for one in rules]


def _by_search(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> onnx.ModelProto:
    from policies.algorithms.direct_search import search
    from policies.export import linear_to_onnx

    preset, start = lesson.preset, None
    assert isinstance(preset, SearchPreset)
    systems = systems_of(lesson)
    if preset.observation != "own":
        # The best fixed rule is quickly found and a good place to begin at.
        fixed = PRESETS["fast"]["STATIC"]
        assert isinstance(fixed, SearchPreset)
        start = search(systems, fixed, seed=lesson.seed, draws=lesson.draws)[:, 0]
    weights = search(systems, preset, seed=lesson.seed, start=start, log=log, draws=lesson.draws)
    return linear_to_onnx(weights, metadata)


def _by_actor_critic(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> onnx.ModelProto:
    from policies.algorithms.actor_critic import train_actors
    from policies.algorithms.actors import actors_to_onnx

    preset = lesson.preset
    assert isinstance(preset, SacPreset)
    (system,) = systems_of(lesson)
    return actors_to_onnx(train_actors(system, preset, seed=lesson.seed, log=log), metadata)


ALGORITHMS: dict[type, Callable[[Lesson, TrainingLog, dict[str, str]], onnx.ModelProto]] = {
    Preset: _by_ppo,
    SearchPreset: _by_search,
    SacPreset: _by_actor_critic,
}
"""By the kind of hyperparameters."""


def dispatcher_of(model: onnx.ModelProto, name: str) -> Dispatcher:
    """Return the built-in dispatcher of a name with a policy, which goes through a file and the checks of one."""
    from policies.export import write

    with TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        write(path, model)
        return make(name=name, options={"policy": str(path)}).dispatcher


def _scores(lesson: Lesson, dispatcher: Dispatcher) -> dict[str, str]:
    """Return a policy's drops on the test scenario and in training, and those of others on the same paths."""
    test = lesson.test.system()
    own = score(dispatcher, test)
    training = score(dispatcher, replace(lesson.scenario.system(), horizon=test.horizon))
    others = {name: score(make(name=name).dispatcher, test) for name in ("RND", "OWN", "JSQ")}
    return {
        **_interval("score", own),
        **_interval("training_drops", training),
        **{f"score_{name}": f"{values.mean():.4f}" for name, values in others.items()},
        **scored_on(lesson),
        "score_episodes": " ".join(f"{value:.4f}" for value in own),
    }


def _interval(name: str, values: Floats) -> dict[str, str]:
    """Return a mean and the ends of its interval, without those where all values are alike and there is none."""
    ends = zip((name, f"{name}_low", f"{name}_high"), mean_interval(values), strict=True)
    return {key: f"{value:.4f}" for key, value in ends if math.isfinite(value)}
