"""Lines that a run says beside its table: which engine emulated what, and which cells failed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from dispatchers.errors import DispatcherError, describe, one_line, shortened
from emulator.engines.auto import COMPARED_JOBS
from emulator.engines.engine import REFERENCE
from emulator.runs.journal import Journal
from emulator.runs.stopping import next_round
from emulator.runs.tasks import Cell, Cells
from emulator.scenario.plan import Point
from emulator.text import setting_text, text_of


def failure_line(cell: Cell, error: Exception) -> str:
    """Return the line that says why a cell failed."""
    values = cell.point.values
    settings = ", ".join(map(setting_text, values, values.values()))
    text = str(error) if isinstance(error, DispatcherError) else describe(error)
    where = f" at {one_line(settings, 100)}" if settings else ""
    return one_line(f"{cell.spec.display}{where} failed: {text}")


def line_of_addition(journal: Journal) -> str:
    """Return the line that says what a run adds to the results of one that asked for something else; empty if nothing.

    Points and dispatchers are new of which nothing was finished; others have more replications, or traces.
    """
    earlier = journal.earlier
    if earlier is None or not earlier.is_extended:
        return ""
    missing = list(next_round(journal.cells, journal.rows, ()).missing(journal.rows))
    if not missing:
        return ""
    known = {task.cell for task in [*earlier.rows, *earlier.again]}
    points = {cell.place[0]: cell.point for cell in known}
    dispatchers = {cell.spec.display for cell in known}
    new_points, new_names, replications = dict[int, Point](), dict[str, None](), set[int]()
    has_traces = False
    for task in missing:
        cell = task.cell
        if cell.place[0] not in points:
            new_points[cell.place[0]] = cell.point
        if cell.spec.display not in dispatchers:
            new_names[cell.spec.display] = None
        if task in earlier.again:
            has_traces = True
        elif cell in known:
            replications.add(task.replication)
    parts = [f"{len(new_points):,} {_in_words(points.values(), new_points.values())}"] if new_points else []
    parts += [f"dispatcher{'s' * (len(new_names) > 1)} {shortened(', '.join(new_names), 60)}"] if new_names else []
    parts += [f"{len(replications):,} replication{'s' * (len(replications) > 1)}"] if replications else []
    parts += ["traces"] if has_traces else []
    kept = f"{len(journal.rows):,} finished ones are kept"
    return one_line(f"{journal.folder.path}: adds {', '.join(parts) or 'cells'}: {len(missing):,} episodes; {kept}")


def _in_words(points: Collection[Point], new: Collection[Point]) -> str:
    """Return what is new of points, key by key: points (delta_t = 1, 3 ms; seed = 2)."""
    told = []
    for key in next(iter(new)).values:
        before = {point.values[key] for point in points}
        values = dict.fromkeys(text_of(point.values[key]) for point in new if point.values[key] not in before)
        if values:
            told.append(setting_text(key, shortened(", ".join(values), 40)))
    what = f" ({shortened('; '.join(told), 120)})" if told else ""
    return f"point{'s' * (len(new) > 1)}{what}"


def engine_lines(cells: Cells, obstacles: Mapping[str, str]) -> list[str]:
    """Return lines that say which engine emulates what; `obstacles` says why some dispatchers cannot be compiled."""
    firsts = [row[0] for row in cells]
    scenario = firsts[0].scenario
    others = [one_line(f"engine: SimPy emulated {name}, for {why}") for name, why in obstacles.items()]
    engines = {cell.engines(replication) for cell in firsts for replication, _ in cell.kinds()}
    if engines == {(REFERENCE,)}:
        return ["engine: SimPy emulated all"]
    limit = f"{COMPARED_JOBS:,} jobs an episode"
    if all(len(names) == 1 for names in engines):
        why = f"; more than {limit} are too many for SimPy to compare" if scenario.engine == "auto" else ""
        return [f"engine: {_named(names[0] for names in engines)} emulated all{why}", *others]
    compared = [len(cell.engines(0)) > 1 for cell in firsts]
    last = max(scenario.trace.messages, 1) - 1
    which, repeated = (f"s 0 to {last}", "the first") if last else (" 0", "it")
    where = ""
    if not all(cell.is_compared for cell in firsts):
        where = f", at {sum(compared)} of {len(compared)} points,"
    elif not all(compared):
        where = f", except above {limit},"
    quick = _named(name for names in engines for name in names if name != REFERENCE)
    told = f"replication{which}, {quick} repeated {repeated} bit for bit{where} and did the rest"
    return [f"engine: SimPy emulated {told}", *others]


def _named(engines: Iterable[str]) -> str:
    """Return what engines are called in a sentence."""
    return " and ".join(f"the {name} engine" for name in sorted(set(engines)))
