"""All of a plan that can prove wrong is looked at before anything runs: systems, dispatchers, the picture."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from dispatchers.catalogue import BUILT_IN, Made, make
from dispatchers.checking import check_dispatcher, check_fit, check_without_own
from dispatchers.contract import Dispatcher
from dispatchers.errors import DispatcherError
from dispatchers.plugins import Files
from dispatchers.user_modules import hash_of
from emulator.engines.auto import obstacle_to, quickest_for
from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.report.figure import Picture, picture_of
from emulator.results.measures import measure_asked
from emulator.scenario.plan import Plan, Point
from emulator.scenario.plugins import PluggedLaw
from emulator.scenario.scenario import Sizes
from emulator.workload.jobs import try_out


def make_dispatcher(point: Point, index: int, *, thoroughly: bool = False) -> Made:
    """Make a point's dispatcher, one of a user put through `check_dispatcher` if asked; `InputError` says the place."""
    buffer, spec = point.scenario.buffer, point.scenario.dispatchers[index]

    def graph_hash() -> str:
        return point.system().topology.graph_hash

    def try_out(dispatcher: Dispatcher) -> None:
        check_fit(dispatcher, buffer, point.scheduler_count(), spec.display, graph_hash=graph_hash)
        if dispatcher.graph_hash is not None and point.scenario.topology.is_per_replication:
            raise DispatcherError(f"{spec.display}: was made for one graph, but each replication has one of its own")
        if not point.has_own():
            check_without_own(dispatcher, buffer)
        if thoroughly and spec.name not in BUILT_IN:
            check_dispatcher(dispatcher, buffer=buffer)

    try:
        return make(
            name=spec.name,
            class_=spec.class_,
            options=spec.options,
            folder=spec.folder,
            shipped=shipped_policies(),
            try_out=try_out,
        )
    except DispatcherError as error:
        raise InputError(f"{point.places[f'dispatchers.{index}']}: {error}") from None


def shipped_policies() -> Path | None:
    """Return the folder of the policies that come with this software, without importing their package."""
    folder = Path(__file__).resolve().parents[2] / "policies"
    return folder if folder.is_dir() else None


class About(NamedTuple):
    """What the check has found out about a dispatcher at a point."""

    files: dict[str, str]
    """Hashes of what it depends on."""
    defaults: dict[str, Any]
    """The values of its options where none are given."""
    is_of_any_size: bool
    """Whether it does as well where there are more or fewer nodes, or another graph."""


class Checked(NamedTuple):
    """What the check of a plan has found out."""

    picture: Picture
    """How the summary is to be drawn."""
    obstacles: dict[str, str]
    """By the name of a dispatcher, why it cannot be compiled."""
    files: dict[str, str]
    """Hashes of what results depend on, by names that say nothing of where it stands, such as `mine.py of Keep`."""
    opened: dict[str, str]
    """The same of files that dispatchers have opened; they may open less another time."""
    hashes: dict[str, str]
    """Of the files of dispatchers, by their absolute paths."""
    remarks: list[str]
    """Lines that say what was changed of what was read."""
    points: list[dict[str, str]]
    """Hashes of the files that a point depends on, and not its dispatchers, point by point."""
    cells: list[list[About]]
    """What there is to say of each dispatcher, point by point."""

    @property
    def uses_folder(self) -> bool:
        """Whether a dispatcher depends on files that do not come with this software."""
        shipped = f"{shipped_policies()}{os.sep}"
        return not all(path.startswith(shipped) for path in self.hashes)


PATIENCE = 5.0
"""Seconds after which no more systems of a sweep are built, and no more variants of one class tried out."""


def check_plan(plan: Plan) -> Checked:
    """Build the systems and try out the dispatchers; raise `InputError` with the place in the file.

    Of many systems some are built, the first and the last among them, as far as that takes seconds; what is wrong with
    another one ends the run when it is its turn. So with a class of dispatchers that many options are swept of. Each
    file is read, and each dispatcher made.
    """
    _check_precision(plan.points[0])
    checked = Checked(picture_of(plan, shipped_policies()), {}, {}, {}, {}, [], [], [])
    _check_systems(plan, checked)
    of_points: dict[str, dict[str, str]] = {}
    of_cells: dict[str, About] = {}
    tried_out: set[tuple[str | None, str | None]] = set()
    start = perf_counter()
    for point in plan.points:
        scenario = point.scenario
        description = repr(scenario.plugins())
        if description not in of_points:
            of_points[description] = _check_plugins(point, checked)
        checked.points.append(of_points[description])
        checked.cells.append([])
        for index, spec in enumerate(scenario.dispatchers):
            kind = repr((spec, spec.folder, scenario.buffer, point.has_own(), quickest_for(scenario)))
            sized = repr((kind, scenario.topology, scenario.seed))
            about = of_cells.get(kind)
            if about is None or not (about.is_of_any_size or sized in of_cells):
                is_new = (spec.name, spec.class_) not in tried_out
                thoroughly = about is None and (is_new or perf_counter() - start < PATIENCE)
                about = _check_dispatcher(point, index, checked, thoroughly=thoroughly)
                tried_out.add((spec.name, spec.class_))
                of_cells |= {kind: about, sized: about}
            checked.cells[-1].append(about if about.is_of_any_size else of_cells[sized])
    return checked


def _check_systems(plan: Plan, checked: Checked) -> None:
    """Build systems: the first, all that are read from a file, and of others as many as there is time for.

    What depends only on how many schedulers and servers there are is checked at every point for which that is known.
    """
    sizes: dict[str, Sizes] = {}
    read: set[str] = set()
    start = perf_counter()
    for point in [plan.points[0], plan.points[-1], *plan.points[1:-1]]:
        scenario = point.scenario
        topology = repr(scenario.topology)
        is_read = scenario.topology.is_read
        description = repr((topology, scenario.service, None if is_read else scenario.seed))
        files = scenario.arrivals.files()
        has_new_arrivals = bool(files) and repr(files) not in read
        is_new_file = has_new_arrivals or (is_read and topology not in read)
        if has_new_arrivals:
            read.add(repr(files))
            for name, file in files.items():
                _append(checked.files, name, hash_of(file) or "")
        if description in sizes:
            point.check_on(sizes[description])
            continue
        if sizes and not is_new_file and perf_counter() - start > PATIENCE:
            continue
        read.add(topology)
        built = point.system().topology
        sizes[description] = Sizes.of(built)
        remark = built.remark
        if remark and remark not in checked.remarks:
            checked.remarks.append(remark)
        path = getattr(scenario.topology, "path", None)
        if path is not None:
            _append(checked.files, "edges of the topology", hash_of(path) or "")


def _check_precision(point: Point) -> None:
    """Check that measures by which a run stops are there."""
    for key in ("precision", "paired_precision"):
        wanted = getattr(point.scenario, key)
        if wanted is not None:
            try:
                measure_asked(wanted.of, f"{key}.of", point.scenario)
            except ScenarioError as error:
                raise InputError(f"{point.places[f'{key}.of']}: {error}") from None


def _check_plugins(point: Point, checked: Checked) -> dict[str, str]:
    """Try out the laws; note, and return, what they and the classes of users depend on that are not dispatchers."""
    files: dict[str, str] = {}
    for name, plugin in point.scenario.plugins().items():
        if isinstance(plugin, PluggedLaw):
            key = {"the law of work": "service.work"}.get(name, name.removeprefix("the law of "))
            try:
                plugin.ask(try_out)
            except InputError as error:
                raise InputError(f"{point.places[key]}: {key} {error}") from None
        files |= _note(plugin.files(), name, checked)
    return files


def _note(made: Made | Files, owner: str, checked: Checked) -> dict[str, str]:
    """Note the files that something depends on; return the hashes of those that it names or declares."""
    checked.hashes.update(made.hashes)
    for names, hashes in ((checked.files, made.files), (checked.opened, made.opened)):
        for name, value in hashes.items():
            _append(names, f"{name} of {owner}", value)
    return {f"{name} of {owner}": value for name, value in made.files.items()}


def _check_dispatcher(point: Point, index: int, checked: Checked, *, thoroughly: bool) -> About:
    spec, engine = point.scenario.dispatchers[index], point.scenario.engine
    made = make_dispatcher(point, index, thoroughly=thoroughly)
    with made.world:
        obstacle = None if engine == "simpy" else obstacle_to(made.dispatcher, point.scenario)
    if obstacle is not None:
        if engine != "auto":
            place = point.places[f"dispatchers.{index}"]
            raise InputError(f"{place}: {spec.display}: {obstacle}; use engine auto or simpy")
        checked.obstacles[spec.display] = obstacle
    _note(made, spec.display, checked)
    is_of_any_size = made.dispatcher.nodes is None and made.dispatcher.graph_hash is None
    return About(made.files, _defaults(type(made.dispatcher)), is_of_any_size)


def _defaults(rule: type) -> dict[str, Any]:
    """Return the numbers and texts that options of a class have where none are given."""
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {each.name: each.default for each in parameters if isinstance(each.default, int | float | str)}


def _append(hashes: dict[str, str], name: str, value: str) -> None:
    """Add what a name stands for at a point of a sweep, if it has not stood for that at another one."""
    before = hashes.get(name, "")
    if value not in before.split():
        hashes[name] = f"{before} {value}".strip()
