"""What the page tells beside the paper's claims: what drawing for each job is worth, and what was checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from policies.paper.figure import READINGS, Figure, spoken

GRAPHS = ("07a", "07b", "07c", "07d", "08")
"""The figures of large graphs, which have all values of delta_t."""

WORTH = """\
## What drawing for each job is worth

How many percent fewer drops than RND MF-R has, by delta_t, if schedulers draw whether to offload for each job, and if
they draw once per epoch. In the second reading an action of 1 sends away all jobs of an epoch, and less is gained; at
large delta_t MF-R keeps all jobs, as OWN does, and is ahead of RND only where degrees differ.
"""

CHECKED = """\
## What was checked

The compiled engine emulated the episodes. At some points of each sweep, for all dispatchers, SimPy emulated
replication 0, and the compiled engine repeated it and agreed in every bit of every job, epoch and sum; elsewhere it was
on its own.
"""


def worth(figures: Mapping[str, Figure]) -> str:
    """Return a table of MF-R's lead over RND under both readings, on all large graphs."""
    rows = [line for name in GRAPHS if name in figures for line in _leads(figures[name])]
    if not rows:
        return ""
    values = sorted({delta_t for name in GRAPHS if name in figures for delta_t, _ in figures[name].by("delta_t")})
    head = f"| Graph | Drawn | {' | '.join(f'{value:g}' for value in values)} |"
    return "\n".join([WORTH, head, "|---|---" + "|--:" * len(values) + "|", *rows, ""])


def _leads(figure: Figure) -> Iterator[str]:
    if not figure.has_readings:
        return
    for reading, words in READINGS.items():
        leads = [f"{-gap.mean:.1f}" for gap in figure.under(reading).gaps("MF-R", "RND").values()]
        yield f"| {figure.place} | {words} | {' | '.join(leads)} |"


def checked(figures: Mapping[str, Figure]) -> str:
    """Return at which points SimPy emulated, too."""
    lines = []
    for figure in figures.values():
        rows = figure.rows
        if "engine" not in rows:
            continue
        first = rows[rows["replication"] == 0]
        compared = first[first["engine"] == "simpy"]
        if len(compared):
            points = dict.fromkeys(zip(compared["nodes"], compared["delta_t"], strict=True))
            told = ", ".join(f"{nodes:,} nodes at {delta_t:g}" for nodes, delta_t in points)
            share = f"{_points(compared)} of {_points(first)} points"
            lines.append(f"- {spoken(figure.name)}, {share}: {told}")
    return "\n".join([CHECKED, *lines, ""]) if lines else ""


def _points(rows: pd.DataFrame) -> int:
    """Return how many points of the sweep there are."""
    return len(rows) // max(rows["dispatcher"].nunique(), 1)
