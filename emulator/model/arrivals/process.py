"""What every arrival process says of itself; a scenario is read before numpy and numba, so files import them late."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from emulator.keys import Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Stream(Protocol):
    """How jobs reach a scheduler: a `NamedTuple` of its own type, by which compiled code picks the function."""

    @staticmethod
    def compiled_next() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """Return the function (stream, scheduler, number, time, bits) -> next arrival time that engines compile.

        `number` counts the scheduler's jobs of the epoch from 0. `time` (ms) is that of its previous job, the epoch's
        start for the first one. The 48 bits are a uint64.
        """


class ArrivalProcess(Section):
    """How jobs arrive at every scheduler, with its keys as a scenario gives them; rates in jobs per ms."""

    kind: ClassVar[str]
    """What scenarios and messages call it."""

    @abstractmethod
    def expected_rate(self) -> float:
        """Return the rate of a scheduler on average over a long time."""

    @abstractmethod
    def highest_rate(self) -> float:
        """Return a rate that no scheduler exceeds in any epoch."""

    @abstractmethod
    def rates(self, seed: int, replication: int, epochs: int) -> NDArray[np.float64]:
        """Return the mean rate of every scheduler in each of the first `epochs` epochs of a replication."""

    @abstractmethod
    def stream(self, rate: float) -> Stream:
        """Return how jobs reach a scheduler in an epoch of this rate, which may be 0."""

    @classmethod
    @abstractmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Return one with random keys, for tests."""
