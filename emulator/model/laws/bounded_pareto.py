"""Bounded Pareto work."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import DerivedLaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BoundedParetoNumbers(NamedTuple):
    """The exponent of the tail, the least work, and what a Pareto law would have beyond the largest."""

    alpha: float
    least: float
    beyond: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.elementary import power
        from emulator.randomness import uniform

        def draw(numbers: Any, bits: Any) -> Any:
            v = 1.0 - uniform(bits)
            return numbers.least * power(1.0 - v * (1.0 - numbers.beyond), -1.0 / numbers.alpha)

        return draw


class BoundedPareto(DerivedLaw):
    """Pareto work, given that it is below a largest one."""

    law: Literal["bounded_pareto"] = "bounded_pareto"
    alpha: Annotated[float, Field(ge=0.01, le=100)]
    """Exponent of the tail."""
    ratio: Annotated[float, Field(gt=1, le=1e12)]
    """The largest work over the least."""

    def derive(self) -> dict[str, float]:
        """See `DerivedLaw.derive`: the least work, and ratio**-alpha."""
        beyond = self.ratio**-self.alpha
        return {"least": 1.0 / self._moment(1, beyond), "beyond": beyond}

    def _moment(self, order: int, beyond: float) -> float:
        """Return a moment of the work in units of the least."""
        difference = order - self.alpha
        growth = math.log(self.ratio)
        if abs(difference) > 1e-12:
            growth = math.expm1(difference * growth) / difference
        return self.alpha * growth / (1.0 - beyond)

    def numbers(self) -> BoundedParetoNumbers:
        """See `Law.numbers`."""
        return BoundedParetoNumbers(self.alpha, self.constants["least"], self.constants["beyond"])

    def variance(self) -> float:
        """See `Law.variance`."""
        return self.constants["least"] ** 2 * self._moment(2, self.constants["beyond"]) - 1.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        least = self.constants["least"]
        left = (least / np.clip(work, least, least * self.ratio)) ** self.alpha
        return np.where(work < least * self.ratio, (1.0 - left) / (1.0 - self.constants["beyond"]), 1.0)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> BoundedPareto:
        """See `Law.sample`."""
        return cls(alpha=float(generator.uniform(0.5, 3.0)), ratio=float(generator.uniform(2.0, 1000.0)))
