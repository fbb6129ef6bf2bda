"""A closed system: so many clients for each scheduler, each with one job at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, InstanceOf, model_validator

from emulator.keys import ScenarioError
from emulator.model.arrivals.clients import CLIENT_LIMIT, Clients, check_alone
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.model.laws import Deterministic, Exponential, Law
from emulator.model.network import Duration

if TYPE_CHECKING:
    import numpy as np


class Closed(ArrivalProcess):
    """Clients think, send a job, and think again once it has ended, whatever has become of it."""

    kind: Literal["closed"] = "closed"
    clients: Annotated[int, Field(ge=1, le=1_000_000)]
    """Of each scheduler."""
    think: InstanceOf[Duration]
    """How long a client thinks; a scheduler's weight divides it."""

    @model_validator(mode="after")
    def _check(self) -> Closed:
        check_alone(self, ["batch"])
        return self

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`: that of jobs which take 1 ms, on average."""
        return self.clients / (self.think.mean + 1.0)

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`: that of jobs which end at once."""
        return self.clients / self.think.mean

    def dispersion(self) -> None:
        """See `ArrivalProcess.dispersion`: it depends on what becomes of jobs."""

    def laws(self) -> tuple[Law, ...]:
        """See `ArrivalProcess.laws`."""
        return (self.think.law,)

    def who(self) -> Clients:
        """See `ArrivalProcess.who`."""
        return Clients(self.clients, self.think, 0.0)

    def check(self, schedulers: int, horizon: float) -> None:
        """See `ArrivalProcess.check`."""
        super().check(schedulers, horizon)
        if self.clients * schedulers > CLIENT_LIMIT:
            most = f"must be at most {CLIENT_LIMIT // schedulers:,} for each of {schedulers:,} schedulers"
            raise ScenarioError("clients", f"{most}, got {self.clients:,}")

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`: nobody comes from outside."""
        import numpy as np

        from emulator.model.arrivals.gaps import Gaps

        nobody = Gaps(np.full(len(setting.weights), np.inf), Deterministic().numbers())
        return Arrivals(nobody, np.full(len(setting.times) - 1, self.expected_rate()), setting.weights)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Closed:
        """See `ArrivalProcess.sample`."""
        clients = int(generator.integers(1, 5))
        return cls(clients=clients, think=Duration(clients * float(generator.uniform(0.5, 4.0)), Exponential()))
