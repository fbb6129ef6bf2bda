"""Ranges of numbers, written out as the list that they stand for.

`{from: 1, to: 10, step: 1}`, `{from: 0, to: 1, linspace: 5}` and `{from: 0.1, to: 10, logspace: 3}` stand where a key
of one number sweeps, or among the numbers of a list.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any, NoReturn

from emulator.errors import InputError
from emulator.keys import unknown
from emulator.scenario.yaml_tree import Node
from emulator.text import text_of

POINT_LIMIT = 100_000
"""Values of a range, and points of a sweep."""

FORMS = ("step", "linspace", "logspace")
"""How a range says its values: the distance of two, or how many there are, at equal distances or ratios."""

KEYS = ("from", "to", *FORMS)

DIGITS = 12
"""Significant digits that values between the ends of a linspace or logspace are rounded to."""


def is_range(node: Node) -> bool:
    """Return whether a node is meant to be a range, and not a thing of some kind with a key of that name."""
    return isinstance(node.value, dict) and "from" in node.value and not {"kind", "law", "class"} & node.value.keys()


def numbers_of(node: Node, key: str) -> list[Node]:
    """Return the numbers of the range that stands for values of a key, in its place. Raises `InputError`."""
    for name, entry in node.value.items():
        if name not in KEYS:
            _refuse(entry, f"{key}.{name}", unknown(name, KEYS), at_key=True)
    if "to" not in node.value:
        _refuse(node, key, f"needs a number to which it goes, such as {{from: 1, to: 10, step: 1}}, got {node.shown}")
    given = [form for form in FORMS if form in node.value]
    if len(given) != 1:
        _refuse(node, key, f"needs one of {', '.join(FORMS)} beside from and to, got {node.shown}")
    (form,) = given
    start, stop = (_number(node.value[name], f"{key}.{name}") for name in ("from", "to"))
    place, argument = f"{key}.{form}", node.value[form]
    values = _stepped(start, stop, argument, place) if form == "step" else _spread(start, stop, argument, place, node)
    return [Node(value, node.place, node.key_place, written=text_of(value)) for value in values]


def _stepped(start: float, stop: float, argument: Node, key: str) -> list[int | float]:
    """Return the numbers from `start` on that are not beyond `stop`, exact as decimals: the third of 0.1 is 0.3."""
    step = _number(argument, key)
    if step == 0:
        _refuse(argument, key, f"must not be 0, got {argument.shown}")
    first, last, distance = map(_exact, (start, stop, step))
    if (last - first) * distance < 0:
        sign = "> 0" if last > first else "< 0"
        _refuse(argument, key, f"must be {sign} from {text_of(start)} to {text_of(stop)}, got {argument.shown}")
    count = (last - first) // distance + 1
    if count > POINT_LIMIT:
        told = count if count < 10**15 else "more than 1e15"
        _refuse(argument, key, f"must make at most {POINT_LIMIT} values, got {argument.shown}, which makes {told}")
    is_whole = isinstance(start, int) and isinstance(step, int)
    exact = (first + number * distance for number in range(count))
    return [int(value) if is_whole else float(value) for value in exact]


def _spread(start: float, stop: float, argument: Node, key: str, node: Node) -> list[int | float]:
    """Return so many numbers from `start` to `stop`, at equal distances or ratios; whole ones as integers."""
    count, is_linear = argument.value, key.endswith("linspace")
    if type(count) is not int or not 2 <= count <= POINT_LIMIT:
        _refuse(argument, key, f"must be an integer from 2 to {POINT_LIMIT}, got {argument.shown}")
    if start == stop:
        _refuse(node.value["to"], f"{key.rpartition('.')[0]}.to", f"must not be from, {text_of(start)}")
    if not is_linear:
        for name, end in (("from", start), ("to", stop)):
            if end <= 0:
                told = f"must be > 0 with logspace, got {node.value[name].shown}"
                _refuse(node.value[name], f"{key.rpartition('.')[0]}.{name}", told)
    between = [_between(start, stop, Fraction(number, count - 1), is_linear) for number in range(1, count - 1)]
    values = [start, *between, stop]
    if isinstance(start, int) and isinstance(stop, int):
        return [int(value) if value == int(value) else value for value in values]
    return list(map(float, values))


def _between(start: float, stop: float, share: Fraction, is_linear: bool) -> float:
    """Return the number at a share of the way, rounded; the same bits on every machine, for no libm is asked."""
    if is_linear:
        value = float(_exact(start) + share * (_exact(stop) - _exact(start)))
    else:
        with localcontext(Context(prec=40)):
            low, high = Decimal(repr(start)), Decimal(repr(stop))
            exponent = (high / low).ln() * share.numerator / share.denominator
            value = float(low * exponent.exp())
    return float(f"{value:.{DIGITS - 1}e}")


def _exact(number: float) -> Fraction:
    """Return the decimal number that is written, not its nearest float."""
    return Fraction(repr(number))


def _number(node: Node, key: str) -> int | float:
    value: Any = node.value
    if type(value) not in (int, float) or not math.isfinite(_float(value)):
        _refuse(node, key, f"must be a finite number, got {node.shown}")
    number: int | float = value
    return number


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _refuse(node: Node, key: str, message: str, *, at_key: bool = False) -> NoReturn:
    place = node.key_place if at_key and node.key_place is not None else node.place
    raise InputError(f"{place}: {key} {message}")
