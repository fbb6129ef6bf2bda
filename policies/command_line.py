"""`python -m policies`: train an upper-level policy on a scenario's system and write it as ONNX file."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
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
Train an upper-level policy by PPO (Algorithm 1 of the paper) on the system that a scenario describes, an
episode being its horizon. The policy goes to an ONNX file, which the dispatchers MF-R, MF-N and MF-G take.
Needs the extra train: pip install 'load-balancing-emulator[train]'
"""

EXAMPLES = """\
examples:
  python -m policies scenarios/training/torus.yaml
  python -m policies scenarios/training/torus.yaml --set delta_t=3 --set horizon=150 --out torus_3.onnx
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
    result.add_argument("--out", metavar="FILE", help="the ONNX file (default: <topology>_<delta_t>.onnx, here)")
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
        print(_train(options, shlex.join(["python", "-m", "policies", *arguments])))
    except KeyboardInterrupt:
        print("\ninterrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


def _train(options: argparse.Namespace, command: str) -> str:
    """Train, score and write a policy, and return the line that tells of it."""
    from dispatchers.policy import CONTRACT_VERSION
    from emulator.report import progress_bar
    from policies.evaluation import EVALUATION_SEED, score
    from policies.export import rules_of, to_onnx, write

    preset = _preset(options)
    scenario = _scenario(options.scenario, options.settings)
    test = scenario if options.evaluate is None else _scenario(options.evaluate)
    if test.buffer != scenario.buffer:
        raise InputError(f"{options.evaluate}: buffer must be {scenario.buffer} as in training, got {test.buffer}")
    seed = scenario.seed if options.seed is None else options.seed
    if not 0 <= seed < EVALUATION_SEED:
        raise InputError(f"--seed must be between 0 and {EVALUATION_SEED - 1}, got {seed}")
    out = Path(options.out or f"{scenario.topology.kind}_{scenario.delta_t:g}.onnx")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise InputError(f"--out must be a file in a folder that can be written to, got {out}")
    system, test_system = scenario.system(), test.system()
    try:
        from policies.training import train
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: pip install 'load-balancing-emulator[train]'"
        ) from error
    with progress_bar(preset.iterations, quiet=options.quiet, doing="training") as advance:
        policy = train(system, preset, seed=seed, on_iteration=lambda drops: advance(1))
    metadata = {
        "contract_version": CONTRACT_VERSION,
        "buffer": str(scenario.buffer),
        "delta_t": f"{scenario.delta_t:g}",
        "topology": scenario.topology.kind,
        "observation": preset.observation,
        "training_scenario": json.dumps(_provenance(scenario)),
        "preset": options.preset,
        "iterations": str(preset.iterations),
        "seed": str(seed),
        "version": __version__,
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "command": command,
    }
    result = score(test_system, rules_of(to_onnx(policy, metadata)), preset.observation)
    write(out, to_onnx(policy, metadata | _told(result, test)))
    return (
        f"{out}: {result.drops:.3f} drops per server and 50 ms as {EXECUTED_AS[preset.observation]}, "
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


def _scenario(path: str, settings: Sequence[str] = ()) -> Scenario:
    from emulator.scenario_file import load

    plan = load(path, settings)
    if plan.swept:
        raise InputError(f"{path}: {plan.swept[0]} must have one value here, but is swept")
    scenario = plan.points[0].scenario
    if scenario.service.work != "exponential":
        raise InputError(f"{path}: service.work must be exponential here, got {scenario.service.work}")
    return scenario


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
