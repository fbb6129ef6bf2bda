"""One lesson: an algorithm learns a policy, which is scored and becomes an ONNX file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dispatchers.policy import CONTRACT_VERSION
from emulator.cores import cores_at_hand
from emulator.errors import InputError
from emulator.plot_spec import KINDS_OF_TRAINING
from emulator.processes import Fatal, Report, Work, run_in_processes
from emulator.statistics import mean_interval
from emulator.system import System
from emulator.version import __version__
from policies.environment import Floats
from policies.evaluation import (
    EXECUTIONS,
    drops,
    drops_of_received,
    join_shortest_queue,
    own_server,
    random_server,
    recurrent,
)
from policies.lessons import Lesson, systems_of
from policies.presets import ITERATION_SECONDS, PRESETS, Observation, Preset, SacPreset, SearchPreset
from policies.training_log import TrainingLog, lines_of

if TYPE_CHECKING:
    import onnx

    from emulator.scenario import Scenario

LIBRARIES = ["torch", "stable-baselines3", "sb3-contrib", "cma", "numpy"]
"""What a policy's bits depend on."""

EPISODES = 100
"""Episodes that a policy is scored on."""

EXECUTED_AS: dict[Observation, str] = {"own": "MF-R", "accessible": "MF-N", "all": "MF-G"}
"""The dispatcher that executes a policy on what it was trained for."""

EXECUTED_BY_ITS_OWN = ("MF-RNN", "NA-PS", "SAC")
"""Algorithms whose policies are executed by the dispatcher of their name."""


class Learned(NamedTuple):
    """A policy as an ONNX model, and its drops per server and 50 ms on a system in so many episodes."""

    model: onnx.ModelProto
    drops: Callable[[System, int], Floats]


def identity_of(lesson: Lesson) -> dict[str, str]:
    """Return what a policy's file says of how it came to be; all that its bits depend on."""
    scenario, training = lesson.scenario, lesson.training
    return {
        "contract_version": CONTRACT_VERSION,
        "buffer": str(scenario.buffer),
        "delta_t": f"{scenario.delta_t:g}",
        "topology": scenario.topology.kind,
        "algorithm": training.algorithm,
        "executed_as": _executed_as(lesson),
        "training_scenario": json.dumps(_provenance(scenario)),
        "preset": training.preset,
        "hyperparameters": str(lesson.preset),
        "seed": str(lesson.seed),
        "version": __version__,
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def is_learned(lesson: Lesson, logs: Path) -> bool:
    """Return whether the lesson's file is there already, of this scenario, these hyperparameters and versions.

    So must the log be where its lines are to be drawn.
    """
    import onnx

    try:
        told = {entry.key: entry.value for entry in onnx.load(str(lesson.out)).metadata_props}
    except Exception:  # there is no such file, or a damaged one
        return False
    wanted = identity_of(lesson) | {"score_on": json.dumps(_provenance(lesson.test))}
    if not wanted.items() <= told.items():
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

    return work


def expected_seconds(lesson: Lesson) -> float:
    """Return about how long a lesson takes."""
    return lesson.preset.iterations * _iteration_seconds(lesson)


def _iteration_seconds(lesson: Lesson) -> float:
    seconds, preset = ITERATION_SECONDS[type(lesson.preset)], lesson.preset
    if not isinstance(preset, SearchPreset):
        return seconds
    return seconds * preset.nodes / 8000 * lesson.scenario.horizon / lesson.scenario.delta_t / 10


def learn(lesson: Lesson, *, command: str, logs: Path, fresh: bool, on_iteration: Callable[[int], None]) -> str:
    """Train, score and write one policy, and return the line that tells of it. Raises `InputError`."""
    from policies.export import set_metadata, write

    identity = identity_of(lesson)
    folder = log_folder(lesson, logs)
    if fresh and folder.exists():
        shutil.rmtree(folder)
    log = TrainingLog(folder, identity, on_iteration, events=not isinstance(lesson.preset, Preset))
    learned = ALGORITHMS[type(lesson.preset)](lesson, log, identity)
    scores = _scores(lesson, learned)
    own = {entry.key: entry.value for entry in learned.model.metadata_props}  # SAC's has the number of nodes
    set_metadata(learned.model, own | identity | scores | {"command": command})
    write(lesson.out, learned.model)
    mean, low, high, rnd = (float(scores[key]) for key in ("score", "score_low", "score_high", "score_RND"))
    return (
        f"{lesson.out}: {mean:.3f} drops per server and 50 ms as {identity['executed_as']}, "
        f"95 % interval [{low:.3f}, {high:.3f}], RND {rnd:.3f} ({EPISODES} episodes of {lesson.test.name})"
    )


def log_folder(lesson: Lesson, logs: Path) -> Path:
    """Return the folder of a lesson's log."""
    return logs / lesson.out.stem


def _by_ppo(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> Learned:
    from policies.export import fixed_to_onnx, recurrent_policy_of, rules_of, to_onnx
    from policies.training import train

    preset = lesson.preset
    assert isinstance(preset, Preset)
    model = to_onnx(train(systems_of(lesson), preset, seed=lesson.seed, log=log), metadata)
    if preset.recurrent is not None:
        policy = recurrent_policy_of(model)
        return Learned(model, lambda system, episodes: drops(system, recurrent(policy), episodes=episodes))
    if preset.observation == "own" and preset.rows == "networks":
        # What was observed told nothing: the answers are one rule, learned several times, and chance averages out.
        rules = rules_of(model)(np.eye(lesson.scenario.buffer + 1))
        model = fixed_to_onnx(rules.mean(axis=0), metadata)
    return _follower(model, metadata)


def _by_search(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> Learned:
    from policies.direct_search import search
    from policies.export import linear_to_onnx

    preset, start = lesson.preset, None
    assert isinstance(preset, SearchPreset)
    systems = systems_of(lesson)
    if preset.observation != "own":
        # The best fixed rule is quickly found and a good place to begin at.
        fixed = PRESETS["fast"]["STATIC"]
        assert isinstance(fixed, SearchPreset)
        start = search(systems, fixed, seed=lesson.seed)[:, 0]
    weights = search(systems, preset, seed=lesson.seed, start=start, log=log)
    return _follower(linear_to_onnx(weights, metadata), metadata)


def _follower(model: onnx.ModelProto, metadata: dict[str, str]) -> Learned:
    from policies.export import rules_of

    rules = rules_of(model)

    def drops_on(system: System, episodes: int) -> Floats:
        return drops(system, EXECUTIONS[metadata["executed_as"]](rules, system.buffer), episodes=episodes)

    return Learned(model, drops_on)


def _by_actor_critic(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> Learned:
    from policies.actors import actors_to_onnx
    from policies.scalable_actor_critic import train_actors

    preset = lesson.preset
    assert isinstance(preset, SacPreset)
    (system,) = systems_of(lesson)
    actors = train_actors(system, preset, seed=lesson.seed, log=log)
    model = actors_to_onnx(actors, metadata)
    return Learned(model, lambda other, episodes: drops_of_received(other, actors.received, episodes=episodes))


ALGORITHMS: dict[type, Callable[[Lesson, TrainingLog, dict[str, str]], Learned]] = {
    Preset: _by_ppo,
    SearchPreset: _by_search,
    SacPreset: _by_actor_critic,
}
"""By the kind of hyperparameters."""


def _executed_as(lesson: Lesson) -> str:
    if lesson.training.algorithm in EXECUTED_BY_ITS_OWN:
        return lesson.training.algorithm
    assert not isinstance(lesson.preset, SacPreset)
    return EXECUTED_AS[lesson.preset.observation]


def _scores(lesson: Lesson, learned: Learned) -> dict[str, str]:
    """Return a policy's drops on the test scenario and in training, and those of others on the same paths."""
    test = lesson.test.system()
    own = learned.drops(test, EPISODES)
    training = learned.drops(replace(lesson.scenario.system(), horizon=test.horizon), EPISODES)
    others = {
        "RND": drops(test, random_server, episodes=EPISODES),
        "OWN": drops(test, own_server, episodes=EPISODES),
        "JSQ": drops_of_received(test, join_shortest_queue, episodes=EPISODES),
    }
    return {
        **_interval("score", own),
        **_interval("training_drops", training),
        **{f"score_{name}": f"{values.mean():.4f}" for name, values in others.items()},
        "score_on": json.dumps(_provenance(lesson.test)),
        "score_episodes": " ".join(f"{value:.4f}" for value in own),
    }


def _interval(name: str, values: Floats) -> dict[str, str]:
    ends = zip((name, f"{name}_low", f"{name}_high"), mean_interval(values), strict=True)
    return {key: f"{value:.4f}" for key, value in ends}


def _provenance(scenario: Scenario) -> dict[str, Any]:
    return scenario.model_dump(
        exclude={"folder", "dispatchers", "replications", "engine", "trace", "plot"}, exclude_none=True, mode="json"
    )
