"""`python -m policies`: train an upper-level policy on a scenario's system and write it as ONNX file."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.command_line import BAD_INPUT, INTERRUPTED, Parser, interrupt
from emulator.errors import InputError
from emulator.version import __version__
from policies.presets import PRESETS, Preset

if TYPE_CHECKING:
    from emulator.scenario import Scenario
    from policies.evaluation import Score

LIBRARIES = ["torch", "stable-baselines3", "numpy"]
"""What a policy's bits depend on."""

EXECUTED_AS = {"own": "MF-R", "all": "MF-G"}
"""The dispatcher that executes a policy on what it was trained for."""

DESCRIPTION = """\
Train an upper-level policy by PPO (Algorithm 1 of the paper) on the system that a scenario describes, one
for each value of delta_t. An episode has 50 epochs, whatever the horizon. Each policy goes to an ONNX file,
which the dispatchers MF-R, MF-N and MF-G take.
Needs the extra train: pip install 'load-balancing-emulator[train]'
"""

EXAMPLES = """\
examples:
  python -m policies scenarios/training/torus.yaml
  python -m policies scenarios/training/torus.yaml --set delta_t=3 --out torus_3.onnx
  python -m policies scenarios/training/torus.yaml --preset paper --evaluate scenarios/torus70.yaml

exit status: 0 done, 2 bad input, 130 interrupted (nothing is written), 1 anything else
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
        help="the ONNX file (default: <topology>_<delta_t>.onnx, here); where delta_t is swept, the folder for "
        "<scenario>_<delta_t>.onnx",
    )
    result.add_argument(
        "--preset",
        choices=PRESETS,
        default="fast",
        help="hyperparameters: a quick recipe, or Table 2 (default: fast)",
    )
    result.add_argument("--iterations", type=int, metavar="N", help="PPO iterations, instead of the preset's")
    result.add_argument(
        "--observation",
        choices=["own", "all"],
        help="train for the own queue length, as MF-R is executed, or for the distribution of all queues, "
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
        print("\ninterrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


@dataclass(frozen=True)
class Lesson:
    """One policy to be trained: on what, scored on what, and where it goes."""

    scenario: Scenario
    test: Scenario
    out: Path


def _lessons(options: argparse.Namespace) -> list[Lesson]:
    """Return a lesson for each point of the training scenario's sweep."""
    scenarios = _scenarios(options.scenario, options.settings)
    tests = scenarios if options.evaluate is None else _scenarios(options.evaluate)
    files = _files(options.out, scenarios)
    lessons = []
    for scenario, file in zip(scenarios, files, strict=True):
        test = tests[0] if len(tests) == 1 else next((x for x in tests if x.delta_t == scenario.delta_t), None)
        if test is None:
            raise InputError(f"{options.evaluate}: delta_t must take the value {scenario.delta_t:g} too")
        if test.buffer != scenario.buffer:
            raise InputError(f"{options.evaluate}: buffer must be {scenario.buffer} as in training, got {test.buffer}")
        lessons.append(Lesson(scenario, test, file))
    return lessons


def _files(out: str | None, scenarios: Sequence[Scenario]) -> list[Path]:
    """Return where each scenario's policy goes: into the folder `out` if there are several, else to the file `out`."""
    if len(scenarios) > 1:
        folder = Path(out or ".")
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"--out must be a folder that can be written to where delta_t is swept, got {folder}")
        return [folder / f"{scenario.name}_{scenario.delta_t:g}.onnx" for scenario in scenarios]
    file = Path(out or f"{scenarios[0].topology.kind}_{scenarios[0].delta_t:g}.onnx")
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise InputError(f"--out must be a file in a folder that can be written to, got {file}")
    return [file]


def _run(options: argparse.Namespace, command: str) -> None:
    """Train, score and write each policy, and print a line that tells of it."""
    from emulator.report import progress_bar
    from policies.evaluation import EVALUATION_SEED

    preset = _preset(options)
    lessons = _lessons(options)
    for lesson in lessons:
        seed = lesson.scenario.seed if options.seed is None else options.seed
        if not 0 <= seed < EVALUATION_SEED:
            raise InputError(f"--seed must be between 0 and {EVALUATION_SEED - 1}, got {seed}")
    try:
        import policies.training  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: pip install 'load-balancing-emulator[train]'"
        ) from error
    with progress_bar(preset.iterations * len(lessons), quiet=options.quiet, doing="training") as advance:
        for lesson in lessons:
            seed = lesson.scenario.seed if options.seed is None else options.seed
            line = _train(lesson, preset, options.preset, seed, command, lambda drops: advance(1))
            print(line, flush=True)


def _train(
    lesson: Lesson,
    preset: Preset,
    preset_name: str,
    seed: int,
    command: str,
    on_iteration: Callable[[float], None],
) -> str:
    """Train, score and write one policy, and return the line that tells of it."""
    from dispatchers.policy import CONTRACT_VERSION
    from policies.evaluation import score
    from policies.export import rules_of, to_onnx, write
    from policies.training import train

    scenario, test = lesson.scenario, lesson.test
    system = replace(scenario.system(), horizon=preset.epochs * scenario.delta_t)
    policy = train(system, preset, seed=seed, on_iteration=on_iteration)
    metadata = {
        "contract_version": CONTRACT_VERSION,
        "buffer": str(scenario.buffer),
        "delta_t": f"{scenario.delta_t:g}",
        "topology": scenario.topology.kind,
        "observation": preset.observation,
        "training_scenario": json.dumps(_provenance(scenario)),
        "preset": preset_name,
        "iterations": str(preset.iterations),
        "seed": str(seed),
        "version": __version__,
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "command": command,
    }
    result = score(test.system(), rules_of(to_onnx(policy, metadata)), preset.observation)
    write(lesson.out, to_onnx(policy, metadata | _told(result, test)))
    return (
        f"{lesson.out}: {result.drops:.3f} drops per server and 50 ms as {EXECUTED_AS[preset.observation]}, "
        f"95 % interval [{result.low:.3f}, {result.high:.3f}], RND {result.random_drops:.3f} "
        f"({result.episodes} episodes of {test.name})"
    )


def _preset(options: argparse.Namespace) -> Preset:
    preset = PRESETS[options.preset]
    if options.iterations is not None:
        if options.iterations < 1:
            raise InputError(f"--iterations must be at least 1, got {options.iterations}")
        preset = replace(preset, iterations=options.iterations)
    if options.observation is not None:
        preset = replace(preset, observation=options.observation)
    return preset


def _scenarios(path: str, settings: Sequence[str] = ()) -> list[Scenario]:
    """Return the scenarios at the points of a sweep over delta_t, or the only one there is."""
    from emulator.scenario_file import load

    plan = load(path, settings)
    for key in plan.swept:
        if key != "delta_t":
            raise InputError(f"{path}: {key} must have one value here, but is swept")
    for point in plan.points:
        if point.scenario.service.work != "exponential":
            raise InputError(f"{path}: service.work must be exponential here, got {point.scenario.service.work}")
    return [point.scenario for point in plan.points]


def _provenance(scenario: Scenario) -> dict[str, object]:
    return scenario.model_dump(
        exclude={"folder", "dispatchers", "replications", "engine", "trace"}, exclude_none=True, mode="json"
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
