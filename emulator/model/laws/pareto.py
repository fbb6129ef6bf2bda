"""Pareto work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ParetoNumbers(NamedTuple):
    """Work is at least `1 - 1 / alpha`."""

    alpha: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.elementary import exp
        from emulator.randomness import exponential

        def draw(numbers: Any, bits: Any) -> Any:
            return (1.0 - 1.0 / numbers.alpha) * exp(exponential(bits) / numbers.alpha)

        return draw


class Pareto(Law):
    """Work that exceeds x with a probability of (least work / x)**alpha."""

    law: Literal["pareto"] = "pareto"
    alpha: Annotated[float, Field(gt=1, le=1000)]
    """Exponent of the tail; up to 2 the variance is infinite."""

    def numbers(self) -> ParetoNumbers:
        """See `Law.numbers`."""
        return ParetoNumbers(self.alpha)

    def variance(self) -> float:
        """See `Law.variance`."""
        return 1.0 / (self.alpha * (self.alpha - 2.0)) if self.alpha > 2.0 else float("inf")

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        least = 1.0 - 1.0 / self.alpha
        return 1.0 - (least / np.maximum(work, least)) ** self.alpha

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Pareto:
        """See `Law.sample`."""
        ranges = (1.6, 2.0), (3.0, 8.0)  # nearer to 1 or 2 nobody sees the moments in a table of the distribution
        return cls(alpha=float(generator.uniform(*ranges[int(generator.integers(2))])))
