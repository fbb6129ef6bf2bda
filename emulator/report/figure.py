"""What a plan's picture shows, checked before anything runs: its title, its axes, and the numbers to compare with."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from dispatchers.errors import DispatcherError, one_line
from dispatchers.onnx_files import model as model_file
from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.results.measures import measure_asked
from emulator.scenario.dispatchers import filled
from emulator.scenario.options import OPTION
from emulator.scenario.plan import Plan, Point
from emulator.scenario.plot import KINDS_OF_TRAINING, OF_LINES, Plot, Reference
from emulator.scenario.scenario import single_values
from emulator.text import show, text_of

ALWAYS_THERE = ("delta_t", "nodes")
"""Numbers that every point of a sweep has."""

PROGRESS = ("decisions", "iteration", "seconds")
"""What a training's progress is counted in: the horizontal axes of a learning curve, the usual one first."""


class Level(NamedTuple):
    """A number to compare with, and the ends of its interval: NaN if it has none."""

    value: float
    low: float
    high: float


class Picture(NamedTuple):
    """How the summary of a plan is drawn, or how its trainings are."""

    title: str
    plot: Plot
    levels: dict[tuple[int | float | str, ...], Level]
    """The number to compare with at each point of the sweep, by its values; empty if there is none."""
    first: str | None = None
    """The dispatcher that differences are from."""
    options: Mapping[str, str] = MappingProxyType({})
    """Of dispatchers whose options sweep, their families, by their names: JSQ-M of JSQ-M weight=2."""
    zipped: Sequence[Sequence[str]] = ()
    """Columns that take their values together, group by group."""


def picture_of(plan: Plan, shipped: Path | None) -> Picture:
    """Return how the summary of `plan` is drawn, with levels from its folder or `shipped`; or raise `InputError`."""
    first = plan.points[0]
    plot = first.scenario.plot
    with _placed(first):
        if plot.kind in KINDS_OF_TRAINING:
            told = f"got {plot.kind}, a picture of trainings, which python -m policies makes"
            raise ScenarioError("plot.kind", f"must be lines, bars or columns in an emulation, {told}")
        title = _title(plan, plot)
        _check_axis(plan, plot)
        if plot.y is not None:
            measure_asked(plot.y, "plot.y", first.scenario)
        labels = [spec.display for spec in first.scenario.dispatchers]
        _check_together(plot.together or {}, labels)
        if plot.differences_within is not None and len(labels) < 2:
            raise ScenarioError("plot.differences_within", "needs at least two dispatchers, got 1")
    levels = {}
    if plot.reference is not None:
        for point in plan.points:
            with _placed(point):
                levels[tuple(point.values.values())] = _level(plot.reference, point, shipped)
    specs = first.scenario.dispatchers
    families = {spec.display: spec.family for spec in specs if spec.display != spec.family}
    return Picture(title, plot, levels, labels[0], families, plan.zipped)


def picture_of_training(plan: Plan) -> Picture | None:
    """Return how the trainings of `plan` are drawn, None if its picture is of an emulation; or raise `InputError`."""
    first = plan.points[0]
    plot = first.scenario.plot
    if plot.kind not in KINDS_OF_TRAINING:
        return None
    with _placed(first):
        if first.scenario.training is None:
            raise ScenarioError("plot.kind", f"must stand beside the section training, got {plot.kind}")
        _check_axis(plan, plot)
        return Picture(_title(plan, plot), plot, {})


@contextmanager
def _placed(point: Point) -> Iterator[None]:
    """Turn an error in a key of the scenario into one with its place in the file."""
    try:
        yield
    except ScenarioError as error:
        raise InputError(f"{point.places[error.key]}: {error}") from None


def _title(plan: Plan, plot: Plot) -> str:
    return plan.name if plot.title is None else filled(plot.title, _texts(plan), "plot.title")


def _texts(plan: Plan) -> dict[str, int | float | str]:
    """Return each key's values at the points of a sweep as one text, such as 1, 5, and `nodes`, how many there are."""
    values: dict[str, dict[str, None]] = {"nodes": {}}
    for point in plan.points:
        for key, value in {"nodes": point.node_count(), **single_values(dict(point.scenario))}.items():
            values.setdefault(key, {})[value if isinstance(value, str) else text_of(value)] = None
    return {key: ", ".join(texts) for key, texts in values.items()}


def quantities(values: Mapping[str, Collection[int | float | str]]) -> list[str]:
    """Return the keys whose values measure something: neither texts nor seeds, which are but names of random draws."""
    return [
        key
        for key, some in values.items()
        if key.rpartition(".")[2] != "seed" and not any(isinstance(value, str) for value in some)
    ]


def usual_axes(values: Mapping[str, Collection[int | float | str]], zipped: Sequence[Sequence[str]]) -> list[str]:
    """Return the quantities of which one may be the horizontal axis unasked.

    An option of dispatchers is none beside another, and no number is one that moves along with names.
    """
    numbers = quantities(values)
    options = [key for key in numbers if key.startswith(OPTION)]
    named = {key for key, some in values.items() if any(isinstance(value, str) for value in some)}
    of_names = {key for group in zipped if named & set(group) for key in group}
    return [key for key in numbers if key not in of_names and (len(options) == 1 or key not in options)]


def axis_of(numbers: Sequence[str], plot: Plot) -> str | None:
    """Return the key of the horizontal axis, None where there are bars; `numbers` are the quantities that vary."""
    if plot.kind in ("bars", "columns"):
        return None
    if plot.x is not None:
        return plot.x
    if plot.kind == "learning_curve":
        return PROGRESS[0]
    if "delta_t" in numbers or (plot.kind is not None and not numbers):
        return "delta_t"
    return next(iter(numbers), None)


def _check_axis(plan: Plan, plot: Plot) -> None:
    values = {key: {point.values[key] for point in plan.points} for key in plan.swept}
    values |= {key: _values_of_option(plan, key) for key in plan.options}
    numbers = {key: values[key] for key in quantities(values)}
    allowed, where = [*ALWAYS_THERE, *(key for key in numbers if key not in ALWAYS_THERE)], "in this sweep"
    if plot.kind == "learning_curve":
        allowed, where = [*PROGRESS], f"beside kind: {plot.kind}"
    if plot.x is not None and plot.x not in allowed:
        raise ScenarioError("plot.x", f"must be one of {', '.join(allowed)} {where}, got {show(plot.x)}")
    axis = axis_of(usual_axes({key: some for key, some in values.items() if len(some) > 1}, plan.zipped), plot)
    if plot.log_x and axis in numbers and 0 in numbers[axis]:
        raise ScenarioError("plot.log_x", f"must be false where {axis} takes the value 0, got true")
    for key in OF_LINES:
        if axis is None and getattr(plot, key) is not None:
            raise ScenarioError(f"plot.{key}", "must stand beside kind: lines where no number is swept")


def _values_of_option(plan: Plan, column: str) -> set[int | float | str]:
    option = column.removeprefix(OPTION)
    specs = (spec for point in plan.points for spec in point.scenario.dispatchers)
    return {spec.swept[option] for spec in specs if option in spec.swept}


def _check_together(together: Mapping[str, Sequence[str]], dispatchers: Sequence[str]) -> None:
    """Check the groups of dispatchers that are drawn as one."""
    seen = set()
    for name, labels in together.items():
        key = f"plot.together.{name}"
        if name in dispatchers and name not in labels:
            raise ScenarioError(key, "must be called otherwise than a dispatcher that is not in it")
        for index, label in enumerate(labels):
            if label not in dispatchers:
                raise ScenarioError(f"{key}.{index}", f"must be one of {', '.join(dispatchers)}, got {show(label)}")
            if label in seen:
                raise ScenarioError(f"{key}.{index}", f"must stand in one group, and once, got {show(label)} again")
            seen.add(label)


def _level(reference: Reference, point: Point, shipped: Path | None) -> Level:
    scenario = point.scenario
    name = filled(reference.policy, single_values(dict(scenario)), "plot.reference.policy")
    places = [folder / name for folder in (Path(scenario.folder), shipped) if folder is not None]
    path = next((place for place in places if os.path.isfile(place)), None)
    if path is None:
        looked_for = " and ".join(dict.fromkeys(map(str, places)))
        raise _refusal("policy", f"there is no file {one_line(name, 60)}, looked for {looked_for}")
    try:
        metadata = model_file.metadata(path)
    except DispatcherError as error:
        raise _refusal("policy", str(error)) from None
    key, *ends = (f"{reference.key}{end}" for end in ("", "_low", "_high"))
    value = _number(metadata, key, path)
    if not all(end in metadata for end in ends):
        return Level(value, math.nan, math.nan)
    return Level(value, *(_number(metadata, end, path) for end in ends))


def _number(metadata: dict[str, str], key: str, path: Path) -> float:
    """Return a number of the metadata of the file `path`."""
    if key not in metadata:
        known = ", ".join(metadata) or "nothing"
        raise _refusal("key", f"{show(key)} is not in the metadata of {path}, which has {known}")
    try:
        number = float(metadata[key])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _refusal("key", f"{show(key)} must be a number in the metadata of {path}, got {show(metadata[key])}")
    return number


def _refusal(key: str, why: str) -> ScenarioError:
    return ScenarioError(f"plot.reference.{key}", why)
