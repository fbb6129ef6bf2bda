"""Weights: how much more than others some schedulers meet."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError, Section
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Weight = Annotated[float, Field(ge=0, le=1e100)]


class Weights(Section):
    """How much more than others some schedulers meet: a list, or a shape; scaled to a mean of 1."""

    short: ClassVar[dict[str, Any]] = {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1}
    """What may stand for the mapping, as JSON Schema."""

    kind: Literal["zipf", "hot"] | None = None
    """zipf: the k-th scheduler meets 1 / k**exponent; hot: a share of them meets `factor` times what others meet."""
    exponent: Annotated[float, Field(ge=0, le=100)] | None = None
    """Of zipf; 1 if not given."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of hot: which share of the schedulers, at least one of them."""
    factor: Weight | None = None
    """Of hot: how much more they meet."""
    order: Literal["index", "random"] | None = None
    """Which schedulers meet most: those of the lowest index, the default, or random ones."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """A file, CSV, JSON lines or Parquet, that has one row for each scheduler."""
    column: Annotated[str, Field(min_length=1)] | None = None
    """The column of that file which holds the weights; may be left out if there is only one."""
    each: Annotated[list[Weight], Field(min_length=1)] | None = None
    """One for each scheduler."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            if not value or not all(_is_weight(weight) for weight in value):
                raise ScenarioError("", f"must be numbers >= 0, one for each scheduler, got {show(value)}")
            return {"each": [float(weight) for weight in value]}
        if not isinstance(value, dict | cls):
            raise ScenarioError("", f"must be a list of numbers or a mapping, got {show(value)}")
        return value

    @model_serializer
    def _as_written(self) -> Any:
        return self.each if self.each is not None else {key: value for key, value in self if value is not None}

    @model_validator(mode="after")
    def _check(self) -> Weights:
        given = [key for key in ("kind", "path", "each") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ScenarioError("", "needs kind, path or a list" + (f", got {' and '.join(given)}" if given else ""))
        for key, owner in (("exponent", "zipf"), ("share", "hot"), ("factor", "hot")):
            if getattr(self, key) is not None and self.kind != owner:
                raise ScenarioError(key, f"must stand beside kind: {owner}")
            if getattr(self, key) is None and self.kind == owner == "hot":
                raise ScenarioError(key, f"is missing; with kind: hot it must be {_MEANT[key]}")
        if self.order is not None and self.kind is None:
            raise ScenarioError("order", "must stand beside kind")
        if self.column is not None and self.path is None:
            raise ScenarioError("column", "must stand beside path")
        if self.each is not None and not any(self.each):
            raise ScenarioError("", "must not all be 0")
        return self

    def of(self, schedulers: int, seed: int) -> NDArray[np.float64]:
        """Return the weight of each of so many schedulers, of mean 1. Raises `InputError`."""
        import numpy as np

        from emulator.randomness import WEIGHT, random_words

        weights = self._listed(schedulers) if self.kind is None else self._shaped(schedulers)
        weights = weights / (np.add.accumulate(weights)[-1] / schedulers)  # which adds up in order, on any machine
        if self.order == "random":
            weights = weights[np.argsort(random_words(seed, WEIGHT, schedulers), kind="stable")]
        return weights

    def _shaped(self, schedulers: int) -> NDArray[np.float64]:
        import numpy as np

        if self.kind == "hot":
            assert self.share is not None
            weights = np.ones(schedulers)
            weights[: max(1, round(self.share * schedulers))] = self.factor
            if not weights.any():
                raise InputError("must not all be 0")
            return weights
        exponent = 1.0 if self.exponent is None else self.exponent
        places = np.arange(1, schedulers + 1, dtype=np.float64)
        if exponent == 1.0:
            return 1.0 / places
        # Rounded, so that the last bits of powers decide nothing.
        return np.array([float(f"{place**-exponent:.12g}") for place in places.tolist()])

    def _listed(self, schedulers: int) -> NDArray[np.float64]:
        import numpy as np

        if self.each is not None:
            weights = np.array(self.each, dtype=np.float64)
        else:
            path = str(self.path)
            weights = _read(path, self.column, os.path.isfile(path) and os.path.getmtime(path))
        if len(weights) != schedulers:
            where = "" if self.path is None else f" in {self.path}"
            raise InputError(f"must hold one for each of {schedulers:,} schedulers, got {len(weights):,}{where}")
        if not weights.any():
            raise InputError("must not all be 0")
        return weights

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Weights:
        """Return some for any number of schedulers, for tests."""
        order: Any = generator.choice(["index", "random"]).item()
        if generator.random() < 0.5:
            return cls(kind="zipf", exponent=float(generator.choice([0.5, 1.0])), order=order)
        return cls(
            kind="hot",
            share=float(generator.uniform(0.05, 0.5)),
            factor=float(generator.choice([0.2, 5.0])),
            order=order,
        )


@lru_cache(maxsize=8)
def _read(path: str, column: str | None, modified: float) -> NDArray[np.float64]:
    """Read a file only once as long as its time stays `modified`: every point of a sweep asks."""
    from emulator.model.data_files import read_columns

    columns = read_columns(path, None if column is None else [column])
    return columns.numbers(next(iter(columns.cells)), "a number >= 0", _is_weight)


_MEANT = {"share": "the share of the schedulers that meet more", "factor": "how much more they meet"}


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight <= 1e100
