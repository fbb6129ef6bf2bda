"""What every law of work says of itself; a scenario is read before numpy and numba, so files import them late."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

from emulator.keys import Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class WorkNumbers(Protocol):
    """The numbers of a law: a `NamedTuple` of its own type, by which compiled code picks the function to draw with."""

    @staticmethod
    def compiled_draw() -> Callable[..., Any]:
        """Return the function (numbers, bits) -> work that engines compile; the 48 bits are a uint64.

        Or the function (numbers, bits, more) -> work of a law that needs further bits: `more` is the
        `emulator.randomness.Address` at which `emulator.randomness.more_bits` draws them.
        """


class Law(Section):
    """A law of a job's work, of mean 1, with its keys as a scenario gives them."""

    law: str
    """What scenarios and messages call it."""

    @abstractmethod
    def numbers(self) -> WorkNumbers:
        """Return the numbers of the law."""

    @abstractmethod
    def variance(self) -> float:
        """Return the variance, which is the squared coefficient of variation, too; infinite if there is none."""

    @abstractmethod
    def cdf(self, work: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of at most so much work, all >= 0."""

    @classmethod
    @abstractmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Return one with random keys, for tests."""
