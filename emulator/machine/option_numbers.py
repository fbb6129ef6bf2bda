"""Numbers on a command line: one that will not do is told in one line, with what is allowed."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from dispatchers.errors import one_line

Number = TypeVar("Number", int, float)


def _reader(read: Callable[[str], Number], kind: str, least: Number, most: Number) -> Callable[[str], Number]:
    def number(text: str) -> Number:
        try:
            value = read(text)
            is_allowed = least <= value <= most
        except ValueError:
            is_allowed = False
        if not is_allowed:
            raise ArgumentTypeError(f"must be {kind} from {least:,} to {most:,}, got {one_line(text, 40)}")
        return value

    return number


whole = partial(_reader, int, "a whole number")
real = partial(_reader, float, "a number")
"""Called with the least and the most: what reads such a number, the `type` of an option."""
