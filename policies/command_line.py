"""`python -m policies`: train an upper-level policy on a scenario's system and write it as ONNX file."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.command_line import BAD_INPUT, INTERRUPTED, Parser, interrupt
from emulator.errors import InputError
from emulator.version import __version__
from policies.presets import PRESETS, AnyPreset, Observation, Preset, preset_of

if TYPE_CHECKING:
    from emulator.scenario import Scenario
    from emulator.training_spec import Training
    from policies.evaluation import Score
    from policies.training_log import TrainingLog

LIBRARIES = ["torch", "stable-baselines3", "cma", "numpy"]
"""What a policy's bits depend on."""

EXECUTED_AS: dict[Observation, str] = {"own": "MF-R", "accessible": "MF-N", "all": "MF-G"}
"""The dispatcher that executes a policy on what it was trained for."""

UNNAMED = "MF-R"
"""The algorithm that the name of a file leaves out."""

DESCRIPTION = """\
Learn an upper-level policy on the system that a scenario describes, as its section training: says, by PPO
(Algorithm 1 of the paper) unless it says otherwise; one for each swept value of delta_t and
training.algorithm. Each policy goes to an ONNX file, which the dispatchers MF-R, MF-N, MF-G and NA-PS take.
A training that was cut off, even by a kill, goes on where it was when the same command is given again.
Needs the extra train: pip install 'load-balancing-emulator[train]'
"""

EXAMPLES = """\
examples:
  python -m policies scenarios/training/torus.yaml --out policies/trained
  python -m policies scenarios/training/torus.yaml --set delta_t=3 --set training.algorithm=MF-N
  python -m policies scenarios/training/torus.yaml --set training.algorithm=MF-R --preset paper

exit status: 0 done, 2 bad input, 130 interrupted (to go on, the same command again), 1 anything else
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m policies",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("scenario", metavar="SCENARIO", help="the scenario to train on (YAML)")
    result.add_argument(
        "--out",
        metavar="FILE",
        help="the ONNX file (default: <topology>_<delta_t>.onnx, here); where something is swept, the folder for "
        "<scenario>_<delta_t>.onnx, <scenario>_static_<delta_t>.onnx and so on",
    )
    result.add_argument(
        "--preset",
        choices=PRESETS,
        help="hyperparameters: a quick recipe, or Table 2 (default: the scenario's, or fast)",
    )
    result.add_argument("--iterations", type=int, metavar="N", help="iterations, instead of the preset's")
    result.add_argument(
        "--observation",
        choices=["own", "all"],
        help="train MF-R for the own queue length, as it is executed, or for the distribution of all queues, "
        "as Algorithm 1 has it (default: own with fast, all with paper)",
    )
    result.add_argument("--seed", type=int, metavar="N", help="seed of the training, instead of the scenario's")
    result.add_argument(
        "--evaluate",
        metavar="SCENARIO",
        help="the scenario whose system the policy is scored on (default: the same)",
    )
    result.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY.PATH=VALUE",
        help="instead of the training scenario's value, e.g. delta_t=3; may be repeated",
    )
    result.add_argument(
        "--logs",
        metavar="DIR",
        default="runs/training",
        help="where each training has a folder with its iterations (CSV), its TensorBoard events and its checkpoint "
        "(default: %(default)s)",
    )
    result.add_argument("--fresh", action="store_true", help="train anew, whatever the logs hold")
    result.add_argument("--quiet", action="store_true", help="no progress on standard error")
    result.add_argument("--version", action="version", version=f"policies {__version__}")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        _run(options, shlex.join(["python", "-m", "policies", *arguments]))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


@dataclass(frozen=True)
class Lesson:
    """One policy to be trained: on what, how, scored on what, and where it goes."""

    scenario: Scenario
    training: Training
    preset: AnyPreset
    test: Scenario
    seed: int
    out: Path


def _lessons(options: argparse.Namespace) -> list[Lesson]:
    """Return a lesson for each point of the training scenario's sweep."""
    scenarios = _scenarios(options.scenario, options.settings, {"delta_t", "training.algorithm"})
    files = _files(options.out, scenarios)
    return [_lesson(options, scenario, file) for scenario, file in zip(scenarios, files, strict=True)]


def _lesson(options: argparse.Namespace, scenario: Scenario, file: Path) -> Lesson:
    from emulator.training_spec import Training
    from policies.evaluation import EVALUATION_SEED

    seed = scenario.seed if options.seed is None else options.seed
    if not 0 <= seed < EVALUATION_SEED:
        raise InputError(f"--seed must be between 0 and {EVALUATION_SEED - 1}, got {seed}")
    chosen = {"preset": options.preset, "iterations": options.iterations, "observation": options.observation}
    if options.iterations is not None and options.iterations < 1:
        raise InputError(f"--iterations must be at least 1, got {options.iterations}")
    training = (scenario.training or Training()).model_copy(
        update={key: value for key, value in chosen.items() if value is not None}
    )
    if options.observation is not None and training.algorithm != "MF-R":
        raise InputError(f"--observation must stand beside training.algorithm MF-R, got {training.algorithm}")
    score = options.evaluate
    if score is None and training.score is not None:
        score = str(Path(scenario.folder) / training.score)
    test = scenario
    if score is not None:
        tests = _scenarios(score)
        found = tests[0] if len(tests) == 1 else next((x for x in tests if x.delta_t == scenario.delta_t), None)
        if found is None:
            raise InputError(f"{score}: delta_t must take the value {scenario.delta_t:g} too")
        test = found
    if test.buffer != scenario.buffer:
        raise InputError(f"{score}: buffer must be {scenario.buffer} as in training, got {test.buffer}")
    return Lesson(scenario, training, preset_of(training), test, seed, file)


def _files(out: str | None, scenarios: Sequence[Scenario]) -> list[Path]:
    """Return where each scenario's policy goes: into the folder `out` if there are several, else to the file `out`."""
    if len(scenarios) > 1:
        folder = Path(out or ".")
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"--out must be a folder that can be written to where something is swept, got {folder}")
        return [folder / _file_name(scenario, scenario.name) for scenario in scenarios]
    file = Path(out or _file_name(scenarios[0], scenarios[0].topology.kind))
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise InputError(f"--out must be a file in a folder that can be written to, got {file}")
    return [file]


def _file_name(scenario: Scenario, name: str) -> str:
    """Return `torus_5.onnx`, or `torus_mf_n_5.onnx` for another algorithm than MF-R."""
    algorithm = UNNAMED if scenario.training is None else scenario.training.algorithm
    middle = "" if algorithm == UNNAMED else f"_{algorithm.lower().replace('-', '_')}"
    return f"{name}{middle}_{scenario.delta_t:g}.onnx"


def _run(options: argparse.Namespace, command: str) -> None:
    """Train, score and write each policy, and print a line that tells of it."""
    from emulator.report import progress_bar

    lessons = _lessons(options)
    try:
        import cma  # noqa: F401

        import policies.training  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: pip install 'load-balancing-emulator[train]'"
        ) from error
    total = sum(lesson.preset.iterations for lesson in lessons)
    with progress_bar(total, quiet=options.quiet, doing="training") as advance:
        for lesson in lessons:
            print(_train(lesson, command, Path(options.logs), options.fresh, lambda: advance(1)), flush=True)


def _train(lesson: Lesson, command: str, logs: Path, fresh: bool, on_iteration: Callable[[], None]) -> str:
    """Train, score and write one policy, and return the line that tells of it."""
    from policies.evaluation import score
    from policies.export import rules_of, set_metadata, write
    from policies.training_log import TrainingLog

    scenario, test, preset = lesson.scenario, lesson.test, lesson.preset
    metadata = _metadata(lesson, command)
    folder = logs / lesson.out.stem
    if fresh and folder.exists():
        shutil.rmtree(folder)
    identity = {key: value for key, value in metadata.items() if key != "command"}
    model = _learn(lesson, TrainingLog(folder, identity, on_iteration), metadata)
    rules = rules_of(model)
    result = score(test.system(), rules, preset.observation)
    own = score(replace(scenario.system(), horizon=test.horizon), rules, preset.observation)
    told = _told(result, test) | {
        "training_drops": f"{own.drops:.4f}",
        "training_drops_low": f"{own.low:.4f}",
        "training_drops_high": f"{own.high:.4f}",
    }
    set_metadata(model, metadata | told)
    write(lesson.out, model)
    return (
        f"{lesson.out}: {result.drops:.3f} drops per server and 50 ms as {EXECUTED_AS[preset.observation]}, "
        f"95 % interval [{result.low:.3f}, {result.high:.3f}], RND {result.random_drops:.3f} "
        f"({result.episodes} episodes of {test.name})"
    )


def _learn(lesson: Lesson, log: TrainingLog, metadata: dict[str, str]) -> Any:
    """Return the learned policy as an ONNX model."""
    import numpy as np

    from policies.direct_search import search
    from policies.export import linear_to_onnx, to_onnx
    from policies.training import train

    scenario, preset = lesson.scenario, lesson.preset
    graphs = range(scenario.seed, scenario.seed + lesson.training.graphs)
    systems = [scenario.model_copy(update={"seed": seed}).system() for seed in graphs]
    if isinstance(preset, Preset):
        systems = [replace(system, horizon=preset.epochs * scenario.delta_t) for system in systems]
        return to_onnx(train(systems, preset, seed=lesson.seed, log=log), metadata)
    start = None
    if preset.observation != "own":
        # The best fixed rule is quickly found and a good place to begin at.
        fixed = PRESETS["fast"]["STATIC"]
        assert not isinstance(fixed, Preset)
        start = np.clip(search(systems, fixed, seed=lesson.seed)[:, 0], 0.0, 1.0)
    return linear_to_onnx(search(systems, preset, seed=lesson.seed, start=start, log=log), metadata)


def _metadata(lesson: Lesson, command: str) -> dict[str, str]:
    """Return what a policy's file says of how it came to be."""
    from dispatchers.policy import CONTRACT_VERSION

    scenario, training, preset = lesson.scenario, lesson.training, lesson.preset
    return {
        "contract_version": CONTRACT_VERSION,
        "buffer": str(scenario.buffer),
        "delta_t": f"{scenario.delta_t:g}",
        "topology": scenario.topology.kind,
        "algorithm": training.algorithm,
        "observation": preset.observation,
        "training_scenario": json.dumps(_provenance(scenario)),
        "preset": training.preset,
        "iterations": str(preset.iterations),
        "seed": str(lesson.seed),
        "version": __version__,
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "command": command,
    }


def _scenarios(path: str, settings: Sequence[str] = (), sweeping: Collection[str] = ("delta_t",)) -> list[Scenario]:
    """Return the scenarios at the points of a sweep over some keys, or the only one there is."""
    from emulator.scenario_file import load

    plan = load(path, settings)
    for key in plan.swept:
        if key not in sweeping:
            raise InputError(f"{path}: {key} must have one value here, but is swept")
    for point in plan.points:
        if point.scenario.service.work != "exponential":
            raise InputError(f"{path}: service.work must be exponential here, got {point.scenario.service.work}")
    return [point.scenario for point in plan.points]


def _provenance(scenario: Scenario) -> dict[str, object]:
    return scenario.model_dump(
        exclude={"folder", "dispatchers", "replications", "engine", "trace", "plot"}, exclude_none=True, mode="json"
    )


def _told(result: Score, test: Scenario) -> dict[str, str]:
    """Return the score as metadata: what, with which interval, against what, on what."""
    return {
        "score": f"{result.drops:.4f}",
        "score_low": f"{result.low:.4f}",
        "score_high": f"{result.high:.4f}",
        "score_random": f"{result.random_drops:.4f}",
        "score_episodes": str(result.episodes),
        "score_scenario": json.dumps(_provenance(test)),
    }
