"""Sessions: clients come as a Poisson process, send some jobs, one after another, and leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, InstanceOf, model_validator

from emulator.model.arrivals.clients import Clients, check_alone
from emulator.model.arrivals.process import ArrivalProcess, Arrivals, Setting
from emulator.model.laws import Exponential, Law
from emulator.model.network import Duration

if TYPE_CHECKING:
    import numpy as np


class Sessions(ArrivalProcess):
    """A client's first job comes with it; once a job has ended it leaves, or thinks and sends another one."""

    kind: Literal["sessions"] = "sessions"
    rate: Annotated[float, Field(ge=0)]
    """Sessions that begin, per ms, at the mean scheduler."""
    jobs: Annotated[float, Field(ge=1, le=1_000_000)]
    """Of a session, in mean: their number is geometric."""
    think: InstanceOf[Duration]
    """How long a client thinks between the end of a job and the next one."""

    @model_validator(mode="after")
    def _check(self) -> Sessions:
        check_alone(self, ["batch"])
        return self

    @property
    def batch_mean(self) -> float:
        """See `ArrivalProcess.batch_mean`: the jobs of a session, though they do not come at once."""
        return self.jobs

    def expected_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.expected_rate`."""
        return self.rate

    def highest_rate(self, schedulers: int = 1) -> float:
        """See `ArrivalProcess.highest_rate`."""
        return self.rate

    def dispersion(self) -> None:
        """See `ArrivalProcess.dispersion`: it depends on what becomes of jobs."""

    def laws(self) -> tuple[Law, ...]:
        """See `ArrivalProcess.laws`."""
        return (self.think.law,)

    def who(self) -> Clients:
        """See `ArrivalProcess.who`."""
        return Clients(0, self.think, float(f"{1.0 / self.jobs:.12g}"))

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`: those of the clients, each with its first job."""
        import numpy as np

        from emulator.model.arrivals.pieces import arrivals_in_pieces

        return arrivals_in_pieces(np.zeros(1), np.array([self.rate]), np.array([self.rate]), setting)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Sessions:
        """See `ArrivalProcess.sample`."""
        jobs = float(generator.uniform(1.0, 4.0))
        think = Duration(float(generator.uniform(0.5, 4.0)), Exponential())
        return cls(rate=float(generator.uniform(0.1, 2.0)) / jobs, jobs=jobs, think=think)
