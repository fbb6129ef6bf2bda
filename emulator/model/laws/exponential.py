"""Exponential work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ExponentialNumbers(NamedTuple):
    """There are none."""

    @staticmethod
    def compiled_draw() -> Callable[[Any, Any], Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.randomness import exponential

        def draw(numbers: Any, bits: Any) -> Any:
            return exponential(bits)

        return draw


class Exponential(Law):
    """Exponential work."""

    law: Literal["exponential"] = "exponential"

    def numbers(self) -> ExponentialNumbers:
        """See `Law.numbers`."""
        return ExponentialNumbers()

    def variance(self) -> float:
        """See `Law.variance`."""
        return 1.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np

        return -np.expm1(-work)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Exponential:
        """See `Law.sample`."""
        return cls()
