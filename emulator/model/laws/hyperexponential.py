"""Hyperexponential work: each job is of one of several exponential branches."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.laws.law import Law, check_shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Probability = Annotated[float, Field(ge=0, le=1)]
Mean = Annotated[float, Field(gt=0)]


class HyperexponentialNumbers(NamedTuple):
    """A job is short with probability `branch` / 2**48, long otherwise, each exponential."""

    branch: np.uint64
    mean_short: float
    mean_long: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        import numpy as np

        from emulator.randomness import exponential

        def draw(numbers: Any, bits: Any) -> Any:
            # The bits say the branch first; what is left of them, stretched to 48 bits again, says the length.
            if bits < numbers.branch:
                part = np.float64(bits) / np.float64(numbers.branch)
                return numbers.mean_short * exponential(np.uint64(part * 2.0**48))
            part = np.float64(bits - numbers.branch) / np.float64(np.uint64(2**48) - numbers.branch)
            return numbers.mean_long * exponential(np.uint64(part * 2.0**48))

        return draw


class BranchesNumbers(NamedTuple):
    """A job is of branch i with the probability (`bounds[i + 1]` - `bounds[i]`) / 2**48, exponential of `means[i]`."""

    bounds: NDArray[np.uint64]
    means: NDArray[np.float64]

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.model.laws.drawing import part_of
        from emulator.randomness import exponential

        def draw(numbers: Any, bits: Any) -> Any:
            branch, left = part_of(numbers.bounds, bits)
            return numbers.means[branch] * exponential(left)

        return draw


class Hyperexponential(Law):
    """Jobs of several sorts, each exponential: short ones and long ones of equal shares of the work, or as given."""

    law: Literal["hyperexponential"] = "hyperexponential"
    scv: Annotated[float, Field(gt=1, le=1_000_000)] | None = None
    """Squared coefficient of variation of hyperexponential work."""
    probabilities: Annotated[list[Probability], Field(min_length=1, max_length=100)] | None = None
    """Instead of scv, the probability of each branch."""
    means: Annotated[list[Mean], Field(min_length=1)] | None = None
    """Beside probabilities, the mean of each branch, in any unit: the mean of all is made 1."""

    @model_validator(mode="after")
    def _check(self) -> Hyperexponential:
        if self.scv is None and self.probabilities is None and self.means is None:
            raise ScenarioError("scv", "is missing: squared coefficient of variation, or probabilities and means")
        for key, other in (("probabilities", "means"), ("means", "probabilities")):
            if getattr(self, key) is None and getattr(self, other) is not None:
                raise ScenarioError(key, f"is missing beside {other}")
        if self.probabilities is None or self.means is None:
            return self
        if self.scv is not None:
            raise ScenarioError("scv", "must not stand beside probabilities and means")
        if abs(sum(self.probabilities) - 1.0) > 1e-9:
            raise ScenarioError("probabilities", f"must add up to 1, got {sum(self.probabilities):g}")
        check_shares("probabilities", self.probabilities)
        if len(self.means) != len(self.probabilities):
            told = f"must hold one for each of {len(self.probabilities)} branches, got {len(self.means)}"
            raise ScenarioError("means", told)
        return self

    def branches(self) -> list[tuple[float, float]]:
        """Return the probability and the mean work of each branch.

        By scv they are those of a short job, whose probability p is chosen, and of a long one: 1 / (2 p) and
        1 / (2 (1 - p)).
        """
        if self.scv is not None:
            short = (1.0 + math.sqrt((self.scv - 1.0) / (self.scv + 1.0))) / 2.0
            return [(short, 0.5 / short), (1.0 - short, 0.5 / (1.0 - short))]
        pairs = list(zip(self.probabilities or [], self.means or [], strict=True))
        mean = math.fsum(probability * mean for probability, mean in pairs)
        return [(probability, branch / mean) for probability, branch in pairs]

    @cached_property
    def _numbers(self) -> HyperexponentialNumbers | BranchesNumbers:
        import numpy as np

        branches = self.branches()
        if self.scv is not None:
            (short, mean_short), (_, mean_long) = branches
            return HyperexponentialNumbers(np.uint64(round(short * 2**48)), mean_short, mean_long)
        from emulator.model.laws.drawing import bounds_of

        return BranchesNumbers(bounds_of([share for share, _ in branches]), np.array([mean for _, mean in branches]))

    def numbers(self) -> HyperexponentialNumbers | BranchesNumbers:
        """See `Law.numbers`."""
        return self._numbers

    def variance(self) -> float:
        """See `Law.variance`."""
        if self.scv is not None:
            return self.scv
        return 2.0 * math.fsum(probability * mean**2 for probability, mean in self.branches()) - 1.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        left = np.zeros_like(work)
        for probability, mean in self.branches():
            left += probability * np.exp(-work / mean)
        return 1.0 - left

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Hyperexponential:
        """See `Law.sample`."""
        if generator.random() < 0.5:
            return cls(scv=float(generator.uniform(1.1, 20.0)))
        import numpy as np

        count = int(generator.integers(1, 5))
        probabilities = generator.dirichlet(np.ones(count)).tolist()
        return cls(probabilities=probabilities, means=generator.uniform(0.1, 5.0, count).tolist())
