"""Poisson arrivals whose rate is high or low, switched after each epoch (section 2.3, eq. 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.arrivals.process import Arrivals, ByEpoch, Setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Probability = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0)]


class PoissonStream(NamedTuple):
    """Exponential gaps between the jobs of a scheduler."""

    mean_gap: float
    """In ms; infinite where nothing arrives."""

    @staticmethod
    def compiled_next() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `EpochStream.compiled_next`."""
        from emulator.randomness import exponential

        def next_arrival(stream: Any, scheduler: Any, number: Any, time: Any, bits: Any) -> Any:
            return time + exponential(bits) * stream.mean_gap

        return next_arrival


class Switched(ByEpoch):
    """The arrival rate of every scheduler, high or low, switched after each epoch (section 2.3, eq. 2)."""

    kind: Literal["switched"] = Field(default="switched", exclude=True)
    high: Rate = 0.9
    """The high rate, per ms."""
    low: Rate = 0.6
    """The low rate, per ms."""
    high_to_low: Probability = 0.2
    """Probability that high turns low after an epoch."""
    low_to_high: Probability = 0.5
    """Probability that low turns high after an epoch."""

    def expected_rate(self, schedulers: int = 1) -> float:
        """Return the rate in the stationary law of the switching; half way where nothing is switched."""
        leaving = self.high_to_low + self.low_to_high
        share_high = self.low_to_high / leaving if leaving else 0.5
        return share_high * self.high + (1.0 - share_high) * self.low

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return max(self.high, self.low)

    def rates(self, seed: int, replication: int, epochs: int) -> NDArray[np.float64]:
        """See `ByEpoch.rates`; the first epoch is high with probability 1/2."""
        import numpy as np

        from emulator.randomness import RATE, random_uniforms

        coins = random_uniforms(epochs, RATE, seed, replication).tolist()
        is_high = coins[0] < 0.5
        path = [is_high]
        for coin in coins[1:]:
            is_high = coin >= self.high_to_low if is_high else coin < self.low_to_high
            path.append(is_high)
        return np.where(path, self.high, self.low)

    def stream(self, rate: float) -> PoissonStream:
        """See `ByEpoch.stream`."""
        return PoissonStream(1.0 / rate if rate > 0.0 else float("inf"))

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`: with weights or batches the arrivals come in operational time."""
        from emulator.model.arrivals.pieces import arrivals_in_pieces

        rates = self.rates(setting.seed, setting.replication, len(setting.times) - 1)
        return arrivals_in_pieces(setting.times[:-1], rates, rates, setting)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Switched:
        """See `ArrivalProcess.sample`."""
        high, low, high_to_low, low_to_high = generator.uniform(0.1, 1.0, 4).tolist()
        return cls(high=high, low=low, high_to_low=high_to_low, low_to_high=low_to_high)
