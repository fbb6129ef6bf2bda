"""A server with all that can be said of one, as a Markov chain, state by state: nothing of the engines is in it.

Its jobs come by any Markovian arrival process, in batches, or from clients, and their work is of phase type. It has
several servers, shares itself out, puts classes first, fails, and its jobs lose patience.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from emulator.verification.exact.arrivals import MarkovArrivals
from emulator.verification.exact.markov import MarkovChain, Move, explored
from emulator.verification.exact.phase_type import Phases, exponential

NOT_STARTED = -1


class Job(NamedTuple):
    """A job in a station."""

    sort: int
    """Its class."""
    phase: int = NOT_STARTED
    """Of its work."""
    is_orphan: bool = False
    """Whether it has given up, which the server does not know."""
    attempt: int = 0
    """How often it has been tried before."""


class State(NamedTuple):
    """What there is to know of a station at an instant."""

    arrivals: int = 0
    is_up: bool = True
    failing: int = 0
    """The phase of the time up or down."""
    serving: tuple[Job, ...] = ()
    """In no order: sorted."""
    waiting: tuple[Job, ...] = ()
    """In the order in which they will be served."""
    elsewhere: tuple[Job, ...] = ()
    """Those that will be tried again: sorted."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs."""
        return self.serving + self.waiting


class Outcome(NamedTuple):
    """What something leads to, with a probability, and what is counted."""

    probability: float
    state: State
    counts: Mapping[str, float] = {}


@dataclass(frozen=True, kw_only=True)
class JobClass:
    """A class of jobs."""

    share: float = 1.0
    work: Phases = field(default_factory=exponential)
    priority: int = 0
    """The least goes first."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """So many clients, each of which thinks for an exponential time before each job."""

    count: int
    think: float
    """Mean, ms."""


@dataclass(frozen=True, kw_only=True)
class Station:
    """A station; times in ms."""

    arrivals: MarkovArrivals | Clients
    batch: tuple[tuple[int, float], ...] = ((1, 1.0),)
    """Sizes of batches, each with its probability."""
    classes: tuple[JobClass, ...] = (JobClass(),)
    buffer: int = 5
    servers: int = 1
    rate: float = 1.0
    discipline: Literal["fifo", "ps"] = "fifo"
    preempts: bool = False
    """Whether a job of a higher class takes the place of one in service, which is resumed later."""
    speeds: tuple[float, ...] = ()
    """Factor of the speed by jobs present; the last one holds for more."""
    up: Phases | None = None
    down: Phases | None = None
    jobs: Literal["resume", "lose"] = "resume"
    """What becomes of jobs that have started at a failure."""
    refuses_while_down: bool = False
    patience: float | None = None
    """Mean of the exponential patience."""
    patience_of: Literal["waiting", "sojourn"] = "waiting"
    goes_on: bool = False
    """Whether the server works on for those who have given up."""
    retried: frozenset[Literal["drop", "refuse"]] = frozenset()
    """After what jobs are tried again: what has nothing to do with their own work and patience, which stay the same."""
    attempts: int = 3
    """How often at most."""
    backoff: float = 1.0
    """Mean of the exponential time until then."""
    room: int = 20
    """Jobs that can wait to be tried again; others are forgotten, which they must hardly ever be."""

    def chain(self) -> MarkovChain:
        """Return the chain from empty and up; its flows are counts, `presence` and `busy` (servers at work).

        Flows of a class have its number behind a dot.
        """
        law = self.arrivals.first if isinstance(self.arrivals, MarkovArrivals) else [1.0]
        up = [1.0] if self.up is None else self.up.start
        starts = {
            State(arrivals=state, failing=phase): float(first * second)
            for state, first in enumerate(law)
            for phase, second in enumerate(up)
            if first * second > 0.0
        }
        return explored(starts, self._moves, self._present)

    def _present(self, state: State) -> dict[str, float]:
        found = {"presence": float(len(state.jobs)), "busy": float(min(len(state.jobs), self.servers) * state.is_up)}
        for sort in range(len(self.classes)):
            found[f"presence.{sort}"] = float(sum(job.sort == sort for job in state.jobs))
        return found

    def _moves(self, state: State) -> Iterator[Move[State]]:
        yield from self._arrivals(state)
        yield from self._services(state)
        yield from self._failures(state)
        if self.patience is not None:
            yield from self._losses_of_patience(state, 1.0 / self.patience)
        for job in state.elsewhere:
            back = state._replace(elsewhere=_without(state.elsewhere, job))
            tried = {"arrivals": 1.0, f"arrivals.{job.sort}": 1.0, "retries": 1.0}
            yield from _each(1.0 / self.backoff, self._admit(back, job), tried)

    def _arrivals(self, state: State) -> Iterator[Move[State]]:
        if isinstance(self.arrivals, Clients):
            thinking = self.arrivals.count - sum(not job.is_orphan for job in state.jobs) - len(state.elsewhere)
            rate = thinking / self.arrivals.think
            yield from _each(rate, self._admitted(state, 1), is_arrival=True)
            return
        for after in range(len(self.arrivals.d0)):
            there = state._replace(arrivals=after)
            if after != state.arrivals:
                yield Move(self.arrivals.d0[state.arrivals, after], there, is_arrival=True)
            rate = self.arrivals.d1[state.arrivals, after]
            for size, probability in self.batch:
                yield from _each(rate * probability, self._admitted(there, size), is_arrival=True)

    def _admitted(self, state: State, count: int) -> Iterator[Outcome]:
        """Yield what the arrival of so many jobs at once leads to."""
        if count == 0:
            yield Outcome(1.0, state)
            return
        for sort, class_ in enumerate(self.classes):
            for probability, there, counts in self._admit(state, Job(sort)):
                arrived = _added(counts, {"arrivals": 1.0, f"arrivals.{sort}": 1.0})
                for rest, later, more in self._admitted(there, count - 1):
                    yield Outcome(class_.share * probability * rest, later, _added(arrived, more))

    def _admit(self, state: State, job: Job) -> Iterable[Outcome]:
        """Return what the arrival of a job leads to."""
        sort = job.sort
        if not state.is_up and self.refuses_while_down:
            return [Outcome(1.0, self._later(state, "refuse", job), {"refused": 1.0, f"refused.{sort}": 1.0})]
        if len(state.jobs) >= self.buffer:
            return [Outcome(1.0, self._later(state, "drop", job), {"drops": 1.0, f"drops.{sort}": 1.0})]
        if self.preempts and len(state.serving) == self.servers:
            last = max(state.serving, key=lambda job: self.classes[job.sort].priority)
            if self.classes[last.sort].priority > self.classes[sort].priority:
                # It has come before those of its class that have not started.
                waiting = self._by_priority((last, *state.waiting))
                state = state._replace(serving=_without(state.serving, last), waiting=waiting)
        # From now on its attempt does not matter any more.
        return self._filled(state._replace(waiting=self._by_priority((*state.waiting, Job(sort)))))

    def _later(self, state: State, reason: str, job: Job) -> State:
        """Return a state in which a job that was not admitted will be tried again, if it is at all."""
        if reason not in self.retried or job.attempt == self.attempts:
            return state
        again = job._replace(attempt=job.attempt + 1)
        return state._replace(elsewhere=tuple(sorted((*state.elsewhere, again)))[: self.room])

    def _by_priority(self, jobs: Iterable[Job]) -> tuple[Job, ...]:
        return tuple(sorted(jobs, key=lambda job: self.classes[job.sort].priority))

    def _filled(self, state: State) -> Iterator[Outcome]:
        """Yield what follows once idle servers have taken waiting jobs; none starts while the server is down."""
        room = self.buffer if self.discipline == "ps" else self.servers
        if not state.waiting or len(state.serving) >= room or not state.is_up:
            yield Outcome(1.0, state)
            return
        job, *waiting = state.waiting
        phases = enumerate(self.classes[job.sort].work.start) if job.phase == NOT_STARTED else [(job.phase, 1.0)]
        for phase, probability in phases:
            serving = tuple(sorted((*state.serving, job._replace(phase=phase))))
            for rest, later, _ in self._filled(state._replace(serving=serving, waiting=tuple(waiting))):
                if probability > 0.0:
                    yield Outcome(probability * rest, later)

    def _services(self, state: State) -> Iterator[Move[State]]:
        if not state.is_up or not state.serving:
            return
        present = len(state.jobs)
        speed = self.rate * (self.speeds[min(present, len(self.speeds)) - 1] if self.speeds else 1.0)
        if self.discipline == "ps":
            speed *= min(present, self.servers) / present
        for job in state.serving:
            work, others = self.classes[job.sort].work, _without(state.serving, job)
            for phase, rate in enumerate(work.generator[job.phase]):
                if phase != job.phase:
                    serving = tuple(sorted((*others, job._replace(phase=phase))))
                    yield Move(speed * rate, state._replace(serving=serving))
            done = {} if job.is_orphan else {"completions": 1.0, f"completions.{job.sort}": 1.0}
            yield from _each(speed * work.ending[job.phase], self._filled(state._replace(serving=others)), done)

    def _failures(self, state: State) -> Iterator[Move[State]]:
        if self.up is None or self.down is None:
            return
        here, there = (self.up, self.down) if state.is_up else (self.down, self.up)
        for phase, rate in enumerate(here.generator[state.failing]):
            if phase != state.failing:
                yield Move(rate, state._replace(failing=phase))
        for phase, probability in enumerate(there.start):
            after = state._replace(is_up=not state.is_up, failing=phase)
            lost: dict[str, float] = {}
            if state.is_up and self.jobs == "lose":
                started = [job for job in state.jobs if job.phase != NOT_STARTED]
                kept = tuple(job for job in state.waiting if job.phase == NOT_STARTED)
                after = after._replace(serving=(), waiting=kept)
                lost = {"lost": float(sum(not job.is_orphan for job in started))}
            yield from _each(here.ending[state.failing] * probability, self._filled(after), lost)

    def _losses_of_patience(self, state: State, rate: float) -> Iterator[Move[State]]:
        for place, job in enumerate(state.waiting):
            if job.is_orphan or (self.patience_of == "waiting" and job.phase != NOT_STARTED):
                continue
            others = state.waiting[:place] + state.waiting[place + 1 :]
            if self.goes_on and self.patience_of == "sojourn":
                others = (*state.waiting[:place], job._replace(is_orphan=True), *state.waiting[place + 1 :])
            yield Move(rate, state._replace(waiting=others), _gave_up(job))
        if self.patience_of == "waiting":
            return
        for job in state.serving:
            if job.is_orphan:
                continue
            others = _without(state.serving, job)
            if self.goes_on:
                serving = tuple(sorted((*others, job._replace(is_orphan=True))))
                yield Move(rate, state._replace(serving=serving), _gave_up(job))
            else:
                yield from _each(rate, self._filled(state._replace(serving=others)), _gave_up(job))

    def with_rate(self, rate: float) -> Station:
        """Return the same station whose arrivals have another rate, in the same proportions."""
        assert isinstance(self.arrivals, MarkovArrivals)
        return replace(self, arrivals=self.arrivals.scaled(rate))


class Measures(NamedTuple):
    """What is known of a station in the long run."""

    loss: float
    """Share of jobs that are dropped."""
    sojourn: float
    """Mean time of a job that is not dropped or refused, ms: J. D. C. Little's law, 1961."""
    length: float
    throughput: float
    """Jobs completed per ms."""
    gave_up: float
    """Share of jobs that lose patience."""
    flows: dict[str, float]


def in_the_long_run(station: Station, sort: int | None = None) -> Measures:
    """Return the measures of a station, or of one class of its jobs."""
    flows = station.chain().long_run()
    suffix = "" if sort is None else f".{sort}"
    arrivals, drops, refused, presence, gave_up = (
        flows.get(f"{name}{suffix}", 0.0) for name in ("arrivals", "drops", "refused", "presence", "gave_up")
    )
    accepted = arrivals - drops - refused
    return Measures(
        drops / arrivals,
        presence / accepted,
        presence,
        flows.get(f"completions{suffix}", 0.0),
        gave_up / arrivals,
        flows,
    )


def _each(
    rate: float, outcomes: Iterable[Outcome], counts: Mapping[str, float] | None = None, *, is_arrival: bool = False
) -> Iterator[Move[State]]:
    for probability, state, found in outcomes:
        yield Move(rate * probability, state, _added(found, counts or {}), is_arrival)


def _added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}


def _gave_up(job: Job) -> dict[str, float]:
    return {"gave_up": 1.0, f"gave_up.{job.sort}": 1.0}


def _without(jobs: tuple[Job, ...], job: Job) -> tuple[Job, ...]:
    place = jobs.index(job)
    return jobs[:place] + jobs[place + 1 :]
