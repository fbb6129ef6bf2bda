"""What every arrival process says of itself; a scenario is read before numpy and numba, so files import them late.

An arrival is an instant at which a scheduler meets a job, or a batch of them. Where a process goes on from one epoch to
the next, a scheduler's arrivals are numbered over the episode, and how far it has got is a `state` of an episode's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from emulator.errors import InputError
from emulator.keys import ScenarioError, Section
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.clients import Clients
from emulator.model.arrivals.weights import Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emulator.model.laws import Law

    Floats = NDArray[np.float64]


class EpochStream(Protocol):
    """How jobs reach a scheduler in one epoch: a `NamedTuple` of its own type, by which compiled code picks functions.

    It starts anew with each epoch, as only a Poisson process can without a change.
    """

    @staticmethod
    def compiled_next() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """Return the function (stream, scheduler, number, time, bits) -> next arrival time that engines compile.

        `number` counts the scheduler's jobs of the epoch from 0. `time` (ms) is that of its previous job, the epoch's
        start for the first one. The 48 bits are a uint64.
        """


class Stream(Protocol):
    """How arrivals reach the schedulers over an episode: a `NamedTuple` of its own type, as `EpochStream` is."""

    def state(self) -> Any:
        """Return where all schedulers stand at time 0: a `NamedTuple` of arrays, an element for each of them."""

    @staticmethod
    def compiled_gap() -> Callable[[Any, Any, Any], Any]:
        """Return the function (stream, bits, more) -> number that engines compile.

        It makes of an arrival's 48 bits the number that the other function takes; `more` is the address of further
        ones. It is apart because the compiler makes vector code of what has no branches.
        """

    @staticmethod
    def compiled_time() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """Return the function (stream, state, scheduler, time, gap) -> next arrival time that engines compile.

        `time` (ms) is that of the scheduler's previous arrival, 0 before the first. What it says of the scheduler in
        `state` is true of this next arrival. Infinity stands for any time from the horizon on.
        """


class Setting(NamedTuple):
    """What a process must know of the system and the replication."""

    seed: int
    replication: int
    times: Floats
    """The start of each epoch and, last, the horizon, ms."""
    weights: Floats
    """How much more than the mean scheduler each one meets: of mean 1."""

    @property
    def horizon(self) -> float:
        """The end of the episode, ms."""
        return float(self.times[-1])


class Arrivals(NamedTuple):
    """The arrivals of a replication."""

    stream: Any
    """See `Stream`."""
    rates: Floats
    """Arrivals per ms of the mean scheduler in each epoch; where they are not known, in the long run."""
    shares: Floats
    """By how much the rate of each scheduler differs from that: a factor."""
    own_rates: Callable[[], Iterator[Floats]] | None = None
    """Yields the rates of all schedulers, epoch by epoch, where they differ by more than that."""

    def rates_of_schedulers(self) -> Iterator[Floats]:
        """Yield the arrivals per ms of every scheduler in each epoch."""
        if self.own_rates is not None:
            yield from self.own_rates()
        else:
            yield from (rate * self.shares for rate in self.rates)


class ArrivalProcess(Section):
    """How jobs arrive at every scheduler, with its keys as a scenario gives them; rates per ms."""

    kind: str
    """What scenarios and messages call it."""
    weights: Weights | None = None
    """How much more than others some schedulers meet; all meet the same if not given."""
    batch: Batch | None = None
    """How many jobs come at once; one if not given."""

    @abstractmethod
    def expected_rate(self, schedulers: int = 1) -> float:
        """Return the arrivals per ms of the mean one of so many schedulers, over a long time. Raises `InputError`."""

    @abstractmethod
    def highest_rate(self, schedulers: int = 1) -> float:
        """Return a rate that the mean scheduler exceeds in no epoch: an expectation, given whatever modulates it."""

    def dispersion(self) -> float | None:
        """Return variance over mean of a scheduler's arrivals in a long time, given the rates; None if nobody knows.

        1 if they are Poisson, given whatever modulates their rates.
        """
        return 1.0

    @property
    def batch_mean(self) -> float:
        """How many jobs come with an arrival, on average."""
        return 1.0 if self.batch is None else self.batch.mean_size()

    @property
    def is_read(self) -> bool:
        """Whether a file must be read to know the rates."""
        return bool(self.files())

    def files(self) -> dict[str, str]:
        """Return the paths of the files that are read, by what they hold."""
        if self.weights is None or self.weights.path is None:
            return {}
        return {"weights of the schedulers": self.weights.path}

    @property
    def is_by_epoch(self) -> bool:
        """Whether nothing but the rate passes from one epoch to the next: then see `ByEpoch`."""
        return False

    @property
    def brings_work(self) -> bool:
        """Whether it says how much work jobs are."""
        return False

    def laws(self) -> tuple[Law, ...]:
        """Return the laws of which it draws."""
        return ()

    def who(self) -> Clients | None:
        """Return who sends the jobs, if they wait until these have ended; None if jobs come whatever happens."""
        return None

    def weights_of(self, schedulers: int, seed: int) -> Floats:
        """Return the weight of each of so many schedulers, of mean 1. Raises `InputError`."""
        import numpy as np

        return np.ones(schedulers) if self.weights is None else self.weights.of(schedulers, seed)

    def check(self, schedulers: int, horizon: float) -> None:
        """Raise `ScenarioError` for what is wrong with a file, or does not go with the system; `horizon` in ms."""
        try:
            self.weights_of(schedulers, 0)
        except InputError as error:
            raise ScenarioError("weights", str(error)) from None

    @abstractmethod
    def arrivals(self, setting: Setting) -> Arrivals:
        """Return the arrivals of a replication. Raises `InputError`."""

    @classmethod
    @abstractmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Return one with random keys, for tests; its rates are from about 0.1 to 2."""


class ByEpoch(ArrivalProcess):
    """A process that starts anew with each epoch, whose rate all schedulers share."""

    @property
    def is_by_epoch(self) -> bool:
        """See `ArrivalProcess.is_by_epoch`: with weights or batches arrivals go on from epoch to epoch."""
        return self.weights is None and self.batch is None

    @abstractmethod
    def rates(self, seed: int, replication: int, epochs: int) -> Floats:
        """Return the rate of every scheduler in each of the first `epochs` epochs of a replication."""

    @abstractmethod
    def stream(self, rate: float) -> EpochStream:
        """Return how jobs reach a scheduler in an epoch of this rate, which may be 0."""

    def arrivals(self, setting: Setting) -> Arrivals:
        """See `ArrivalProcess.arrivals`."""
        raise InputError(f"{self.kind} takes no weights and no batches")
