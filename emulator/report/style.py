"""How pictures look, the same everywhere: their style, and the colours, markers and dashes of dispatchers."""

from __future__ import annotations

import bisect
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import cycle, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.machine.caches import place_for_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text
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
HATCHES = {"-": "", "--": "//", ":": "..", "-.": "xx"}
"""How bars tell apart what lines tell apart by their dashes."""
REFERENCE_COLOUR = "#E3001B"

NAME_WIDTH = 2.4
"""The longest line of a name in a legend or beside bars, in inches."""


def looks_of(dispatchers: Sequence[str]) -> dict[str, Look]:
    """Return each dispatcher's look: its own, its family's (MF-R per epoch is of MF-R), or one of the others."""
    others = [name for name in dispatchers if name not in LOOKS]
    dashes = cycle(dash for dash in _DASHES for _ in _OTHER_COLOURS)
    looks = LOOKS | dict(zip(others, map(Look, cycle(_OTHER_COLOURS), cycle(_OTHER_MARKERS), dashes), strict=False))
    for known in LOOKS:
        looks |= _family(known, [name for name in others if name.startswith(f"{known} ") and name != f"{known} "])
    return {name: looks[name] for name in dispatchers}


def _family(known: str, members: Sequence[str]) -> dict[str, Look]:
    """Return looks in a well-known name's colour without its marker and dash; dashes of others in it come last."""
    colour, _, own_dash = LOOKS[known]
    alike = [look for look in LOOKS.values() if look.colour == colour]
    markers = [marker for marker in _OTHER_MARKERS if marker not in {look.marker for look in alike}]
    taken = {look.dash for look in alike}
    dashes = sorted((dash for dash in HATCHES if dash != own_dash), key=taken.__contains__)
    looks = map(Look, repeat(colour), cycle(markers), cycle(dashes))
    return dict(zip(members, looks, strict=False))


def style() -> AbstractContextManager[None]:
    """Return a context with matplotlib's own defaults, whatever the user's are."""
    place_for_matplotlib()
    import matplotlib.style

    return matplotlib.style.context(["default", {"text.parse_math": False}])  # names may hold dollar signs


def new_figure(title: str) -> Figure:
    """Return a figure without axes, to be drawn inside `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not pyplot: it would choose a backend for the whole process and keep the figure alive.
    figure = Figure(layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure


def text_width(text: str, points: float = 10.0) -> float:
    """Return how wide a text is, in inches: its longest line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=points)
    return max(text_to_path.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n")) / 72.0


def wrapped(text: str, inches: float = NAME_WIDTH, points: float = 10.0) -> str:
    """Return a text whose lines are no longer than so many inches."""
    return "\n".join(_wrapped_line(line, inches, points) for line in text.split("\n"))


def _wrapped_line(text: str, inches: float, points: float) -> str:
    def is_too_long(letters: int) -> bool:
        return text_width(textwrap.fill(text, letters), points) > inches

    letters = bisect.bisect(range(1, len(text) + 1), False, key=is_too_long)
    return textwrap.fill(text, max(letters, 1))


def add_legend(figure: Figure, shown: Sequence[Any]) -> None:
    """Name what is shown beside the axes; matplotlib's own choice would leave out names that begin with _."""
    figure.legend(shown, [wrapped(str(one.get_label())) for one in shown], loc="outside right center")


def fit_texts(figure: Figure) -> None:
    """Break the texts around the axes into lines that have room; the figure grows by what the axes would lose."""
    figure.draw_without_rendering()  # lays out the axes, which the lengths of these texts do not change
    panel = figure.axes[0].get_window_extent()
    width, height = figure.get_size_inches()
    flat = [text for text in figure.texts if not text.get_rotation()]
    growth = sum(_fit(text, width - 0.2) for text in flat)
    growth += max(_fit(axes.xaxis.label, panel.width / figure.dpi) for axes in figure.axes)
    growth_of_titles = max(_fit(axes.title, panel.width / figure.dpi) for axes in figure.axes)
    growth += growth_of_titles * len({round(axes.get_window_extent().y0) for axes in figure.axes if axes.get_title()})
    corners = 2 * max(map(_thickness, flat)) + 0.2
    growth_of_width = max(_fit(axes.yaxis.label, axes.get_window_extent().height / figure.dpi) for axes in figure.axes)
    growth_of_width += sum(_fit(text, height - corners) for text in figure.texts if text.get_rotation())
    legends = [legend.get_window_extent().height / figure.dpi + corners for legend in figure.legends]
    figure.set_size_inches(width + growth_of_width, max(height + growth, *legends, 0.0))


def _fit(text: Text, inches: float) -> float:
    """Break a text into lines of so many inches; return by how many inches it becomes thicker."""
    before = _thickness(text)
    text.set_text(wrapped(text.get_text(), inches, float(text.get_fontsize())))
    return _thickness(text) - before


def _thickness(text: Text) -> float:
    """Return how high the lines of a text are together, in inches."""
    return (text.get_text().count("\n") + 1) * float(text.get_fontsize()) / 60.0


def draw_line(axes: Axes, x: ArrayLike, y: ArrayLike, name: str, look: Look, marked: int = 1) -> Line2D:
    """Draw a line in the order of the values, with a marker at one of `marked` of them."""
    drawn: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": look.dash, "label": name}
    (line,) = axes.plot(x, y, **drawn, markevery=marked, markersize=5)
    return line
