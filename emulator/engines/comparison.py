"""Did two engines do the same, in every bit?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from emulator.engines.episode import Episode

PARTS = ("jobs", "epochs", "totals", "account", "nodes")


class EnginesDifferError(RuntimeError):
    """The engines did not do the same, which should never happen; the message says where they part."""


def check_equal(one: Episode, other: Episode) -> None:
    """Raise `EnginesDifferError` unless two episodes are the same in every bit of all that was counted and traced."""
    pairs = {part: (getattr(one, part), getattr(other, part)) for part in PARTS}
    batches = zip_longest(one.batches, other.batches)
    pairs |= {f"batch {number}": both for number, both in enumerate(batches)}
    for part, (mine, theirs) in pairs.items():
        if mine is None and theirs is None:
            continue
        if mine is None or theirs is None:
            raise EnginesDifferError(f"{one.engine} and {other.engine} differ in whether they trace {part}")
        for name, values in _columns(mine):
            here, there = np.asarray(values), np.asarray(dict(_columns(theirs))[name])
            same_kind = (here.shape, here.dtype) == (there.shape, there.dtype)
            if not same_kind or here.tobytes() != there.tobytes():
                place = _first_difference(here, there)
                raise EnginesDifferError(f"{one.engine} and {other.engine} differ in {name} of the {part}{place}")


def _columns(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a part with their names; those of a tuple each for itself."""
    for name, values in vars(part).items():
        if hasattr(values, "_asdict"):
            yield from ((f"{name}.{inner}", column) for inner, column in values._asdict().items())
        else:
            yield name, values


def _first_difference(here: np.ndarray, there: np.ndarray) -> str:
    if (here.shape, here.dtype) != (there.shape, there.dtype):
        return f": {here.shape} values of {here.dtype} and {there.shape} of {there.dtype}"
    differs = np.frombuffer(here.tobytes(), np.uint8) != np.frombuffer(there.tobytes(), np.uint8)
    place = int(np.flatnonzero(differs.reshape(here.size, -1).any(axis=1))[0])
    return f", first at {place}: {here.reshape(-1)[place].item()!r} and {there.reshape(-1)[place].item()!r}"
