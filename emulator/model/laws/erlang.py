"""Erlang work: stages in a row, each exponential."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.laws.law import Law

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ErlangNumbers(NamedTuple):
    """How many stages a job has."""

    stages: int

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """See `WorkNumbers.compiled_draw`."""
        from emulator.randomness import exponential, more_bits

        def draw(numbers: Any, bits: Any, more: Any) -> Any:
            total = exponential(bits)
            for block in range(numbers.stages // 2):  # each has the bits of two stages
                first, second, _ = more_bits(more, block)
                total += exponential(first)
                if 2 * block + 2 < numbers.stages:
                    total += exponential(second)
            return total / numbers.stages

        return draw


class Erlang(Law):
    """Work of several stages, each exponential."""

    law: Literal["erlang"] = "erlang"
    stages: Annotated[int, Field(ge=1, le=1000)]
    """How many stages a job has; the squared coefficient of variation is 1 / stages."""

    def numbers(self) -> ErlangNumbers:
        """See `Law.numbers`."""
        return ErlangNumbers(self.stages)

    def variance(self) -> float:
        """See `Law.variance`."""
        return 1.0 / self.stages

    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Law.cdf`."""
        import numpy as np
        from scipy.special import gammainc

        return np.asarray(gammainc(self.stages, self.stages * work))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Erlang:
        """See `Law.sample`."""
        return cls(stages=int(generator.integers(1, 9)))
