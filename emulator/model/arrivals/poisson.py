"""Poisson arrivals of one rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting

if TYPE_CHECKING:
    import numpy as np

Rate = Annotated[float, Field(ge=0)]


class Poisson(ArrivalProcess):
    """Poisson arrivals of one rate."""

    kind: Literal["poisson"] = "poisson"
    rate: Rate
    """Arrivals per ms of the mean scheduler."""

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        return self.rate

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return self.rate

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        import numpy as np

        from emulator.model.arrivals.pieces import arrivals_in_pieces

        return arrivals_in_pieces(np.zeros(1), np.array([self.rate]), np.array([self.rate]), setting)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Poisson:
        """See `ArrivalProcess.sample`."""
        return cls(rate=float(generator.uniform(0.1, 2.0)))
