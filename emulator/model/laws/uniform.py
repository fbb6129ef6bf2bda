"""Uniform work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class UniformNumbers(NamedTuple):
    """Work is from `1 - spread` to `1 + spread`."""

    spread: float

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.randomness import uniform

        def draw(numbers: Any, bits: Any) -> Any:
            return 1.0 + numbers.spread * (2.0 * uniform(bits) - 1.0)

        return draw


class Uniform(Law):
    """Work that is equally likely anywhere from 1 - spread to 1 + spread."""

    law: Literal["uniform"] = "uniform"
    spread: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How far work is from its mean at most, in units of it."""

    def numbers(self) -> UniformNumbers:
        """See `Law.numbers`."""
        return UniformNumbers(self.spread)

    def variance(self) -> float:
        """See `Law.variance`."""
        return self.spread**2 / 3.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        if self.spread == 0.0:
            return (work >= 1.0).astype(float)
        return np.clip((work - 1.0 + self.spread) / (2.0 * self.spread), 0.0, 1.0)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Uniform:
        """See `Law.sample`."""
        return cls(spread=float(generator.uniform(0.1, 1.0)))
