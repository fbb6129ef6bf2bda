"""Deterministic work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DeterministicNumbers(NamedTuple):
    """There are none."""

    @staticmethod
    def compiled_draw() -> Callable[[Any, Any], Any]:
        """See `WorkNumbers.compiled_draw`."""

        def draw(numbers: Any, bits: Any) -> Any:
            return 1.0

        return draw


class Deterministic(Law):
    """Work of 1 for every job."""

    law: Literal["deterministic"] = "deterministic"

    def numbers(self) -> DeterministicNumbers:
        """See `Law.numbers`."""
        return DeterministicNumbers()

    def variance(self) -> float:
        """See `Law.variance`."""
        return 0.0

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        return (work >= 1.0).astype(float)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Deterministic:
        """See `Law.sample`."""
        return cls()
