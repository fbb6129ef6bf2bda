"""`python -m policies`: train upper-level policies on scenarios' systems and write them as ONNX files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial

import policies
from dispatchers.errors import DispatcherError
from emulator.command_line import BAD_INPUT, Parser
from emulator.errors import InputError
from emulator.machine import interruption
from emulator.machine.option_numbers import whole
from emulator.version import __version__

MOST_ITERATIONS = 10_000_000
"""Of a training, as in a scenario."""

GOES_ON = "interrupted: the same command goes on from here"

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
        choices=["fast", "paper"],
        help="hyperparameters: a quick recipe, or Table 2 (default: the scenario's, or fast)",
    )
    result.add_argument(
        "--iterations", type=whole(1, MOST_ITERATIONS), metavar="N", help="iterations, instead of the preset's"
    )
    result.add_argument(
        "--observation",
        choices=["own", "all"],
        help="train MF-R for the own queue length, as it is executed, or for the distribution of all queues, "
        "as Algorithm 1 has it (default: own with fast, all with paper)",
    )
    result.add_argument("--seed", type=int, metavar="N", help="seed of the training, instead of the scenario's")
    told = "the scenario whose system the policy is scored on (default: the same)"
    result.add_argument("--evaluate", metavar="SCENARIO", help=told)
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
    result.add_argument("--workers", type=whole(1, 10_000), metavar="N", help="cores to use (default: all)")
    result.add_argument("--quiet", action="store_true", help="no progress on standard error")
    result.add_argument("--version", action="version", version=f"policies {__version__}")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return done("policies", arguments, partial(_train, parser().parse_args(arguments)))


def done(module: str, arguments: Sequence[str], work: Callable[[str], int]) -> int:
    """Do the work of a command, which is handed the command as files tell it, and return the exit status."""
    from policies.provenance import without_folders

    try:
        return work(shlex.join(["python", "-m", module, *map(without_folders, arguments)]))
    except KeyboardInterrupt:
        print(f"{interruption.line_start()}{GOES_ON}", file=sys.stderr)
        return interruption.INTERRUPTED
    except (InputError, DispatcherError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _train(options: argparse.Namespace, command: str) -> int:
    """Train, score and write each policy, and print a line that tells of it."""
    keys = ("out", "logs", "settings", "fresh", "preset", "iterations", "observation", "seed", "workers", "quiet")
    interruption.say(GOES_ON)
    with interruption.raised():
        policies.train(
            options.scenarios,
            score_on=options.evaluate,
            command=command,
            tell=partial(print, flush=True),
            **{key: getattr(options, key) for key in keys},
        )
    return 0
