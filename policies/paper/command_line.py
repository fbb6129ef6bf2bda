"""`python -m policies.paper`: make the paper's figures anew and write docs/paper.md with the claims held against them.

A figure is a scenario file in scenarios/paper; its run can be stopped and taken up again like any other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from emulator.command_line import FAILED, Parser
from emulator.machine import interruption
from emulator.machine.option_numbers import whole
from policies.command_line import GOES_ON, MOST_ITERATIONS, done

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(prog="python -m policies.paper", description=__doc__)
    result.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="figures to make, such as 5 7a theorem_1_torus; 7 stands for all of its parts",
    )
    # One replication has no interval.
    result.add_argument("--replications", type=whole(2, 1_000_000), metavar="N", help="instead of the scenarios' 100")
    result.add_argument(
        "--iterations", type=whole(1, MOST_ITERATIONS), metavar="N", help="of each training, instead of the scenarios'"
    )
    result.add_argument("--engine", choices=["auto", "simpy", "compiled"], help="instead of the scenarios'")
    result.add_argument("--workers", type=whole(1, 10_000), metavar="N", help="cores to use (default: all)")
    result.add_argument("--fresh", action="store_true", help="make the figures anew, whatever is there")
    result.add_argument("--quiet", action="store_true", help="no progress on standard error")
    result.add_argument(
        "--scenarios", type=Path, metavar="DIR", default=ROOT / "scenarios" / "paper", help="where the scenarios are"
    )
    result.add_argument(
        "--runs", type=Path, metavar="DIR", default=Path("runs/paper"), help="where runs go (default: %(default)s)"
    )
    result.add_argument(
        "--docs",
        type=Path,
        metavar="DIR",
        help="where paper.md and its pictures go (default: docs, or with --only, whose page holds no others, --runs)",
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    if options.docs is None:
        options.docs = options.runs if options.only else ROOT / "docs"
    return done("policies.paper", arguments, partial(_make, options))


def _make(options: argparse.Namespace, command: str) -> int:
    from policies.paper.making import make
    from policies.paper.page import page

    interruption.say(GOES_ON)
    with interruption.raised():
        figures, missing = make(options, command)
    if not figures:
        return FAILED
    (options.docs / "paper.md").write_text(page(figures, missing), encoding="utf-8")
    return 0
