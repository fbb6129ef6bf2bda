"""Drawing of a law in compiled code: a law's numbers are a type, by which numba picks the function; imports numba."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.extending import overload

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
