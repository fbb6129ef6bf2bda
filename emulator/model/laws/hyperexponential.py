"""Hyperexponential work: two exponential branches with balanced means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HyperexponentialNumbers(NamedTuple):
    """A job is short with probability `branch` / 2**48, long otherwise, each exponential."""

    branch: np.uint64
    mean_short: float
    mean_long: float

    @staticmethod
    def compiled_draw() -> Callable[[Any, Any], Any]:
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


class Hyperexponential(Law):
    """Short jobs and long ones, each exponential, of equal shares of the work."""

    law: Literal["hyperexponential"] = "hyperexponential"
    scv: Annotated[float, Field(gt=1, le=1_000_000)]
    """Squared coefficient of variation of hyperexponential work."""

    def short_share(self) -> float:
        """Return the probability p of a short job; its mean is 1 / (2 p), that of a long one 1 / (2 (1 - p))."""
        return (1.0 + math.sqrt((self.scv - 1.0) / (self.scv + 1.0))) / 2.0

    def numbers(self) -> HyperexponentialNumbers:
        """See `Law.numbers`."""
        import numpy as np

        short = self.short_share()
        return HyperexponentialNumbers(np.uint64(round(short * 2**48)), 0.5 / short, 0.5 / (1.0 - short))

    def variance(self) -> float:
        """See `Law.variance`."""
        return self.scv

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        short = self.short_share()
        long = 1.0 - short
        return 1.0 - short * np.exp(-2.0 * short * work) - long * np.exp(-2.0 * long * work)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Hyperexponential:
        """See `Law.sample`."""
        return cls(scv=float(generator.uniform(1.1, 20.0)))
