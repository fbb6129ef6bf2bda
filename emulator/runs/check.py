"""All of a plan that can prove wrong is looked at before anything runs: systems, dispatchers, the picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

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

    @property
    def uses_folder(self) -> bool:
        """Whether a dispatcher depends on files that do not come with this software."""
        shipped = f"{shipped_policies()}{os.sep}"
        return not all(path.startswith(shipped) for path in self.hashes)


def check_plan(plan: Plan) -> Checked:
    """Build every distinct system and try out every dispatcher; raise `InputError` with the place in the file."""
    done: set[str] = set()
    _check_precision(plan.points[0])
    sizes: dict[str, Sizes] = {}
    checked = Checked(picture_of(plan, shipped_policies()), {}, {}, {}, {}, [])
    for point in plan.points:
        scenario = point.scenario
        description = repr((scenario.topology, scenario.service, scenario.seed))
        if description in sizes:
            point.check_on(sizes[description])
        else:
            topology = point.system().topology
            sizes[description] = Sizes.of(topology)
            remark = topology.remark
            if remark and remark not in checked.remarks:
                checked.remarks.append(remark)
            path = getattr(scenario.topology, "path", None)
            if path is not None:
                _append(checked.files, "edges of the topology", hash_of(path) or "")
        description = repr(scenario.plugins())
        if description not in done:
            done.add(description)
            _check_plugins(point, checked)
        for index, spec in enumerate(scenario.dispatchers):
            about = (point.scheduler_count(), point.server_count(), point.has_own(), quickest_for(scenario))
            description = repr((spec, spec.folder, scenario.buffer, about))
            if description not in done:
                done.add(description)
                _check_dispatcher(point, index, checked)
    return checked


def _check_precision(point: Point) -> None:
    """Check that measures by which a run stops are there."""
    for key in ("precision", "paired_precision"):
        wanted = getattr(point.scenario, key)
        if wanted is not None:
            try:
                measure_asked(wanted.of, f"{key}.of", point.scenario)
            except ScenarioError as error:
                raise InputError(f"{point.places[f'{key}.of']}: {error}") from None


def _check_plugins(point: Point, checked: Checked) -> None:
    """Try out the laws, and note what they, and classes of users, depend on that are not dispatchers."""
    for name, plugin in point.scenario.plugins().items():
        if isinstance(plugin, PluggedLaw):
            key = {"the law of work": "service.work"}.get(name, name.removeprefix("the law of "))
            try:
                plugin.ask(try_out)
            except InputError as error:
                raise InputError(f"{point.places[key]}: {key} {error}") from None
        _note(plugin.files(), name, checked)


def _note(made: Made | Files, owner: str, checked: Checked) -> None:
    """Note the files that something depends on."""
    checked.hashes.update(made.hashes)
    for names, hashes in ((checked.files, made.files), (checked.opened, made.opened)):
        for name, value in hashes.items():
            _append(names, f"{name} of {owner}", value)


def _check_dispatcher(point: Point, index: int, checked: Checked) -> None:
    spec, engine = point.scenario.dispatchers[index], point.scenario.engine
    made = make_dispatcher(point, index, thoroughly=True)
    with made.world:
        obstacle = None if engine == "simpy" else obstacle_to(made.dispatcher, point.scenario)
    if obstacle is not None:
        if engine != "auto":
            place = point.places[f"dispatchers.{index}"]
            raise InputError(f"{place}: {spec.display}: {obstacle}; use engine auto or simpy")
        checked.obstacles[spec.display] = obstacle
    _note(made, spec.display, checked)


def _append(hashes: dict[str, str], name: str, value: str) -> None:
    """Add what a name stands for at a point of a sweep, if it has not stood for that at another one."""
    before = hashes.get(name, "")
    if value not in before.split():
        hashes[name] = f"{before} {value}".strip()
