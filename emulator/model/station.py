"""The station: how a server serves its jobs, of which classes they are, when they lose patience, when it fails.

The default is the paper's server: one queue in order of arrival, served at one speed, which never fails. Times in ms.
`emulator.workload.marks` draws what is random in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emulator.model.laws import Law
from emulator.model.network import Duration

Discipline = Literal["fifo", "ps"]
"""One job after another at each server of a station, or all jobs at once, each with an equal share."""

AtFailure = Literal["resume", "restart", "lose"]
"""What becomes of jobs that have started: they go on where they were, start again with the same work, or are lost."""

Reason = Literal["drop", "refuse", "lose", "timeout"]
"""Why a job is tried again: it was dropped, refused or lost, or gave up."""


@dataclass(frozen=True)
class JobClass:
    """A kind of jobs."""

    name: str
    share: float
    """Probability that a job is of this class."""
    priority: int = 0
    """Classes of lower numbers are served first, where jobs are served by priority."""
    mean: float = 1.0
    """Mean work."""
    law: Law | None = None
    """The law of work; that of all jobs if None."""


@dataclass(frozen=True)
class Patience:
    """How long a job is ready to wait until its service starts, or to be there until it departs."""

    time: Duration
    of_sojourn: bool = False
    """Whether it counts from the job's arrival until it departs; else from reaching the server until service starts."""
    goes_on: bool = False
    """Whether the server does not learn of it, and serves the job all the same."""

    @property
    def stops_service(self) -> bool:
        """Whether jobs in service give up, too."""
        return self.of_sojourn and not self.goes_on


@dataclass(frozen=True)
class Failures:
    """Servers are up and down in turn, up at first; `group` of them in a row fail and are repaired together."""

    up: Duration
    down: Duration
    group: int = 1
    jobs: AtFailure = "resume"
    refuses: bool = False
    """Whether a server that is down refuses jobs; else it queues them."""
    told: bool = False
    """Whether messages say that a server is down, as a queue length of `buffer`."""


@dataclass(frozen=True)
class Retries:
    """Jobs that failed for one of some reasons come to their scheduler again, and are sent anew."""

    on: tuple[Reason, ...] = ("drop",)
    most: int = 3
    """How often a job is tried again at most."""
    backoff: Duration = field(default_factory=Duration)
    """How long after the failure."""


@dataclass(frozen=True)
class Station:
    """How servers serve."""

    servers: int = 1
    """Of each node, at work on different jobs."""
    discipline: Discipline = "fifo"
    has_priorities: bool = False
    """Whether jobs are served by the priority of their class, and in order of arrival within it."""
    preempts: bool = False
    """Whether a job of higher priority takes the place of one in service, which resumes later."""
    speeds: tuple[float, ...] = ()
    """By how much the service rate is multiplied with 1, 2 ... jobs present; the last one holds for more."""
    classes: tuple[JobClass, ...] = ()
    patience: Patience | None = None
    failures: Failures | None = None
    retries: Retries | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is one queue in order of arrival, of jobs that are all alike, stay and come once."""
        return self == PLAIN

    @property
    def has_marks(self) -> bool:
        """Whether a class or a patience is drawn for each job."""
        return bool(self.classes) or self.patience is not None

    def factor(self, jobs: int) -> float:
        """Return by how much the service rate is multiplied with so many jobs present."""
        return self.speeds[min(max(jobs, 1), len(self.speeds)) - 1] if self.speeds else 1.0

    def laws(self) -> list[Law]:
        """Return the laws of all that is drawn in it."""
        durations: list[Duration] = []
        if self.patience is not None:
            durations.append(self.patience.time)
        if self.failures is not None:
            durations += [self.failures.up, self.failures.down]
        if self.retries is not None:
            durations.append(self.retries.backoff)
        of_classes = [one.law for one in self.classes if one.law is not None]
        return [duration.law for duration in durations] + of_classes


PLAIN = Station()
"""The paper's server."""
