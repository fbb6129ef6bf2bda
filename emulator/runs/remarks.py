"""Lines that a run says beside its table: which engine emulated what, and which cells failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dispatchers.errors import DispatcherError, describe, one_line
from emulator.engines.auto import COMPARED_JOBS
from emulator.engines.engine import REFERENCE
from emulator.runs.tasks import Cell, Cells
from emulator.text import setting_text


def failure_line(cell: Cell, error: Exception) -> str:
    """Return the line that says why a cell failed."""
    values = cell.point.values
    settings = ", ".join(map(setting_text, values, values.values()))
    text = str(error) if isinstance(error, DispatcherError) else describe(error)
    where = f" at {one_line(settings, 100)}" if settings else ""
    return one_line(f"{cell.spec.display}{where} failed: {text}")


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
