"""Markov chains that modulate arrivals: what a scenario says of them, and how they are walked.

A chain's sojourn i is drawn at the address (chain, i, 0, MODULATION): how long it is, and in which state. Chain 0 is
the one that all schedulers share, chain s + 1 that of scheduler s alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from emulator.keys import ScenarioError
from emulator.text import show, text_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STATE_LIMIT = 1000
"""States of a chain."""

PIECE_LIMIT = 50_000_000
"""Pieces, up to the horizon, of a rate that all schedulers share."""

Matrix = Annotated[list[Annotated[list[float], Field(min_length=1)]], Field(min_length=1, max_length=STATE_LIMIT)]
Rows = list[list[float]]


def _state_or_stationary(start: Any) -> Any:
    is_state = isinstance(start, int) and not isinstance(start, bool) and 0 <= start < STATE_LIMIT
    if start != "stationary" and not is_state:
        raise ScenarioError("", f"must be stationary or the number of a state, from 0 on, got {show(start)}")
    return start


Start = Annotated[Literal["stationary"] | int, BeforeValidator(_state_or_stationary)]


def check_square(key: str, rows: Rows, states: int) -> None:
    """Raise `ScenarioError` unless there are as many rows and columns as states."""
    for count in (len(rows), *map(len, rows)):
        if count != states:
            raise ScenarioError(key, f"must have {states} rows of {states} numbers, got {count}")


def check_rows(key: str, rows: Rows, total: float, *, ignoring_diagonal: bool) -> None:
    """Raise `ScenarioError` unless numbers are >= 0, off the diagonal at least, and each row adds up to `total`."""
    for index, row in enumerate(rows):
        for column, number in enumerate(row):
            if number < 0.0 and not (ignoring_diagonal and index == column):
                where = " off the diagonal" if ignoring_diagonal else ""
                raise ScenarioError(f"{key}.{index}", f"must have numbers >= 0{where}, got {text_of(number)}")
        scale = max(1.0 if total else 0.0, *map(abs, row))
        if abs(math.fsum(row) - total) > 1e-9 * scale:
            raise ScenarioError(f"{key}.{index}", f"must add up to {text_of(total)}, got {math.fsum(row):.10g}")


def check_start(start: Any, rows: Rows) -> None:
    """Raise `ScenarioError` unless there is a state to start in, or one stationary law; `rows` say what leads where."""
    if start != "stationary":
        if start >= len(rows):
            raise ScenarioError("start", f"must be a state from 0 to {len(rows) - 1}, got {start}")
        return
    turned = [list(column) for column in zip(*rows, strict=True)]
    if len(_reached(rows)) < len(rows) or len(_reached(turned)) < len(rows):
        told = "stationary needs a chain that gets from every state to every other; give the number of a state"
        raise ScenarioError("start", told)


def _reached(rows: Rows) -> set[int]:
    """Return the states that can be reached from state 0."""
    reached, waiting = {0}, [0]
    while waiting:
        state = waiting.pop()
        found = {other for other, rate in enumerate(rows[state]) if rate > 0.0 and other != state} - reached
        reached |= found
        waiting += found
    return reached


def start_law(start: Any, rows: Rows) -> list[float]:
    """Return the law of the first state; the stationary one to 12 significant digits."""
    if start != "stationary":
        return [float(state == start) for state in range(len(rows))]
    return [float(f"{share:.12g}") for share in stationary(rows)]


def stationary(rows: Rows) -> list[float]:
    """Return the stationary law of a chain whose rates, or probabilities, stand off the diagonal of `rows`.

    States are taken out one by one, without a subtraction (W. K. Grassmann, M. I. Taksar, D. P. Heyman, 1985).
    """
    rates = [list(row) for row in rows]
    for last in range(len(rates) - 1, 0, -1):
        leaving = math.fsum(rates[last][:last])
        for state in range(last):
            rates[state][last] /= leaving
            for other in range(last):
                if other != state:
                    rates[state][other] += rates[state][last] * rates[last][other]
    law = [1.0]
    for state in range(1, len(rates)):
        law.append(math.fsum(law[earlier] * rates[earlier][state] for earlier in range(state)))
    total = math.fsum(law)
    return [share / total for share in law]


def long_run_law(start: Any, rows: Rows) -> list[float]:
    """Return the share of time that a chain spends in each state in the long run."""
    try:
        check_start("stationary", rows)
    except ScenarioError:
        import numpy as np

        # Where some states are left for ever: many steps of the chain that stays where it is half of the time.
        rates = np.array(rows, dtype=float)
        np.fill_diagonal(rates, 0.0)
        steps = rates / (2.0 * max(float(rates.sum(axis=1).max()), 1e-300))
        np.fill_diagonal(steps, 1.0 - steps.sum(axis=1))
        shares: list[float] = np.linalg.matrix_power(steps, 2**40)[0 if start == "stationary" else start].tolist()
        return shares
    return stationary(rows)


class ChainNumbers(NamedTuple):
    """A chain for compiled functions."""

    rate: Floats
    """Arrivals per ms in each state."""
    leaving: Floats
    """Rate at which each state is left, 1/ms; 0 for ever. Empty if the chain steps at the starts of epochs."""
    times: Floats
    """The starts of epochs and the horizon, ms."""
    cumulative: Floats
    """States x states: probability that the next one is at most each, but for the last. First that of the start."""
    seed: np.uint64
    replication: np.uint64


def cumulative_rows(rows: Rows) -> Floats:
    """Return for each row the share up to each column, to 12 significant digits; the last one is above all shares."""
    import numpy as np

    table = np.empty((len(rows), len(rows[0])))
    for index, row in enumerate(rows):
        total = math.fsum(row)
        sums = [math.fsum(row[: column + 1]) / total if total > 0.0 else 1.0 for column in range(len(row))]
        last = max((column for column, share in enumerate(row) if share > 0.0), default=len(row) - 1)
        table[index] = [float(f"{share:.12g}") if column < last else 2.0 for column, share in enumerate(sums)]
    return table
