"""What is measured of an episode: from when on, in how many batches, and with what that costs time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Power(NamedTuple):
    """What a server takes, W, while it serves, while it has nothing to do, and while it is down."""

    busy: float
    idle: float
    down: float = 0.0


@dataclass(frozen=True)
class Measuring:
    """What is measured. Times in ms."""

    warmup: float = 0.0
    """Jobs that are born before, and times before, are left out."""
    batches: int = 0
    """Into how many parts of equal length the time after the warm-up is cut; 0 for none."""
    everything: bool = False
    """Whether also what costs more: waiting times, time shares of queue lengths, fairness."""
    power: Power | None = None

    @property
    def needs_census(self) -> bool:
        """Whether every job is looked at once more when its fate is known; see `emulator.engines.census`."""
        return self.everything or self.warmup > 0.0 or self.batches > 0

    def bounds(self, horizon: float) -> NDArray[np.float64]:
        """Return where the parts begin, and the horizon."""
        import numpy as np

        count = max(self.batches, 1)
        bounds = self.warmup + (horizon - self.warmup) * (np.arange(count + 1) / count)
        bounds[-1] = horizon
        return bounds
