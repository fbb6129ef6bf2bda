"""How pictures look, the same everywhere: their style, and the colours, markers and dashes of dispatchers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from emulator.caches import place_for_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


class Look(NamedTuple):
    """How a dispatcher is drawn, the same in every picture."""

    colour: str
    marker: str
    dash: str


# Okabe and Ito's palette, which the colour-blind can tell apart, without its yellow, too faint on white. Dispatchers
# that tend to lie on each other, as RND and OWN do on regular graphs, differ in their dashes.
BLACK, _BLUE, _RED, _GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
_PURPLE, _SKY, _ORANGE, GREY = "#CC79A7", "#56B4E9", "#E69F00", "#999999"
LOOKS = {
    "MF-R": Look(BLACK, "o", "-"),
    "JSQ": Look(_BLUE, "s", "-"),
    "RND": Look(_RED, "D", "-"),
    "OWN": Look(_GREEN, "^", "--"),
    "SED": Look(_PURPLE, "v", "-"),
    "NA-PS": Look(_ORANGE, "P", "-"),
    "SAC": Look(_SKY, "X", "-"),
    "MF-N": Look(_ORANGE, "<", "--"),
    "MF-G": Look(_SKY, ">", ":"),
    "MF-RNN": Look(_PURPLE, "p", "--"),
    "RR": Look(GREY, "h", "-"),
    "JSQ-M": Look(_BLUE, "*", "--"),
}
"""The looks of well-known dispatchers."""

# For all others, colours of Tol's muted palette, which are not among those above.
_OTHER_COLOURS = ["#882255", "#999933", "#332288", "#44AA99", "#CC6677"]
_OTHER_MARKERS = "dHv^<>8"
_DASHES = ["-", "--", ":"]
HATCHES = {"-": "", "--": "//", ":": ".."}
"""How bars tell apart what lines tell apart by their dashes."""
REFERENCE_COLOUR = "#E3001B"


def looks_of(dispatchers: Sequence[str]) -> dict[str, Look]:
    """Return each dispatcher's look: its own if it is well known, else one of the others in their order."""
    others = [name for name in dispatchers if name not in LOOKS]
    looks = {
        name: Look(
            _OTHER_COLOURS[number % len(_OTHER_COLOURS)],
            _OTHER_MARKERS[number % len(_OTHER_MARKERS)],
            _DASHES[number // len(_OTHER_COLOURS) % len(_DASHES)],
        )
        for number, name in enumerate(others)
    }
    return {name: LOOKS.get(name) or looks[name] for name in dispatchers}


def style() -> AbstractContextManager[None]:
    """Return a context with matplotlib's own defaults, whatever the user's are."""
    place_for_matplotlib()
    import matplotlib.style

    # Names may hold dollar signs.
    return matplotlib.style.context(["default", {"text.parse_math": False}])


def new_figure(title: str) -> Figure:
    """Return a figure without axes, to be drawn inside `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not pyplot: it would choose a backend for the whole process and keep the figure alive.
    figure = Figure(layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    figure.suptitle(textwrap.fill(title, 80))
    return figure


def least_height(curves: int) -> float:
    """Return how high a figure of lines must be for its legend, in inches."""
    return max(4.5, 0.24 * curves + 1.0)


def draw_line(axes: Axes, x: ArrayLike, y: ArrayLike, name: str, look: Look, marked: int = 1) -> None:
    """Draw a line in the order of the values, with a marker at one of `marked` of them."""
    axes.plot(
        x,
        y,
        color=look.colour,
        marker=look.marker,
        markevery=marked,
        linestyle=look.dash,
        markersize=5,
        label=name,
    )
