"""How figures are made: which are meant, their runs, one after the other, and what is left out.

A figure is a scenario file in scenarios/paper, which is emulated, or trained on if its picture is of trainings; its run
can be stopped and taken up again like any other. That of the Bethe lattice's root is drawn by the law of the epochs.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import policies
from emulator.errors import InputError
from emulator.machine import interruption
from emulator.machine.processes import Report
from emulator.machine.progress import progress_bar
from emulator.report.figure import picture_of
from emulator.report.plots import summary_picture
from emulator.runs.run import execute, load_plan
from emulator.runs.tasks import cells_of, extent_of
from emulator.scenario.plan import Plan
from emulator.scenario.plot import KINDS_OF_TRAINING
from policies.paper.figure import Figure, spoken
from policies.paper.growth import growth
from policies.paper.root import root
from policies.table import read_trainings
from policies.tasks import Overrides
from policies.training import Trainings, is_writable

LIBRARIES = ("torch", "stable_baselines3", "sb3_contrib", "cma")
"""What trainings need."""

ROOT = "bethe_root"
"""The figure that is drawn by the law of the epochs, and SECONDS_PER_NODE what a queue takes there in an episode."""

SECONDS_PER_NODE = 1e-6


class Order(NamedTuple):
    """A figure that is to be made, whose scenario has been read."""

    name: str
    path: Path
    plan: Plan
    trainings: Trainings | None
    """What is trained, if the picture is of trainings."""

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        if self.trainings is not None:
            return self.trainings.seconds
        if self.name == ROOT:
            scenarios = [point.scenario for point in self.plan.points]
            queues = sum(point.node_count() for point in self.plan.points)
            return queues * scenarios[0].replications * len(scenarios[0].dispatchers) * SECONDS_PER_NODE
        return extent_of(cells_of(self.plan)).seconds


def scenarios(folder: Path) -> dict[str, Path]:
    """Return the scenario files of all figures by name, in the order of the page."""
    paths = {path.stem.removeprefix("figure_"): path for path in folder.glob("*.yaml") if path.stem != "base"}
    return {name: paths[name] for name in sorted(paths, key=lambda name: (not name[0].isdigit(), name))}


def chosen(names: Iterable[str], words: Sequence[str] | None) -> list[str]:
    """Return the names meant by words such as 05, 7A, 7, figure_05 or theorem_1, all by none. Raises `InputError`."""
    names = list(names)
    if not words:
        return names
    meant: set[str] = set()
    for word in ",".join(words).split(","):
        pattern = re.escape(_shortened(word)) + r"([a-z]|_\w+)?"
        found = [name for name in names if re.fullmatch(pattern, _shortened(name))]
        if not found:
            raise InputError(f"--only must name figures, {', '.join(_families(names))}; got {word[:40]}")
        exact = [name for name in found if _shortened(name) == _shortened(word)]
        meant.update(exact or found)
    return [name for name in names if name in meant]


def _families(names: Iterable[str]) -> list[str]:
    """Return what figures are called, those that begin with the same word once, as that stands for all of them."""
    families: dict[str, list[list[str]]] = {}
    for name in map(_shortened, names):
        words = name.split("_")
        families.setdefault(words[0], []).append(words)
    common = (takewhile(lambda words: len(set(words)) == 1, zip(*some, strict=False)) for some in families.values())
    return ["_".join(words[0] for words in some) for some in common]


def _shortened(name: str) -> str:
    """Return 5 for 05, figure_05 and scenarios/paper/figure_05.yaml."""
    stem = re.sub(r"[\s-]+", "_", name.rpartition("/")[2].strip().lower()).removesuffix(".yaml")
    return stem.removeprefix("figure_").lstrip("0")


def make(options: argparse.Namespace, command: str) -> tuple[dict[str, Figure], list[str]]:
    """Make the figures that are asked for; return them, and sentences on others. Raises as its parts do."""
    paths = scenarios(options.scenarios)
    if not paths:
        raise InputError(f"--scenarios must be a folder with scenarios of figures, got {options.scenarios}")
    wanted = chosen(paths, options.only)
    library = next((name for name in LIBRARIES if importlib.util.find_spec(name) is None), None)
    orders, untrained = [], []
    for name in wanted:
        order = _order(name, paths[name], options)
        if order.trainings is not None and library is not None:
            print(f"{order.path.stem}: left out, as trainings need {library}, which is not installed", file=sys.stderr)
            untrained.append(name)
        else:
            orders.append(order)
    _check_folders(orders, options)
    return _made(orders, options, command), list(_left_out(paths, wanted, untrained, library))


def _order(name: str, path: Path, options: argparse.Namespace) -> Order:
    plan = load_plan(path, engine=options.engine, replications=options.replications)
    if plan.points[0].scenario.plot.kind not in KINDS_OF_TRAINING:
        return Order(name, path, plan, None)
    overrides = Overrides(iterations=options.iterations)
    return Order(name, path, plan, Trainings(path, overrides, **_places(path, options)))


def _places(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return where the files of a figure's trainings go, and whether they are made anew."""
    folder = options.runs / path.stem
    return {"out": folder, "logs": folder / "logs", "fresh": options.fresh}


def _check_folders(orders: Sequence[Order], options: argparse.Namespace) -> None:
    """Make the folders that are written to, but for those of emulations, which look after their own."""
    trained = (options.runs / order.path.stem for order in orders if order.trainings is not None)
    for folder in (options.runs, *trained):
        if not is_writable(folder):
            raise InputError(f"--runs must lead to folders that can be written to, got {folder}")
    if not is_writable(options.docs / "paper") or (options.docs / "paper.md").is_dir():
        raise InputError(f"--docs must be a folder that can be written to, got {options.docs}")


def _made(orders: Sequence[Order], options: argparse.Namespace, command: str) -> dict[str, Figure]:
    figures = {}
    total = sum(order.seconds for order in orders)
    with progress_bar(total, quiet=options.quiet, doing="making figures") as advance:
        for number, order in enumerate(orders, start=1):
            interruption.heed()
            stem, started = order.path.stem, time.perf_counter()
            doing = "training" if order.trainings is not None else "drawing" if order.name == ROOT else "emulating"
            print(f"{stem}: {doing}, {number} of {len(orders)}", file=sys.stderr, flush=True)
            if order.trainings is not None:
                figures[order.name] = _trained(order, options, command, advance)
            elif order.name == ROOT:
                figures[order.name] = _drawn(order, options, advance)
            else:
                figures[order.name] = _emulated(order, options, advance)
            shutil.copy(options.runs / stem / "summary.png", options.docs / "paper" / f"{stem}.png")
            print(f"{stem}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return figures


def _trained(order: Order, options: argparse.Namespace, command: str, advance: Report) -> Figure:
    """Train what a figure asks for, as far as it was not done before, and return what that left."""
    folder = options.runs / order.path.stem
    policies.train(
        order.path,
        **_places(order.path, options),
        iterations=options.iterations,
        workers=options.workers,
        command=command,
        tell=partial(print, file=sys.stderr, flush=True),
        progress=advance,
    )
    return Figure(order.name, read_trainings(folder))


def _emulated(order: Order, options: argparse.Namespace, advance: Report) -> Figure:
    """Make a figure's run, or take it up again, and return what it left."""
    folder = options.runs / order.path.stem
    results, failures = execute(order.plan, out=folder, workers=options.workers, fresh=options.fresh, advance=advance)
    if failures:
        raise InputError(f"{order.path}: {failures[0]}")
    rows, table = results.episodes, None
    if order.name.startswith("theorem_1"):
        table = growth(results, order.plan.points[0].scenario.buffer + 1)
    return Figure(order.name, rows, rows["replication"].nunique(), table)


def _drawn(order: Order, options: argparse.Namespace, advance: Report) -> Figure:
    """Draw the root of the Bethe lattice beside the average node, and their difference as a picture."""
    rows = root(order.plan, lambda share: advance(share * order.seconds))
    folder = options.runs / order.path.stem
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"length": "mean_drops", "length_low": "ci_low", "length_high": "ci_high"}
    picture = picture_of(order.plan, None)
    summary_picture(rows.rename(columns=columns), order.plan.swept, folder / "summary.png", picture.title, picture.plot)
    return Figure(order.name, rows)


def _left_out(
    paths: Mapping[str, Path], wanted: Sequence[str], untrained: Sequence[str], library: str | None
) -> Iterator[str]:
    unwanted = ", ".join(spoken(name) for name in paths if name not in wanted)
    if untrained:
        yield f"Not here: {', '.join(map(spoken, untrained))}, whose trainings need {library}, which was not installed."
    if unwanted:
        yield f"Not asked for: {unwanted}."
