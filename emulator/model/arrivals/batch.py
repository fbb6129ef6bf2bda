"""Batches: how many jobs come at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_serializer, model_validator

from emulator.keys import ScenarioError, Section
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_BATCH = 1_000_000
"""Jobs that come at once, or of geometric batches their mean."""

Size = Annotated[int, Field(ge=1, le=LARGEST_BATCH)]


class NoBatch(NamedTuple):
    """Jobs come one by one."""

    @staticmethod
    def compiled_size() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """Return the function (batch, scheduler, number, seed, replication) -> jobs of that arrival."""

        def size(batch: Any, scheduler: Any, number: Any, seed: Any, replication: Any) -> Any:
            return 1

        return size


class BatchSizes(NamedTuple):
    """Sizes with probabilities, or, if `scale` is positive, geometric ones."""

    scale: float
    """1 / -ln(1 - p), where a batch ends with probability p after each job."""
    sizes: NDArray[np.int64]
    cumulative: NDArray[np.float64]
    """Probability of at most so many jobs, for each size but the last."""

    @staticmethod
    def compiled_size() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `NoBatch.compiled_size`."""
        import numpy as np
        from numba import uint64

        from emulator.randomness import BATCH, exponential, philox

        def size(batch: Any, scheduler: Any, number: Any, seed: Any, replication: Any) -> Any:
            high, low, _, _ = philox(scheduler, 0, number, BATCH, seed, replication)
            bits = (high << uint64(16)) | (low >> uint64(16))
            if batch.scale > 0.0:
                return 1 + np.int64(np.floor(exponential(bits) * batch.scale))
            u = np.float64(np.int64(bits)) * 2.0**-48
            place = 0
            for bound in batch.cumulative:
                place += u >= bound
            return batch.sizes[place]

        return size


class Batch(Section):
    """How many jobs come at once: a number, a law of at least 1, or sizes with their probabilities."""

    short: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": LARGEST_BATCH}
    """What may stand for the mapping, as JSON Schema."""

    law: Literal["fixed", "geometric"] | None = None
    """fixed: always `mean` jobs; geometric: after each job the batch ends with probability 1 / mean."""
    mean: Annotated[float, Field(ge=1, le=LARGEST_BATCH)] | None = None
    """Jobs of a batch on average, beside a law."""
    sizes: Annotated[list[Size], Field(min_length=1, max_length=1000)] | None = None
    """How many jobs batches have, each with one of the `probabilities`."""
    probabilities: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)] | None = None
    """How likely each of the `sizes` is; they add up to 1."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            if not isinstance(value, dict | cls):
                raise ScenarioError("", f"must be a whole number of jobs or a mapping, got {show(value)}")
            return value
        if not 1 <= value <= LARGEST_BATCH:
            raise ScenarioError("", f"must be from 1 to {LARGEST_BATCH} jobs, got {value}")
        return {"law": "fixed", "mean": float(value)}

    @model_serializer
    def _as_written(self) -> Any:
        if self.law == "fixed" and self.mean is not None:
            return int(self.mean)
        return {key: value for key, value in self if value is not None}

    @model_validator(mode="after")
    def _check(self) -> Batch:
        if (self.law is None) == (self.sizes is None):
            raise ScenarioError("", "needs either law or sizes" + (", got both" if self.law else ""))
        for key, value, owner in (("mean", self.mean, "law"), ("probabilities", self.probabilities, "sizes")):
            is_wanted = getattr(self, owner) is not None
            if is_wanted and value is None:
                raise ScenarioError(key, f"is missing: beside {owner}, {_MEANT[key]}")
            if not is_wanted and value is not None:
                raise ScenarioError(key, f"must stand beside {owner}")
        if self.law == "fixed" and self.mean != int(self.mean or 0):
            raise ScenarioError("mean", f"must be a whole number of jobs beside law: fixed, got {show(self.mean)}")
        if self.sizes is not None and self.probabilities is not None:
            if len(self.sizes) != len(self.probabilities):
                raise ScenarioError(
                    "probabilities", f"must hold one for each of {len(self.sizes)} sizes, got {len(self.probabilities)}"
                )
            if abs(sum(self.probabilities) - 1.0) > 1e-9:
                raise ScenarioError("probabilities", f"must add up to 1, got {sum(self.probabilities):.10g}")
        return self

    def mean_size(self) -> float:
        """Return the jobs of a batch on average."""
        if self.sizes is not None and self.probabilities is not None:
            return sum(size * share for size, share in zip(self.sizes, self.probabilities, strict=True))
        return float(self.mean or 1.0)

    def variance(self) -> float:
        """Return the variance of the jobs of a batch."""
        mean = self.mean_size()
        if self.sizes is not None and self.probabilities is not None:
            return sum(share * (size - mean) ** 2 for size, share in zip(self.sizes, self.probabilities, strict=True))
        return mean * (mean - 1.0) if self.law == "geometric" else 0.0

    def numbers(self) -> BatchSizes:
        """Return it for compiled functions."""
        import math

        import numpy as np

        from emulator.model.places import rounded

        scale = 0.0
        if self.law == "geometric" and self.mean_size() > 1.0:
            scale = float(f"{-1.0 / math.log1p(-1.0 / self.mean_size()):.12g}")
        if self.sizes is None or self.probabilities is None:
            return BatchSizes(scale, np.array([int(self.mean_size())]), np.empty(0))
        return BatchSizes(scale, np.array(self.sizes), rounded(np.cumsum(self.probabilities[:-1])))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Batch:
        """Return one with random keys, for tests."""
        kind = generator.integers(3)
        if kind == 0:
            return cls(law="fixed", mean=float(generator.integers(1, 5)))
        if kind == 1:
            return cls(law="geometric", mean=float(generator.uniform(1.0, 4.0)))
        return cls(sizes=[1, int(generator.integers(2, 9))], probabilities=[0.75, 0.25])


_MEANT = {"mean": "how many jobs a batch has on average", "probabilities": "how likely each of them is"}
