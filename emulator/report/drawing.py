"""What the picture of a summary draws, and how, whether as lines or as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.report.figure import Level
from emulator.report.style import Look
from emulator.results.measures import Names
from emulator.scenario.plot import Plot

if TYPE_CHECKING:
    import pandas as pd


class Group(NamedTuple):
    """The rows of a summary that share a panel, or a group of bars."""

    name: str
    rows: pd.DataFrame


class Drawing(NamedTuple):
    """What is drawn, and how."""

    groups: list[Group]
    looks: dict[str, Look]
    plot: Plot
    swept: Sequence[str]
    levels: Mapping[tuple[Any, ...], Level]
    names: Names
    """The columns of what is shown."""
    label: str
    """What stands along its axis."""
    first: str
    """The dispatcher that differences are from."""
    members: Mapping[str, int]
    """How many dispatchers are drawn as one, by its name."""
    along: Sequence[str] = ()
    """The keys that move along with the horizontal axis."""

    def levels_of(self, rows: pd.DataFrame) -> list[Level]:
        """Return the number to compare with at each row of a summary."""
        return [self.levels[tuple(values)] for values in rows[list(self.swept)].to_numpy().tolist()]

    @property
    def reference_label(self) -> str:
        """What the legend calls the number to compare with."""
        assert self.plot.reference is not None
        return self.plot.reference.label or self.plot.reference.key
