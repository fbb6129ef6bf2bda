"""Arrivals at the ends of independent gaps of one law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, InstanceOf

from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.model.laws import LAWS, Exponential, Law

if TYPE_CHECKING:
    import numpy as np


class Renewal(ArrivalProcess):
    """Independent gaps of one law, the first of which begins at time 0."""

    kind: Literal["renewal"] = "renewal"
    rate: Annotated[float, Field(ge=0)]
    """Arrivals per ms of the mean scheduler: 1 / the mean gap."""
    gap: InstanceOf[Law] = Exponential()
    """The law of the gaps, of mean 1."""

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        return self.rate

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return self.rate

    def dispersion(self) -> float | None:
        """See `ArrivalProcess.dispersion`: it is the squared coefficient of variation of gaps that are independent."""
        return None if self.gap.is_in_order() else self.gap.variance()

    def laws(self) -> tuple[Law, ...]:
        """See `ArrivalProcess.laws`."""
        return (self.gap,)

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        import numpy as np

        from emulator.model.arrivals.gaps import Gaps

        rates = self.rate * setting.weights
        mean = np.full(len(rates), np.inf)
        np.divide(1.0, rates, out=mean, where=rates > 0.0)
        return Arrivals(Gaps(mean, self.gap.numbers()), np.full(len(setting.times) - 1, self.rate), setting.weights)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Renewal:
        """See `ArrivalProcess.sample`."""
        law = list(LAWS.values())[generator.integers(len(LAWS))].sample(generator)
        return cls(rate=float(generator.uniform(0.1, 2.0)), gap=law)
