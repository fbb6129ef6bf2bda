"""`python -m policies`: train upper-level policies on scenarios' systems and write them as ONNX files."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emulator import interruption
from emulator.command_line import BAD_INPUT, Parser
from emulator.errors import InputError
from emulator.version import __version__
from policies.presets import PRESETS

if TYPE_CHECKING:
    from emulator.scenario_file import Plan
    from policies.lessons import Lesson

DESCRIPTION = """\
Learn an upper-level policy on the system that a scenario describes, as its section training: says, by PPO
(Algorithm 1 of the paper) unless it says otherwise; one for each point of its sweep, in several processes.
Each policy goes to an ONNX file, which the dispatchers MF-R, MF-N, MF-G, MF-RNN, NA-PS and SAC take.
A training that was cut off, even by a kill, goes on where it was when the same command is given again, a search anew;
one whose file is there is not done again. A scenario whose plot: shows the training also gets its picture.
Needs the extra train: pip install 'load-balancing-emulator[train]'
"""

EXAMPLES = """\
examples:
  python -m policies scenarios/training/torus.yaml --out policies/trained
  python -m policies scenarios/training/torus.yaml --set delta_t=3 --set training.algorithm=MF-N
  python -m policies scenarios/training/torus.yaml --set training.algorithm=MF-R --preset paper
  python -m policies scenarios/training/*.yaml --out policies/trained  # all that is shipped

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
    result.add_argument("scenarios", metavar="SCENARIO", nargs="+", help="a scenario to train on (YAML)")
    result.add_argument(
        "--out",
        metavar="FILE",
        help="a file if it ends in .onnx (default: <topology>_<delta_t>.onnx, here), else a folder "
        "for <scenario>_<delta_t>.onnx, <scenario>_static_<delta_t>.onnx and so on",
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
        help="where each training has a folder with its iterations (CSV), TensorBoard's events and, unless it is a "
        "search, its checkpoint (default: %(default)s)",
    )
    result.add_argument("--fresh", action="store_true", help="train anew, whatever is there")
    result.add_argument("--workers", type=int, metavar="N", help="cores to use (default: all)")
    result.add_argument("--quiet", action="store_true", help="no progress on standard error")
    result.add_argument("--version", action="version", version=f"policies {__version__}")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    try:
        with interruption.raised():
            _run(options, shlex.join(["python", "-m", "policies", *arguments]))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return interruption.INTERRUPTED
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


def is_writable(folder: Path) -> bool:
    """Make a folder if it is not there, and return whether files can be written to it."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder.is_dir() and os.access(folder, os.W_OK)


def _lessons(options: argparse.Namespace) -> tuple[list[Plan], list[Lesson]]:
    """Return the training scenarios, and a lesson for each point of their sweeps."""
    from emulator.scenario_file import load
    from policies.lessons import Wishes, lessons_of

    for key in ("iterations", "workers"):
        if getattr(options, key) is not None and getattr(options, key) < 1:
            raise InputError(f"--{key} must be at least 1, got {getattr(options, key)}")
    out = None if options.out is None else Path(options.out)
    plans = [load(path, options.settings) for path in options.scenarios]
    wishes = Wishes(
        preset=options.preset,
        iterations=options.iterations,
        observation=options.observation,
        seed=options.seed,
        score=options.evaluate,
    )
    lessons = lessons_of(plans, wishes, out)
    for lesson in lessons:
        if lesson.out.is_dir():
            raise InputError(f"--out must lead to files, got the folder {lesson.out}")
    for key, folder in (("--out", lessons[0].out.parent), ("--logs", Path(options.logs))):
        if not is_writable(folder):
            raise InputError(f"{key} must lead to a folder that can be written to, got {folder}")
    return plans, lessons


def _run(options: argparse.Namespace, command: str) -> None:
    """Train, score and write each policy, and print a line that tells of it."""
    from emulator.report import progress_bar

    plans, lessons = _lessons(options)
    try:
        import cma  # noqa: F401

        import policies.training  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: pip install 'load-balancing-emulator[train]'"
        ) from error
    from emulator.picture import picture_of_training
    from policies.learning import expected_seconds, identity_of, is_learned, learn_all, log_folder, teacher
    from policies.training_log import check_identity
    from policies.training_table import write_trainings

    logs = Path(options.logs)
    pictures = [picture_of_training(plan) for plan in plans]
    left = []
    for lesson in lessons:
        if not options.fresh and is_learned(lesson, logs):
            print(f"{lesson.out}: is there already (--fresh trains it anew)")
            continue
        if not options.fresh:
            check_identity(log_folder(lesson, logs), identity_of(lesson))  # before any training begins
        left.append(lesson)
    total = sum(map(expected_seconds, left))
    with progress_bar(total, quiet=options.quiet, doing="training") as advance:
        for line in learn_all(left, partial(teacher, command, logs, options.fresh), options.workers, advance):
            print(line, flush=True)
    for plan, picture in zip(plans, pictures, strict=True):
        own, lessons = lessons[: len(plan.points)], lessons[len(plan.points) :]
        if picture is not None:
            write_trainings(own, logs, own[0].out.parent, picture)
            print(f"{own[0].out.parent}: training.parquet and summary.png of {plan.name}")
