"""From a scenario file to the points of its sweep, every one checked, and back to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import ValidationError

from emulator.errors import InputError
from emulator.keys import ScenarioError, Section
from emulator.scenario.options import OPTION
from emulator.scenario.problems import Problem, locate, problems_in
from emulator.scenario.scenario import Scenario, Sizes
from emulator.scenario.sweep import Axis, Group, axes, points, written_out
from emulator.scenario.together import doubtful_values, groups_of, without_zip
from emulator.scenario.tree import Anchored, Override, read_scenario
from emulator.scenario.variants import Variants, alike, variants_in
from emulator.scenario.yaml_tree import Node, Place
from emulator.text import show, to_document

if TYPE_CHECKING:
    from emulator.model.system import System
    from emulator.scenario.scenario import AnyTopology

Number = TypeVar("Number", bound=int)

PROBLEM_LIMIT = 1000
"""Points that are looked at for more to tell once one has a problem."""

PROVED_LATE = ["topology", "arrivals", "service.rates", "service.work", "plot.kind", "plot.x", "plot.log_x"]
PROVED_LATE += ["messages.phase", "messages.period", "messages.latency", "dispatch.latency", "decide.phase"]
PROVED_LATE += ["messages.times", "messages.jitter", "decide.every"]
PROVED_LATE += [
    f"arrivals.{key}" for key in ("path", "unit", "rate", "assign", "period", "generator", "gap", "weights")
]
PROVED_LATE += ["plot.title", "plot.reference.policy", "plot.reference.key", "plot.differences_within", "plot.together"]
PROVED_LATE += ["plot.y", "precision.of", "paired_precision.of"]
"""Keys that can prove wrong only when the system or the picture is made; beside them those of the dispatchers."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep, or all there is if nothing is swept."""

    values: dict[str, int | float | str]
    """The value of each swept key; a mapping or a list as a short text, such as torus(side=70)."""
    scenario: Scenario
    places: dict[str, Place] = field(compare=False, repr=False)
    """Where those keys stand that can prove wrong only when the system or the dispatchers are made."""

    def system(self, replication: int = 0) -> System:
        """Build the system, see `Scenario.system`. Raises `InputError` with the place in the file."""
        try:
            return self.scenario.system(replication)
        except ScenarioError as error:
            raise InputError(f"{self.places[error.key]}: {error}") from None

    def check_on(self, sizes: Sizes) -> None:
        """Check what depends on the sizes of the topology, without building it. Raises `InputError`, see `system`."""
        try:
            self.scenario.check_on(sizes)
        except ScenarioError as error:
            raise InputError(f"{self.places[error.key]}: {error}") from None

    def node_count(self) -> int:
        """Return how many nodes there are, or the larger number of schedulers and servers. Raises `InputError`.

        A file may have to be read for it.
        """
        return self._counted(lambda topology: topology.node_count())

    def scheduler_count(self) -> int:
        """Return how many schedulers there are, see `node_count`."""
        return self._counted(lambda topology: topology.scheduler_count())

    def server_count(self) -> int:
        """Return how many servers there are, see `node_count`."""
        return self._counted(lambda topology: topology.server_count())

    def has_own(self) -> bool:
        """Return whether each scheduler has an own server, see `node_count`."""
        return self._counted(lambda topology: topology.has_own())

    def size(self) -> str:
        """Return how many nodes there are, or schedulers and servers, as people write it."""
        if self._counted(lambda topology: topology.has_nodes()):
            return f"{self.node_count():,} nodes"
        return f"{self.scheduler_count():,} schedulers and {self.server_count():,} servers"

    def _counted(self, of: Callable[[AnyTopology], Number]) -> Number:
        try:
            return of(self.scenario.topology)
        except InputError as error:
            raise InputError(f"{self.places['topology']}: topology {error}") from None


@dataclass(frozen=True)
class Plan:
    """What a scenario file asks for."""

    path: Path = field(compare=False)
    """The scenario file."""
    swept: list[str]
    """The swept keys, dotted, in their order in the file."""
    points: list[Point]
    """The points of the sweep, the first swept key varying slowest."""
    data: dict[str, Any] = field(compare=False, repr=False)
    """The file's keys, merged with what it extends and with the command line's; ranges are lists."""
    options: list[str] = field(default_factory=list)
    """The columns of dispatchers' options that sweep, such as dispatchers.weight."""
    zipped: list[list[str]] = field(default_factory=list)
    """The columns that take their values together, group by group."""

    @property
    def name(self) -> str:
        """What the results are called."""
        return self.points[0].scenario.name

    @property
    def axes(self) -> list[str]:
        """What is swept, as titles say it: keys that move together are one."""
        columns = [*self.swept, *self.options]
        groups = {group[0]: group for group in self.zipped}
        later = {key for group in self.zipped for key in group[1:]}
        return [" with ".join(groups.get(key, [key])) for key in columns if key not in later]

    @property
    def first_dispatcher(self) -> str:
        """What the dispatcher is called with which all others are compared."""
        return self.points[0].scenario.dispatchers[0].display

    @property
    def folder(self) -> Path:
        """Where relative paths and modules of the dispatchers are looked up."""
        return Path(self.points[0].scenario.folder)

    @cached_property
    def compared(self) -> frozenset[int]:
        """The points at which engine auto lets SimPy emulate, too."""
        last = len(self.points) - 1
        count = self.points[0].scenario.compared_points
        if count is None or count > last:
            return frozenset(range(last + 1))
        return frozenset(round(place * last / max(count - 1, 1)) for place in range(count))

    def resolved_yaml(self, seen_from: Path | None = None, *, uses_folder: bool = True) -> str:
        """Return the scenario as YAML: defaults filled in, sweeps as lists, nothing extended.

        A file of it in the folder `seen_from`, by default beside the scenario, gives an equal plan: paths are relative
        to it. Where the dispatchers use nothing in their folder, it can be left out.
        """
        resolved = self.resolved(seen_from)
        return to_document({key: value for key, value in resolved.items() if uses_folder or key != "folder"})

    def resolved(self, seen_from: Path | None = None) -> dict[str, Any]:
        """Return what `resolved_yaml` writes."""
        defaults = self.points[0].scenario.model_dump(exclude_none=True, exclude={"dispatchers"})
        start = os.path.realpath(self.path.parent if seen_from is None else seen_from)
        for key in self.swept:
            _forget_derived(defaults, key.split("."))
        relative: dict[str, Any] = _relative(_filled_in(self.data, defaults), start)
        if relative.get("folder") == os.curdir:
            del relative["folder"]  # which is where a file of it stands
        return relative


class Found(NamedTuple):
    """A point whose keys are right."""

    numbers: tuple[int, ...]
    """Which values it has, by group of keys."""
    tree: Node
    scenario: Scenario


def load(path: str | Path, overrides: Sequence[str | Override] = ()) -> Plan:
    """Read a scenario file, with overrides (text is what `--set` says), and check its points. Raises `InputError`."""
    path = Path(path)
    said = [Override(each, f"--set {each}") if isinstance(each, str) else each for each in overrides]
    tree = written_out(read_scenario(path, said))
    groups = groups_of(tree, list(axes(tree)))
    problems = {problem for group in groups for problem in doubtful_values(group)}
    variants, groups = variants_in(groups)
    variants.check_count()
    found: list[Found] = []
    wrong_points = 0
    for numbers, point in points(without_zip(tree), groups):
        try:
            found.append(Found(numbers, point, Scenario.model_validate(point.plain)))
        except ValidationError as error:
            problems |= set(problems_in(error, point))
            wrong_points += 1
            if wrong_points == PROBLEM_LIMIT:
                break
    if found and not problems:
        problems |= set(_problems_of_dispatchers(found[0], groups, variants))
    if problems:
        raise InputError(_first(problems, str(path)))
    return Plan(
        path,
        [axis.key for group in groups for axis in group if axis.dispatcher is None],
        list(_points(found, groups, variants)),
        tree.plain,
        variants.columns,
        [list(dict.fromkeys(map(_column, group))) for group in [*groups, *variants.own] if len(group) > 1],
    )


def _points(found: Sequence[Found], groups: Sequence[Group], variants: Variants) -> Iterator[Point]:
    """Yield the points, each with the dispatchers that its options make."""
    told = _values(found, groups)
    for numbers, tree, scenario in found:
        at = {axis.key: number for group, number in zip(groups, numbers, strict=True) for axis in group}
        specs = list(variants.of(scenario.dispatchers, at))
        keys = [tuple(key.split(".")) for key in PROVED_LATE] + _keys_of_groups(scenario)
        places = {".".join(key): locate(tree, key)[0].place for key in keys}
        nodes = {index: locate(tree, ("dispatchers", index))[0] for index, _ in specs}
        places |= {f"dispatchers.{number}": nodes[index].place for number, (index, _) in enumerate(specs)}
        if variants.columns:
            scenario = scenario.model_copy(update={"dispatchers": [spec for _, spec in specs]})
        yield Point({key: values[at[key]] for key, values in told.items()}, scenario, places)


def _values(found: Sequence[Found], groups: Sequence[Group]) -> dict[str, list[int | float | str]]:
    """Return each swept key's values as tables have them, in columns of one type."""
    told = {}
    for place, group in enumerate(groups):
        firsts = {point.numbers[place]: point.scenario for point in reversed(found)}
        for axis in group:
            if axis.dispatcher is None:
                texts = axis.labels()
                values = [_value(firsts[number], axis, number, text) for number, text in enumerate(texts)]
                told[axis.key] = alike(values, texts)
    return told


def _problems_of_dispatchers(found: Found, groups: Sequence[Group], variants: Variants) -> Iterator[Problem]:
    """Yield what is wrong with the dispatchers that options make: they must have names of their own."""
    scenario, seen = found.scenario, dict[str, int]()
    numbers = {axis.key: number for group, number in zip(groups, found.numbers, strict=True) for axis in group}
    for count, (index, spec) in enumerate(variants.of(scenario.dispatchers, numbers), 1):
        first = seen.setdefault(spec.display, index)
        if len(seen) < count:
            place, key = locate(found.tree, ("dispatchers", index))
            told = f"is called {show(spec.display)} like dispatchers.{first}; give one of them a label of its own"
            yield Problem(place.place, f"{key} {told}")
            return
    if scenario.paired_precision is not None and len(seen) < 2:
        place, key = locate(found.tree, ("paired_precision",))
        yield Problem(place.place, f"{key} needs at least two dispatchers, got 1")


def _column(axis: Axis) -> str:
    """Return the column that has an axis's values."""
    return axis.key if axis.dispatcher is None else OPTION + axis.option


def _keys_of_groups(scenario: Scenario) -> list[tuple[str, ...]]:
    """Return the keys of groups of dispatchers in the picture, whose names may hold dots."""
    return [
        ("plot", "together", name, *index)
        for name, labels in (scenario.plot.together or {}).items()
        for index in [(), *zip(map(str, range(len(labels))))]
    ]


def _first(problems: set[Problem], source: str) -> str:
    """Return the first problem and how many follow; what is missing, and what other files say, comes last."""

    def rank(problem: Problem) -> tuple[bool, bool, bool, Problem]:
        place = problem.place
        return problem.is_missing, place.source != source, not place.line, problem

    others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{min(problems, key=rank)}{others}"


def _value(scenario: Any, axis: Axis, number: int, text: str) -> int | float | str:
    """Return a swept key's value: a number as the scenario has it, so 5.0 for `delta_t: 5`, else `text`.

    Where numbers are short for a mapping, as latencies are, they stay numbers if all values are.
    """
    value = reduce(getattr, axis.key.split("."), scenario)
    if isinstance(value, Section) and all(type(node.value) in (int, float) for node in axis.values):
        value = float(axis.values[number].value)
    return value if isinstance(value, int | float) else text


def _relative(value: Any, start: str) -> Any:
    """Return plain data in which paths are relative to the folder `start`."""
    if isinstance(value, dict):
        return {key: _relative(item, start) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative(item, start) for item in value]
    return os.path.relpath(os.path.realpath(value), start) if isinstance(value, Anchored) else value


def _forget_derived(values: dict[str, Any], keys: list[str]) -> None:
    """Leave out what is derived from a swept key, for each point derives its own."""
    for key in keys[:-1]:
        values = values.get(key, {})
        values.pop("derived", None)


def _filled_in(data: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return `data`, in its order, with the keys that it lacks from `defaults`."""
    filled = {key: value for key, value in data.items() if value is not None}
    for key, default in defaults.items():
        value = filled.setdefault(key, default)
        if isinstance(value, dict) and isinstance(default, dict):
            filled[key] = _filled_in(value, default)
        elif isinstance(value, list) and isinstance(default, list) and len(value) == len(default):
            filled[key] = [
                _filled_in(one, other) if isinstance(one, dict) and isinstance(other, dict) else one
                for one, other in zip(value, default, strict=True)
            ]
    return filled
