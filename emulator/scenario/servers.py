"""The keys of a scenario that make its servers, beside their rates; see `emulator.model.station`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from emulator.keys import ScenarioError, Section
from emulator.model.laws import LAWS
from emulator.model.station import AtFailure, Discipline, Failures, JobClass, Patience, Reason, Retries, Station
from emulator.scenario.network import _Drawn as DrawnTime
from emulator.text import show, text_of

SERVER_LIMIT = 10_000
"""Servers of a node."""

SHARE_TOLERANCE = 1e-9
"""By how much the shares of all classes may miss 1, as numbers are rounded."""


class Order(Section):
    """Whose turn it is: arrival, or by priority."""

    short: ClassVar[dict[str, Any]] = {"enum": ["arrival", "priority"]}
    """What may stand for the mapping, as JSON Schema."""

    priority: Annotated[list[str], Field(min_length=1)] | None = None
    """The names of all classes, the first one to be served first; by their own `priority` if not given."""
    preempt: Literal["none", "resume"] | None = None
    """resume: a job of higher priority takes the place of one in service, which goes on later; none: it waits."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in ("arrival", "priority"):
                raise ScenarioError("", f"must be arrival, priority or a mapping with priority, got {show(value)}")
            return {} if value == "arrival" else {"preempt": "none"}
        return {"preempt": "none", **value} if isinstance(value, dict) and value else value

    @model_serializer
    def _as_written(self) -> Any:
        keys = {key: value for key, value in self if value is not None}
        return keys if self.is_by_priority else "arrival"

    @property
    def is_by_priority(self) -> bool:
        """Whether priorities count."""
        return self.preempt is not None


class ServerKeys(Section):
    """How a server serves its jobs."""

    servers: Annotated[int, Field(ge=1, le=SERVER_LIMIT)] = 1
    """Servers of each node, at work on different jobs of its queue."""
    discipline: Discipline = "fifo"
    """fifo: one job after another at each server; ps: all jobs at once, each with an equal share."""
    order: Order = Order()
    """Whose turn it is: arrival, or {priority: [class, ...], preempt: none or resume}."""

    @model_validator(mode="after")
    def _check(self) -> ServerKeys:
        if self.discipline == "ps" and self.order.is_by_priority:
            raise ScenarioError("order", "must be arrival with discipline: ps, which serves all jobs at once")
        return self


class ClassWork(DrawnTime):
    """The work of the jobs of a class: a law and its mean; a name alone is a law of mean 1."""

    short: ClassVar[dict[str, Any]] = {"anyOf": [{"type": "number", "minimum": 0}, {"enum": list(LAWS)}]}
    """See `Order.short`."""

    @model_validator(mode="before")
    @classmethod
    def _with_mean(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in LAWS:
                raise ScenarioError("", f"must be a law or a mapping with law and mean, got {show(value)}")
            value = {"law": value}
        return {"mean": 1.0, **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check_work(self) -> ClassWork:
        return _positive(self)


class ClassKeys(Section):
    """A class of jobs."""

    name: Annotated[str, Field(min_length=1)]
    """What the class is called."""
    share: Annotated[float, Field(gt=0, le=1)]
    """Share of all jobs that are of this class."""
    priority: int | None = None
    """Where jobs are served by priority, classes of lower numbers come first."""
    work: ClassWork | None = None
    """The law of a job's work and its mean; that of `service.work`, of mean 1, if not given."""

    def of_jobs(self, rank: int) -> JobClass:
        """Return the class, of this priority."""
        if self.work is None:
            return JobClass(self.name, self.share, rank)
        work = self.work.duration()
        return JobClass(self.name, self.share, rank, work.mean, work.law)


class PatienceKeys(DrawnTime):
    """How long a job is ready to wait, or to be there: by a law, ms."""

    of: Literal["waiting", "sojourn"] = "waiting"
    """waiting: from reaching the server until its service starts; sojourn: from its arrival until it departs."""
    work: Literal["stop", "go_on"] | None = None
    """With of: sojourn, what a server does with a job that has given up: stop, or go_on, as it does not know."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("of") == "sojourn":
            return {"work": "stop", **value}
        return value

    @model_validator(mode="after")
    def _check_patience(self) -> PatienceKeys:
        if self.work is not None and self.of != "sojourn":
            raise ScenarioError("work", "must stand beside of: sojourn")
        return _positive(self)

    def patience(self) -> Patience:
        """Return it as the station's."""
        return Patience(self.duration(), self.of == "sojourn", self.work == "go_on")


class UpOrDown(DrawnTime):
    """How long a server is up or down: by a law, ms."""

    @model_validator(mode="after")
    def _check_time(self) -> UpOrDown:
        return _positive(self)


class FailureKeys(Section):
    """When servers fail, and what becomes of their jobs."""

    up: UpOrDown
    """Time until a failure, ms: a number, or a law with its mean."""
    down: UpOrDown
    """Time until it is repaired, ms: a number, or a law with its mean."""
    group: Annotated[int, Field(ge=1)] = 1
    """How many servers in a row fail and are repaired together."""
    jobs: AtFailure = "resume"
    """What becomes of jobs that have started: they resume, restart with the same work, or the server does lose them."""
    while_down: Literal["accept", "refuse"] = "accept"
    """Whether a server that is down queues jobs or refuses them."""
    told: bool = False
    """Whether messages say that a server is down, as a queue that is full; else they say its length."""

    def failures(self) -> Failures:
        """Return them as the station's."""
        up, down = self.up.duration(), self.down.duration()
        return Failures(up, down, self.group, self.jobs, self.while_down == "refuse", self.told)


class Backoff(DrawnTime):
    """How long a job waits before it is tried again: by a law, ms."""


def _reasons(value: Any) -> Any:
    """Tell in one sentence what a job may be tried again on."""
    words = get_args(Reason)
    if not isinstance(value, list) or not value or not all(word in words for word in value):
        raise ScenarioError("", f"must be a list of {', '.join(words)}, got {show(value)}")
    if len(set(value)) < len(value):
        raise ScenarioError("", f"must not name a reason twice, got {show(value)}")
    return value


class RetryKeys(Section):
    """Which jobs that failed are tried again, and when."""

    on: Annotated[list[Reason], BeforeValidator(_reasons)] = Field(default=["drop"])
    """After what: drop, refuse, lose, timeout."""
    most: Annotated[int, Field(ge=1, le=1000)] = 3
    """How often a job is tried again at most."""
    backoff: Backoff = Backoff.model_validate(0.0)
    """Time until then, ms: a number, or a law with its mean."""

    def retries(self) -> Retries:
        """Return them as the station's."""
        return Retries(tuple(self.on), self.most, self.backoff.duration())


def _positive(time: Any) -> Any:
    if time.mean == 0.0:
        raise ScenarioError("mean", "must be > 0, got 0")
    return time


def station_of(
    server: ServerKeys,
    speeds: Sequence[float] | None,
    classes: Sequence[ClassKeys] | None,
    patience: PatienceKeys | None,
    failures: FailureKeys | None,
    retries: RetryKeys | None,
) -> Station:
    """Return the station that the keys ask for. Raises `ScenarioError`."""
    kinds = classes or []
    order = server.order
    names = [one.name for one in kinds] if order.priority is None else order.priority
    ranks = {name: place for place, name in enumerate(names)}
    return Station(
        servers=server.servers,
        discipline=server.discipline,
        has_priorities=order.is_by_priority,
        preempts=order.preempt == "resume",
        speeds=tuple(speeds or ()),
        classes=tuple(one.of_jobs(one.priority or 0 if order.priority is None else ranks[one.name]) for one in kinds),
        patience=None if patience is None else patience.patience(),
        failures=None if failures is None else failures.failures(),
        retries=None if retries is None else retries.retries(),
    )


def check_servers(
    buffer: int,
    server: ServerKeys,
    speeds: Sequence[float] | None,
    classes: Sequence[ClassKeys] | None,
    patience: PatienceKeys | None,
    failures: FailureKeys | None,
    retries: RetryKeys | None,
) -> None:
    """Check what several keys say together. Raises `ScenarioError`."""
    if server.servers > buffer:
        raise ScenarioError("server.servers", f"must be at most the buffer, {buffer}, got {server.servers}")
    if speeds is not None and len(speeds) > buffer:
        told = f"must hold one factor for each number of jobs up to the buffer, {buffer}, got {len(speeds)}"
        raise ScenarioError("service.speeds", told)
    if classes is not None:
        _check_classes(classes)
    if server.order.is_by_priority:
        _check_order(server.order, classes)
    for reason in () if retries is None else retries.on:
        needed = {
            "timeout": (patience is not None, "patience"),
            "refuse": (failures is not None and failures.while_down == "refuse", "failures with while_down: refuse"),
            "lose": (failures is not None and failures.jobs == "lose", "failures with jobs: lose"),
        }
        is_there, what = needed.get(reason, (True, ""))
        if not is_there:
            raise ScenarioError("retries.on", f"must not name {reason} without {what}")


def _check_classes(classes: Sequence[ClassKeys]) -> None:
    names = [one.name for one in classes]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ScenarioError(f"classes.{place}.name", f"is that of classes.{names.index(name)}, too: {show(name)}")
    total = sum(one.share for one in classes)
    if abs(total - 1.0) > SHARE_TOLERANCE:
        raise ScenarioError("classes", f"must have shares that add up to 1, got {text_of(total)}")


def _check_order(order: Order, classes: Sequence[ClassKeys] | None) -> None:
    if classes is None:
        raise ScenarioError("server.order", "must be arrival where jobs are not of classes")
    if order.priority is None:
        return
    names = [one.name for one in classes]
    if sorted(order.priority) != sorted(names):
        told = f"must name each class once ({', '.join(names)}), got {show(order.priority)}"
        raise ScenarioError("server.order.priority", told)
    listed = sorted(classes, key=lambda one: order.priority.index(one.name) if order.priority else 0)
    ranks = [one.priority for one in listed if one.priority is not None]
    if ranks != sorted(ranks):
        told = f"must go by the classes' own priority numbers, got {show(order.priority)}"
        raise ScenarioError("server.order.priority", told)
