"""Drawing of a law in compiled code: a law's numbers are a type, by which numba picks the function; imports numba."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload
from numpy.typing import NDArray

from emulator.machine.compiling import compiled

_INLINED: Any = {"error_model": "numpy", "forceinline": True}


def work_of(bits: Any, work: Any, more: Any) -> Any:
    """Return the number, of mean 1, that 48 random bits stand for under a law.

    `work` are the law's numbers; `more` is the `emulator.randomness.Address` at which it draws further bits.
    """


@overload(work_of, jit_options=_INLINED)
def _work_of(bits, work, more):  # type: ignore[no-untyped-def]
    function = work.instance_class.compiled_draw()
    draw = njit(**_INLINED)(function)
    if takes_more(function):
        return lambda bits, work, more: draw(work, bits, more)
    return lambda bits, work, more: draw(work, bits)


def takes_more(function: Callable[..., Any]) -> bool:
    """Return whether what a law draws with takes an address for further bits, which may be left out."""
    return len(inspect.signature(function).parameters) > 2


def bounds_of(shares: Sequence[float]) -> NDArray[np.uint64]:
    """Return where the shares of parts, which add up to 1, begin and end in 48 bits: parts + 1 bounds."""
    bounds = np.round(np.cumsum([0.0, *shares]) * 2.0**48).astype(np.uint64)
    bounds[-1] = 2**48
    return bounds


@compiled(inline="always")
def part_of(bounds, bits):  # type: ignore[no-untyped-def]
    """Return the part in which 48 bits are, and what is left of them, stretched to 48 bits again."""
    part = 0
    while bits >= bounds[part + 1]:
        part += 1
    low, high = bounds[part], bounds[part + 1]
    return part, np.uint64(np.float64(bits - low) / np.float64(high - low) * 2.0**48)


def drawn_of(parts: Any, part: Any, bits: Any, more: Any) -> Any:
    """Return a number of one of several laws, whose numbers are a tuple; see `work_of`."""


@overload(drawn_of, jit_options=_INLINED)
def _drawn_of(parts, part, bits, more):  # type: ignore[no-untyped-def]
    if len(parts) == 1:
        return lambda parts, part, bits, more: work_of(bits, parts[0], more)

    def draw(parts, part, bits, more):  # type: ignore[no-untyped-def]
        if part == 0:
            return work_of(bits, parts[0], more)
        return drawn_of(parts[1:], part - 1, bits, more)

    return draw
