"""Lognormal work."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import DerivedLaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LognormalNumbers(NamedTuple):
    """The standard deviation of the logarithm."""

    sigma: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.elementary import exp, normal_quantile
        from emulator.randomness import uniform

        def draw(numbers: Any, bits: Any) -> Any:
            return exp(numbers.sigma * normal_quantile(uniform(bits)) - 0.5 * numbers.sigma * numbers.sigma)

        return draw


class Lognormal(DerivedLaw):
    """Work whose logarithm is normal."""

    law: Literal["lognormal"] = "lognormal"
    scv: Annotated[float, Field(gt=0, le=1_000_000)]
    """Squared coefficient of variation."""

    def derive(self) -> dict[str, float]:
        """See `DerivedLaw.derive`: the standard deviation of the logarithm."""
        return {"sigma": math.sqrt(math.log1p(self.scv))}

    def numbers(self) -> LognormalNumbers:
        """See `Law.numbers`."""
        return LognormalNumbers(self.constants["sigma"])

    def variance(self) -> float:
        """See `Law.variance`."""
        return self.scv

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np
        from scipy.special import ndtr

        sigma = self.constants["sigma"]
        with np.errstate(divide="ignore"):
            return np.asarray(ndtr(np.log(work) / sigma + sigma / 2.0))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Lognormal:
        """See `Law.sample`."""
        return cls(scv=float(generator.uniform(0.1, 9.0)))
