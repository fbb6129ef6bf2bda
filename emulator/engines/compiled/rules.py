"""The column that a rule value of all schedulers gives a job; its type decides which code is compiled for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, typeof, uint64
from numba.extending import overload

from dispatchers.choice import Chosen, Drawn, Fixed
from dispatchers.contract import Dispatcher, JobView, PerJobDispatcher
from emulator.machine.compiling import is_ours
from emulator.machine.function_hash import hash_of_function

_PREFIX = "Chosen_"

_COMPILED: dict[type[Chosen], Any] = {}
"""What chooses for the values of each kind."""


def kind_of(choose: Callable[[JobView], int]) -> type[Chosen]:
    """Return the type of a per-job rule's values.

    Each rule has its own, named after a hash of the function, so that compiled code is kept for it and found again in
    any process. A function of which no hash tells all has `Chosen` itself, whose values bring their code along.
    """
    hashed = hash_of_function(choose)
    if hashed is None:
        return Chosen
    kind = __getattr__(_PREFIX + hashed)
    if kind not in _COMPILED:
        _COMPILED[kind] = compiled_choice(choose)
    return kind


@cache
def compiled_choice(choose: Callable[[JobView], int]) -> Any:
    """Return a rule's `choose`, compiled when it is first called."""
    return njit(error_model="numpy")(choose)


def obstacle_to(dispatcher: Dispatcher) -> str | None:
    """Return why no compiled engine can run a dispatcher: numba cannot compile all users' per-job rules."""
    if not isinstance(dispatcher, PerJobDispatcher) or is_ours(dispatcher):
        return None
    job = JobView(np.zeros((1, 1)), np.zeros(1, np.int64), np.zeros(1, np.int64), 0, 0.0, 0.0)
    try:
        compiled_choice(dispatcher.choose).compile((typeof(job),))
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if not line.startswith("Failed in")), type(error).__name__)
        return f"numba cannot compile its choose: {told}"
    return None


@cache
def __getattr__(name: str) -> type[Chosen]:
    """Return the type of this name: numba looks for it here when it reads what it has kept."""
    if not name.startswith(_PREFIX):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return type(name, (Chosen,), {"__module__": __name__, "__slots__": ()})


@njit(inline="always")
def _job_view(rule, scheduler, first, stop, number, coin, elapsed):
    start = rule.start[scheduler]
    return JobView(
        rule.plan[start : start + stop - first], rule.order[first:stop], rule.sent[first:stop], number, coin, elapsed
    )


@njit(inline="always")
def _noted(rule, first, stop, column):
    if 0 <= column < stop - first:
        rule.sent[first + column] += 1
    return column


@njit(inline="always")
def pick_from(cumulative, start, count, coin):
    """Return what `pick` returns for the `count` cumulative probabilities from `start` on.

    Without a slice, and without the last one, which is 1: 1.7 ns instead of 3.3.
    """
    column = 0
    for place in range(start, start + count - 1):
        column += coin >= cumulative[uint64(place)]
    return column


def column_of(rule, scheduler, first, stop, number, coin, elapsed):
    """Return the column for a job of a scheduler whose servers are `first` to `stop` - 1 of the access list."""


@overload(column_of)
def _column_by_kind(rule, scheduler, first, stop, number, coin, elapsed):
    kind = rule.instance_class
    if kind is Drawn:

        def column(rule, scheduler, first, stop, number, coin, elapsed):
            return pick_from(rule.cumulative, rule.start[uint64(scheduler)], stop - first, coin)

    elif kind is Fixed:

        def column(rule, scheduler, first, stop, number, coin, elapsed):
            return rule.chosen[scheduler]

    elif kind is Chosen:

        def column(rule, scheduler, first, stop, number, coin, elapsed):
            job = _job_view(rule, scheduler, first, stop, number, coin, elapsed)
            return _noted(rule, first, stop, rule.choose(job))

    else:
        choose = _COMPILED[kind]

        def column(rule, scheduler, first, stop, number, coin, elapsed):
            job = _job_view(rule, scheduler, first, stop, number, coin, elapsed)
            return _noted(rule, first, stop, choose(job))

    return column
