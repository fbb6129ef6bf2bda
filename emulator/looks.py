"""How dispatchers look in pictures: colours, markers and dashes, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


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
