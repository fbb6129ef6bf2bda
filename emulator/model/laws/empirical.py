"""Work as somebody has measured it: values in a file, or in a list."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Draw = Literal["shuffled", "in_order", "smooth"]


class ShuffledNumbers(NamedTuple):
    """Each of the values is equally likely."""

    values: NDArray[np.float64]

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        import numpy as np

        from emulator.randomness import uniform

        def draw(numbers: Any, bits: Any) -> Any:
            return numbers.values[np.uint64(uniform(bits) * len(numbers.values))]

        return draw


class InOrderNumbers(NamedTuple):
    """One value after another, and again from the first."""

    values: NDArray[np.float64]

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        import numpy as np

        from emulator.randomness import number_at

        def draw(numbers: Any, bits: Any, more: Any) -> Any:
            return numbers.values[number_at(more) % np.uint64(len(numbers.values))]

        return draw


class SmoothNumbers(NamedTuple):
    """On the straight lines between the values, which are in order of size."""

    values: NDArray[np.float64]

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        import numpy as np

        from emulator.randomness import uniform

        def draw(numbers: Any, bits: Any) -> Any:
            place = uniform(bits) * (len(numbers.values) - 1)
            below = np.uint64(place)
            low, high = numbers.values[below], numbers.values[below + np.uint64(1)]
            return low + (high - low) * (place - np.float64(below))

        return draw


class Empirical(Law):
    """Values that somebody has measured, in units of their mean."""

    law: Literal["empirical"] = "empirical"
    values: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] | None = None
    """The values, in any unit."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """Instead of values, a CSV, JSONL or Parquet file, gzipped or not, relative to the file in which this stands."""
    column: Annotated[str, Field(min_length=1)] | None = None
    """The column that holds the values; may be left out if there is only one."""
    draw: Draw = "shuffled"
    """shuffled: each value equally likely; in_order: the n-th job has the n-th value, and again from the first; smooth:
    on straight lines between the values in order of size."""

    @model_validator(mode="after")
    def _check(self) -> Empirical:
        if (self.values is None) == (self.path is None):
            raise ScenarioError("", "needs either path or values" + (", got both" if self.path else ""))
        if self.column is not None and self.path is None:
            raise ScenarioError("column", "must stand beside path")
        if self.values is not None:
            try:
                _scaled(self.values, self.draw)
            except InputError as error:
                raise ScenarioError("values", str(error)) from None
        return self

    def scaled(self) -> NDArray[np.float64]:
        """Return the values, of mean 1; for `smooth` in order of size. Raises `InputError`."""
        if self.path is None:
            assert self.values is not None
            return _scaled(self.values, self.draw)
        return _read(self.path, self.column, self.draw, os.path.isfile(self.path) and os.path.getmtime(self.path))

    def numbers(self) -> ShuffledNumbers | InOrderNumbers | SmoothNumbers:
        """See `Law.numbers`."""
        if self.draw == "shuffled":
            return ShuffledNumbers(self.scaled())
        return InOrderNumbers(self.scaled()) if self.draw == "in_order" else SmoothNumbers(self.scaled())

    def is_in_order(self) -> bool:
        """See `Law.is_in_order`."""
        return self.draw == "in_order"

    def variance(self) -> float:
        """See `Law.variance`."""
        values = self.scaled()
        squares = values * values
        if self.draw == "smooth":
            squares = (squares[:-1] + values[:-1] * values[1:] + squares[1:]) / 3.0
        return float(squares.mean()) - 1.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        values = np.sort(self.scaled())
        below = np.searchsorted(values, work, side="right")
        if self.draw != "smooth":
            return below / len(values)
        lower = np.clip(below - 1, 0, len(values) - 2)
        low, high = values[lower], values[lower + 1]
        inside = (below > 0) & (below < len(values))
        along = np.divide(work - low, high - low, out=np.zeros(len(work)), where=inside)
        return np.where(inside, (lower + along) / (len(values) - 1), (below > 0).astype(float))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Empirical:
        """See `Law.sample`."""
        values = generator.gamma(2.0, size=int(generator.integers(2, 400))).round(3).tolist()
        draws: tuple[Draw, ...] = "shuffled", "in_order", "smooth"
        return cls(values=values, draw=draws[int(generator.integers(3))])


@lru_cache(maxsize=16)
def _read(path: str, column: str | None, draw: Draw, modified: float) -> NDArray[np.float64]:
    """Read a file of values, only once as long as its time stays `modified`: every epoch asks."""
    from emulator.model.data_files import read_columns

    columns = read_columns(path, None if column is None else [column])
    (name,) = columns.cells
    values = columns.numbers(name, "a number >= 0", lambda value: value >= 0.0)
    try:
        return _scaled(values, draw)
    except InputError as error:
        raise InputError(f"{path}: {name} {error}") from None


def _scaled(given: ArrayLike, draw: Draw) -> NDArray[np.float64]:
    """Return values in units of their mean, to be drawn in some way."""
    import numpy as np

    values = np.array(given, dtype=np.float64)
    if draw == "smooth":
        if len(values) < 2:
            raise InputError("must hold at least 2 values for draw: smooth, got 1")
        values.sort()
        mean = math.fsum((0.5 * (values[:-1] + values[1:])).tolist()) / (len(values) - 1)
    else:
        mean = math.fsum(values.tolist()) / len(values)
    if not 0.0 < mean < float("inf"):
        raise InputError("must have a mean above 0")
    return np.ascontiguousarray(values / mean)
