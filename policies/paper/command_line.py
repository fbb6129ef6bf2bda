"""`python -m policies.paper`: make the paper's figures anew and write docs/paper.md with the claims held against them.

A figure is a scenario file in scenarios/paper, which is emulated, or trained on if its picture is of trainings; its run
can be stopped and taken up again like any other.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd

import emulator
from dispatchers.errors import DispatcherError
from emulator.command_line import BAD_INPUT, FAILED, Parser
from emulator.errors import InputError
from emulator.interruption import INTERRUPTED
from emulator.picture import picture_of
from emulator.plot_spec import KINDS_OF_TRAINING
from emulator.replications import shipped_policies
from emulator.scenario_file import load
from policies import command_line
from policies.paper import limits
from policies.paper.figure import Figure
from policies.paper.page import page

ROOT = Path(__file__).resolve().parents[2]

LIBRARIES = ("torch", "stable_baselines3", "sb3_contrib", "cma")
"""What trainings need."""


def scenarios(folder: Path) -> dict[str, Path]:
    """Return the scenario files of all figures by name, in the order of the page."""
    paths = {path.stem.removeprefix("figure_"): path for path in folder.glob("*.yaml") if path.stem != "base"}
    return {name: paths[name] for name in sorted(paths, key=lambda name: (not name[0].isdigit(), name))}


def is_of_training(path: Path) -> bool:
    """Return whether a figure's picture is of trainings."""
    return load(path).points[0].scenario.plot.kind in KINDS_OF_TRAINING


def run(path: Path, folder: Path, options: argparse.Namespace) -> Figure:
    """Make a figure's run, or take it up again, and return what it left. Raises `InputError`."""
    name = path.stem.removeprefix("figure_")
    if is_of_training(path):
        _train(path, folder, options)
        return Figure(name, pd.read_parquet(folder / "training.parquet"))
    summary = emulator.run(
        path,
        out=folder,
        replications=options.replications,
        workers=options.workers,
        engine=options.engine,
        fresh=options.fresh,
    )
    if summary.attrs["failures"]:
        raise InputError(f"{path}: {summary.attrs['failures'][0]}")
    return _read(name, path, folder)


def _read(name: str, path: Path, folder: Path) -> Figure:
    """Return what an emulation left."""
    plan = load(path)
    rows = pd.read_parquet(folder / "episodes.parquet")
    episodes, lengths = rows["replication"].nunique(), plan.points[0].scenario.buffer + 1
    if name.startswith("theorem_1"):
        rows = limits.growth(folder, lengths)
    elif name == "bethe_root":
        rows = limits.root(folder, lengths)
    levels = picture_of(plan, shipped_policies()).levels
    return Figure(name, rows, next(iter(levels.values()), None), episodes)


def _train(path: Path, folder: Path, options: argparse.Namespace) -> None:
    """Train what a scenario asks for, as far as it was not done before, with its table and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [str(path), "--out", str(folder), "--logs", str(folder / "logs"), "--quiet"]
    for key in ("iterations", "workers"):
        if getattr(options, key) is not None:
            arguments += [f"--{key}", str(getattr(options, key))]
    with redirect_stdout(sys.stderr):
        status = command_line.main([*arguments, *(["--fresh"] if options.fresh else [])])
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status != 0:
        raise InputError(f"{path}: the training failed")


def missing_library() -> str | None:
    """Return the first library that trainings need and that is not installed."""
    return next((name for name in LIBRARIES if importlib.util.find_spec(name) is None), None)


def make(options: argparse.Namespace) -> tuple[dict[str, Figure], list[str]]:
    """Make all figures that are asked for, with their pictures; return them, and sentences on those left out."""
    paths = scenarios(options.scenarios)
    if not paths:
        raise InputError(f"--scenarios must be a folder with scenarios of figures, got {options.scenarios}")
    unknown = [name for name in options.only or [] if name not in paths]
    if unknown:
        raise InputError(f"--only must name figures, {', '.join(paths)}; got {unknown[0]}")
    wanted = {name: path for name, path in paths.items() if not options.only or name in options.only}
    library, figures, untrained = missing_library(), {}, []
    for name, path in wanted.items():
        if library is not None and is_of_training(path):
            print(f"{path.stem}: left out, as trainings need {library}, which is not installed", file=sys.stderr)
            untrained.append(name)
            continue
        started = time.perf_counter()
        figures[name] = run(path, options.runs / path.stem, options)
        shutil.copy(options.runs / path.stem / "summary.png", options.docs / "paper" / f"{path.stem}.png")
        print(f"{path.stem}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return figures, list(_left_out(paths, wanted, untrained, library))


def _left_out(
    paths: Iterable[str], wanted: Iterable[str], untrained: Sequence[str], library: str | None
) -> Iterator[str]:
    unwanted = [name for name in paths if name not in wanted]
    if untrained:
        yield f"Not here: {_named(untrained)}, whose trainings need {library}, which was not installed."
    if unwanted:
        yield f"Not asked for: {_named(unwanted)}."


def _named(names: Iterable[str]) -> str:
    return ", ".join(name.lstrip("0").replace("_", " ") for name in names)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(prog="python -m policies.paper", description=__doc__)
    result.add_argument("--only", nargs="+", metavar="NAME", help="figures to make, such as 05 08 theorem_1_torus")
    result.add_argument("--replications", type=int, metavar="N", help="instead of the scenarios' 100")
    result.add_argument("--iterations", type=int, metavar="N", help="of each training, instead of the scenarios'")
    result.add_argument("--engine", choices=["auto", "simpy", "compiled"], help="instead of the scenarios'")
    result.add_argument("--workers", type=int, metavar="N", help="cores to use (default: all)")
    result.add_argument("--fresh", action="store_true", help="make the figures anew, whatever is there")
    result.add_argument("--scenarios", type=Path, default=ROOT / "scenarios" / "paper", help="where the scenarios are")
    result.add_argument("--runs", type=Path, default=Path("runs/paper"), help="where runs go (default: %(default)s)")
    result.add_argument(
        "--docs",
        type=Path,
        help="where paper.md and its pictures go (default: docs, or with --only, whose page holds no others, --runs)",
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parser().parse_args(arguments)
    if options.docs is None:
        options.docs = options.runs if options.only else ROOT / "docs"
    try:
        for key, least in (("replications", 2), ("iterations", 1), ("workers", 1)):  # one replication has no interval
            if (value := getattr(options, key)) is not None and value < least:
                raise InputError(f"--{key} must be at least {least}, got {value}")
        if not command_line.is_writable(options.docs / "paper") or (options.docs / "paper.md").is_dir():
            raise InputError(f"--docs must be a folder that can be written to, got {options.docs}")
        figures, missing = make(options)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except (InputError, DispatcherError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    if not figures:
        return FAILED
    (options.docs / "paper.md").write_text(page(figures, missing), encoding="utf-8")
    return 0
