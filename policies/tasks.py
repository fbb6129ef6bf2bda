"""What is to be trained: a task for each point of the training scenarios' sweeps."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dispatchers.contract import Draws
from dispatchers.onnx_files.kinds import CONTRACT_VERSION
from emulator.errors import InputError
from emulator.version import __version__
from policies.presets import algorithm_of
from policies.provenance import graph_of, libraries, values_of, without_folders

if TYPE_CHECKING:
    from emulator.model.system import System
    from emulator.scenario.plan import Plan, Point
    from emulator.scenario.scenario import Scenario
    from emulator.scenario.training import Training
    from policies.algorithms.algorithm import Algorithm

UNNAMED = "MF-R"
"""The algorithm that the name of a file leaves out."""

NAMED = ("delta_t", "training.algorithm", "training.draws")
"""Keys whose values the name of a file holds anyway."""

Load = Callable[[str], "Plan"]
"""What reads a scenario file."""


@dataclass(frozen=True)
class Task:
    """One policy to be trained: on what, how, scored on what, and where it goes."""

    scenario: Scenario
    training: Training
    algorithm: Algorithm
    test: Scenario
    seed: int
    out: Path
    swept: tuple[tuple[str, int | float | str], ...]
    """The values of the keys that the training scenario sweeps."""

    @property
    def draws(self) -> Draws:
        """How often a scheduler draws whether to offload."""
        return self.training.draws or "job"

    @property
    def identity(self) -> dict[str, str]:
        """What the policy's file says of how it came to be; all that its bits depend on."""
        return {
            "contract_version": CONTRACT_VERSION,
            "buffer": str(self.scenario.buffer),
            "delta_t": f"{self.scenario.delta_t:g}",
            "topology": self.scenario.topology.kind,
            "algorithm": self.training.algorithm,
            "executed_as": self.algorithm.executed_as,
            **({"draws": "epoch"} if self.draws == "epoch" else {}),
            "training_scenario": values_of(self.scenario),
            **graph_of(self.scenario, "topology_hash"),
            "preset": self.training.preset,
            "hyperparameters": str(self.algorithm),
            "seed": str(self.seed),
            "version": __version__,
            "libraries": libraries(),
        }

    @property
    def scored_on(self) -> dict[str, str]:
        """What the policy's file says of the system that it is scored on."""
        return {"score_on": values_of(self.test), **graph_of(self.test, "score_topology_hash")}

    def __hash__(self) -> int:
        """By the file: no two tasks of a command have the same."""
        return hash(self.out)


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the caller puts in place of what the training scenarios say; None where nothing."""

    preset: str | None = None
    iterations: int | None = None
    observation: str | None = None
    seed: int | None = None
    score_on: str | Path | None = None


def tasks_of(plans: Sequence[Plan], overrides: Overrides, out: Path | None) -> list[Task]:
    """Return all tasks; `out` is a file if its name ends in .onnx, else a folder. Raises `InputError`."""
    points = [(plan, point, _swept(point)) for plan in plans for point in plan.points]
    names = [file_name(point.scenario, plan.name, values) for plan, point, values in points]
    is_file = out is not None and out.suffix == ".onnx"
    if is_file and len(points) > 1:
        raise InputError(f"--out must be a folder where there are several policies, got {out}")
    if len(points) > 1 or (out is not None and not is_file):
        files = [(out or Path(".")) / name for name in names]
        double = {file.name for file, count in Counter(files).items() if count > 1}
        if double:
            raise InputError(f"several trainings would write {min(double)}: take one of the scenarios at a time")
    else:
        _, point, values = points[0]
        files = [out or Path(file_name(point.scenario, point.scenario.topology.kind, values))]
    load = _loader()
    return [
        _task(plan, point, overrides, file, values, load)
        for (plan, point, values), file in zip(points, files, strict=True)
    ]


def _loader() -> Load:
    """Return what reads a scenario once, however many points of a sweep are scored on it."""
    from emulator.scenario.plan import load

    return cache(load)


def _swept(point: Point) -> dict[str, int | float | str]:
    """Return a point's values, of files their names alone: they stand in names of policies and in tables."""
    return {key: without_folders(value) if isinstance(value, str) else value for key, value in point.values.items()}


def file_name(scenario: Scenario, name: str, swept: Mapping[str, Any]) -> str:
    """Return `torus_5.onnx`, or `torus_mf_n_epoch_5_3.onnx` for another algorithm, `draws: epoch` and swept values."""
    named = UNNAMED if scenario.training is None else scenario.training.algorithm
    algorithm = named.lower().replace("-", "_")
    is_told = name == algorithm or name.endswith(f"_{algorithm}")
    parts = [name] if is_told or named == UNNAMED else [name, algorithm]
    if scenario.training is not None and scenario.training.draws == "epoch":
        parts.append("epoch")
    parts.append(f"{scenario.delta_t:g}")
    others = [value for key, value in swept.items() if key not in NAMED]
    parts += [re.sub(r"[^0-9A-Za-z.]+", "-", str(value)).strip("-") for value in others]
    return "_".join(parts) + ".onnx"


def _task(plan: Plan, point: Point, overrides: Overrides, file: Path, swept: Mapping[str, Any], load: Load) -> Task:
    from emulator.scenario.training import Training

    scenario = point.scenario
    _check(plan.path, point)
    chosen = {key: getattr(overrides, key) for key in ("preset", "iterations", "observation")}
    training = (scenario.training or Training()).model_copy(
        update={key: value for key, value in chosen.items() if value is not None}
    )
    if overrides.observation is not None and training.algorithm != "MF-R":
        raise InputError(f"--observation must stand beside training.algorithm MF-R, got {training.algorithm}")
    seed = _seed(plan, scenario, training, overrides)
    algorithm = algorithm_of(training)
    algorithm.check_graphs(f"{plan.path}: training.graphs", training.graphs)
    test = _test_of(plan, scenario, training, algorithm, overrides, load)
    return Task(scenario, training, algorithm, test, seed, file, tuple(swept.items()))


def _seed(plan: Plan, scenario: Scenario, training: Training, overrides: Overrides) -> int:
    from policies.process.scoring import EVALUATION_SEED

    seeds = {
        "--seed": overrides.seed,
        f"{plan.path}: training.seed": training.seed,
        f"{plan.path}: seed": scenario.seed,
    }
    key, seed = next((key, seed) for key, seed in seeds.items() if seed is not None)
    if not 0 <= seed < EVALUATION_SEED:
        raise InputError(f"{key} must be between 0 and {EVALUATION_SEED - 1}, got {seed}")
    return seed


def _test_of(
    plan: Plan, scenario: Scenario, training: Training, algorithm: Algorithm, overrides: Overrides, load: Load
) -> Scenario:
    """Return the scenario that a policy is scored on: the point of a sweep that is like the training scenario."""
    if overrides.score_on is not None:
        key, path = "--evaluate", str(overrides.score_on)
    elif training.score is not None:
        key, path = f"{plan.path}: training.score", str(Path(scenario.folder) / training.score)
    else:
        return scenario
    if not os.path.isfile(path):
        raise InputError(f"{key} must be the name of a file, but there is no {path}")
    try:
        return _fitting(load(path), scenario, algorithm)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def _fitting(plan: Plan, scenario: Scenario, algorithm: Algorithm) -> Scenario:
    """Return the point of another plan that goes with the training. Raises `InputError`."""
    path, points = plan.path, plan.points
    for key in plan.swept:
        wanted = _value_at(scenario, key)
        points = [point for point in points if point.values[key] == wanted]
        if not points:
            shown = f"{wanted:g}" if isinstance(wanted, float) else wanted
            raise InputError(f"{path}: {key} must take the value {shown} too")
    _check(path, points[0])
    test = points[0].scenario
    for key in ("buffer", "delta_t"):
        trained, tested = getattr(scenario, key), getattr(test, key)
        if tested != trained:
            raise InputError(f"{path}: {key} must be {trained:g} as in training, got {tested:g}")
    if algorithm.one_graph:
        trained, tested = (each.system().topology for each in (scenario, test))
        if tested.graph_hash != trained.graph_hash:
            raise InputError(f"{path}: topology must give the graph of the training, which alone SAC's policies fit")
    return test


def _check(path: str | Path, point: Point) -> None:
    """Raise `InputError` for a point of the plan at a path that has no graph of nodes, or no law of the epochs."""
    point.node_count()  # which a file of edges may fail to tell
    if not point.scenario.topology.has_nodes():
        raise InputError(f"{path}: topology must be a graph of nodes, each a scheduler and a server, to train on")
    if not point.scenario.network().is_synchronous:
        raise InputError(f"{path}: messages, decide and dispatch must be left out to train, and to score, by epochs")
    if not point.scenario.station().is_plain:
        left_out = "server, service.speeds, classes, patience, failures and retries"
        raise InputError(f"{path}: {left_out} must be left out to train, and to score, by epochs")
    law = point.scenario.service.law().law
    if law != "exponential":
        raise InputError(f"{path}: service.work must be exponential here, got {law}")


def _value_at(scenario: Scenario, key: str) -> object:
    """Return the value of a dotted key, None if the scenario has no such key."""
    value: object = scenario
    for name in key.split("."):
        value = getattr(value, name, None)
    return value


def systems_of(task: Task) -> list[System]:
    """Return the systems that are trained on: graphs and assignments of rates drawn with the seeds from `seed` on."""
    scenario = task.scenario
    seeds = range(scenario.seed, scenario.seed + task.training.graphs)
    systems = [scenario.model_copy(update={"seed": seed}).system() for seed in seeds]
    return [replace(system, horizon=task.algorithm.horizon(scenario)) for system in systems]
