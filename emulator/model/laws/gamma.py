"""Gamma work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class GammaNumbers(NamedTuple):
    """Work is `scale` times a number of the gamma law of a `shape`."""

    shape: float
    scale: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`; the method is that of G. Marsaglia and W. W. Tsang, 2000."""
        import numpy as np

        from emulator.elementary import exp, logarithm, normal_quantile
        from emulator.randomness import exponential, more_bits, uniform

        def draw(numbers: Any, bits: Any, more: Any) -> Any:
            # Below shape 1 a number of shape + 1 is drawn; times u**(1 / shape) it is one of the shape.
            is_low = numbers.shape < 1.0
            d = numbers.shape + 2.0 / 3.0 if is_low else numbers.shape - 1.0 / 3.0
            c = 1.0 / (3.0 * np.sqrt(d))
            attempt = 0
            while True:  # an attempt succeeds with a probability above 0.95
                first, second, _ = more_bits(more, attempt)
                z = normal_quantile(uniform(first))
                root = 1.0 + c * z
                v = root * root * root
                if v > 0.0 and -exponential(second) < 0.5 * z * z + d - d * v + d * logarithm(v):
                    break
                attempt += 1
            work = numbers.scale * d * v
            return work * exp(-exponential(bits) / numbers.shape) if is_low else work

        return draw


class Gamma(Law):
    """Gamma work."""

    law: Literal["gamma"] = "gamma"
    scv: Annotated[float, Field(ge=1e-4, le=100)]
    """Squared coefficient of variation; the shape is 1 / scv."""

    def numbers(self) -> GammaNumbers:
        """See `Law.numbers`."""
        return GammaNumbers(1.0 / self.scv, self.scv)

    def variance(self) -> float:
        """See `Law.variance`."""
        return self.scv

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np
        from scipy.special import gammainc

        return np.asarray(gammainc(1.0 / self.scv, work / self.scv))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Gamma:
        """See `Law.sample`."""
        return cls(scv=float(generator.choice([generator.uniform(0.1, 1.0), generator.uniform(1.0, 8.0)])))
