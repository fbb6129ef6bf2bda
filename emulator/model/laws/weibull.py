"""Weibull work."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.keys import ScenarioError
from emulator.model.laws.law import DerivedLaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHAPES = 0.1, 100.0
"""The least and the largest shape."""


class WeibullNumbers(NamedTuple):
    """Work is `scale` times an exponential number to the power of `exponent`, which is 1 / shape."""

    exponent: float
    scale: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.elementary import power
        from emulator.randomness import exponential

        def draw(numbers: Any, bits: Any) -> Any:
            return numbers.scale * power(exponential(bits), numbers.exponent)

        return draw


class Weibull(DerivedLaw):
    """Weibull work: heavier than exponential at a shape below 1, lighter above."""

    law: Literal["weibull"] = "weibull"
    shape: Annotated[float, Field(ge=SHAPES[0], le=SHAPES[1])] | None = None
    """The exponent k in exp(-x**k), up to a scale."""
    scv: Annotated[float, Field(gt=0)] | None = None
    """Squared coefficient of variation, instead of the shape."""

    def check_keys(self) -> None:
        """See `DerivedLaw.check_keys`."""
        if (self.shape is None) == (self.scv is None):
            raise ScenarioError("", "needs either shape or scv" + (", got both" if self.shape else ""))
        highest, lowest = map(_scv, SHAPES)
        if self.scv is not None and not lowest <= self.scv <= highest:
            raise ScenarioError("scv", f"must be from {lowest:.6g} to {highest:.6g}, got {self.scv:g}")

    def derive(self) -> dict[str, float]:
        """See `DerivedLaw.derive`: 1 / shape, and the scale that makes the mean 1."""
        shape = self.shape if self.scv is None else _shape_of(self.scv)
        if shape is None:
            return {}
        return {"exponent": 1.0 / shape, "scale": math.exp(-math.lgamma(1.0 + 1.0 / shape))}

    def numbers(self) -> WeibullNumbers:
        """See `Law.numbers`."""
        return WeibullNumbers(self.constants["exponent"], self.constants["scale"])

    def variance(self) -> float:
        """See `Law.variance`."""
        return _scv(1.0 / self.constants["exponent"])

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        return -np.expm1(-((work / self.constants["scale"]) ** (1.0 / self.constants["exponent"])))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Weibull:
        """See `Law.sample`."""
        if generator.random() < 0.5:
            return cls(shape=float(generator.uniform(0.6, 4.0)))
        return cls(scv=float(generator.uniform(0.05, 6.0)))


def _scv(shape: float) -> float:
    """Return the squared coefficient of variation, G(1 + 2 / k) / G(1 + 1 / k)**2 - 1, which falls with the shape k."""
    return math.expm1(math.lgamma(1.0 + 2.0 / shape) - 2.0 * math.lgamma(1.0 + 1.0 / shape))


def _shape_of(scv: float) -> float:
    """Return the shape of a squared coefficient of variation, by bisection."""
    low, high = SHAPES
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _scv(middle) > scv else (low, middle)
    return low
