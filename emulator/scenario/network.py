"""The keys of a scenario that make its network: `messages`, `decide` and `dispatch`; see `emulator.model.network`."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from emulator.keys import ScenarioError, Section
from emulator.model.laws import LAWS, Exponential, Law
from emulator.model.network import Clock, Duration, Kind, Latency, Loss, Network, Phase
from emulator.scenario.plugins import PluggedLaw
from emulator.text import show

Probability = Annotated[float, Field(ge=0, le=1)]
Time = Annotated[float, Field(ge=0)]


def _phase_key(value: Any) -> Any:
    """Tell in one sentence what a phase may be."""
    is_list = isinstance(value, list) and bool(value) and all(_is_number(time) and 0 <= time < inf for time in value)
    if not is_list and value not in get_args(Word):
        allowed = "synchronous, even, random or a list of times >= 0"
        raise ScenarioError("", f"must be {allowed}, got {show(value)}")
    return value


def _times_key(value: Any) -> Any:
    """Tell in one sentence what the law of gaps may be; a law's name alone stands for a mapping."""
    if isinstance(value, str) and value in LAWS:
        value = {"law": value}
    if isinstance(value, dict):
        return PluggedLaw.model_validate(value)  # here, as errors of a union do not name the key alone
    if not isinstance(value, PluggedLaw) and value not in get_args(TimesWord):
        raise ScenarioError("", f"must be periodic, poisson or a law, by its name or with its keys, got {show(value)}")
    return value


Word = Literal["synchronous", "even", "random"]
TimesWord = Literal["periodic", "poisson"]
PhaseKey = Annotated[Word | Annotated[list[Time], Field(min_length=1)], BeforeValidator(_phase_key)]
TimesKey = Annotated[TimesWord | PluggedLaw, BeforeValidator(_times_key)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Drawn(PluggedLaw):
    """A time that a law draws, whose own keys stand beside `mean`; a number is a time that is always the same."""

    short: ClassVar[dict[str, Any]] = {"type": "number", "minimum": 0}
    """What may stand for the mapping, as JSON Schema."""
    may_be_none: ClassVar[bool] = True
    """Whether it may take no time."""

    mean: Time | None = None
    """Mean, ms."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if _is_number(value):
            if not 0 <= value < inf or (value == 0 and not cls.may_be_none):
                raise ScenarioError(
                    "", f"must be a finite number {'>=' if cls.may_be_none else '>'} 0, got {show(value)}"
                )
            value = {"mean": value}
        if not isinstance(value, dict | cls):
            raise ScenarioError("", f"must be a number or a mapping with mean, got {show(value)}")
        if isinstance(value, dict) and "law" not in value and "class" not in value:
            return {**value, "law": "deterministic"}
        return value

    @model_validator(mode="after")
    def _check_mean(self) -> _Drawn:
        if self.mean is None and not self.is_given_otherwise():
            raise ScenarioError("mean", "is missing: the mean time, ms")
        if self.mean is not None and self.is_given_otherwise():
            raise ScenarioError("mean", "must not stand beside what says the same in another way")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        """Return the keys with their defaults."""
        own = {key: value for key in type(self).model_fields if (value := getattr(self, key)) is not None}
        if self.is_given_otherwise():
            return own
        said = {"class": own.pop("class_")} if self.class_ is not None else {self.name_key: self.name}
        return said | own | self.made().model_dump(exclude={self.name_key}, exclude_none=True)

    def is_given_otherwise(self) -> bool:
        """Return whether another key takes the place of the mean."""
        return False

    def duration(self) -> Duration:
        """Return the time that is drawn. Raises `ScenarioError`."""
        return Duration(self.mean or 0.0, self.made())


class Jitter(_Drawn):
    """A time that comes on top of the latency."""


class LatencyKeys(_Drawn):
    """How long a way takes: by a law, or by the length of the edge."""

    edges: Literal["latency"] | None = None
    """latency: the lengths of the topology's edges are times."""
    factor: Time | None = None
    """ms for each unit of an edge's length; 1 if not given."""

    def is_given_otherwise(self) -> bool:
        """See `_Drawn.is_given_otherwise`."""
        return self.edges is not None

    def latency(self, jitter: Jitter | None = None) -> Latency:
        """Return the latency, with a jitter on top."""
        per_length, base = 0.0, Duration()
        if self.edges is not None:
            per_length = 1.0 if self.factor is None else self.factor
        else:
            base = self.duration()
        return Latency(per_length, base, Duration() if jitter is None else jitter.duration())

    @model_validator(mode="after")
    def _check_factor(self) -> LatencyKeys:
        if self.factor is not None and self.edges is None:
            raise ScenarioError("factor", "must stand beside edges: latency")
        return self


class Period(_Drawn):
    """Time between two instants: the same for all, drawn once for each, or one for each."""

    may_be_none = False

    each: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] | None = None
    """One for each server that broadcasts, or each scheduler that asks, ms."""

    def is_given_otherwise(self) -> bool:
        """See `_Drawn.is_given_otherwise`."""
        return self.each is not None

    @model_validator(mode="after")
    def _check_period(self) -> Period:
        if self.mean == 0.0:
            raise ScenarioError("mean", "must be > 0, got 0")
        return self

    def value(self) -> float | Duration | tuple[float, ...]:
        """Return it as `Clock.period`."""
        if self.each is not None:
            return tuple(self.each)
        assert self.mean is not None
        return self.mean if self.name == "deterministic" else self.duration()


class LossKeys(Section):
    """How many messages are lost: a number, or as a link is good or bad, which may change at each sample."""

    short: ClassVar[dict[str, Any]] = {"type": "number", "minimum": 0, "maximum": 1}
    """See `_Drawn.short`."""

    good: Probability = 0.0
    """Probability that a message is lost while the link is good."""
    bad: Probability = 0.0
    """Probability that a message is lost while the link is bad."""
    good_to_bad: Probability = 0.0
    """Probability that a good link is bad at the next sample."""
    bad_to_good: Probability = 0.0
    """Probability that a bad link is good at the next sample."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, dict | cls):
            return value
        if not _is_number(value) or not 0 <= value <= 1:
            raise ScenarioError("", f"must be a number from 0 to 1, or a mapping with good and bad, got {show(value)}")
        return {"good": value, "bad": value}

    @model_serializer
    def _as_written(self) -> Any:
        return self.good if self == LossKeys(good=self.good, bad=self.good) else dict(self)

    def loss(self) -> Loss:
        """Return it as the network's."""
        return Loss(self.good, self.bad, self.good_to_bad, self.bad_to_good)


class When(Section):
    """Which samples are told: always, change, or by how much a length must differ from the one last told."""

    short: ClassVar[dict[str, Any]] = {"enum": ["always", "change"]}
    """See `_Drawn.short`."""

    difference: Annotated[int, Field(ge=0)]
    """By how much a length must differ from the one last told."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        words = {"always": 0, "change": 1}
        if isinstance(value, dict | cls):
            return value
        if not isinstance(value, str) or value not in words:
            raise ScenarioError("", f"must be always, change or a mapping with difference, got {show(value)}")
        return {"difference": words[value]}

    @model_serializer
    def _as_written(self) -> Any:
        return {0: "always", 1: "change"}.get(self.difference, dict(self))


class Messages(Section):
    """How schedulers learn of servers."""

    kind: Kind = "broadcast"
    """broadcast: servers tell how long their queues are; poll: schedulers ask."""
    period: Period | None = None
    """Time between a server's broadcasts, or a scheduler's questions, ms; delta_t if not given."""
    phase: PhaseKey = "synchronous"
    """When the first one is: at 0, spread evenly or at random over a period, or a list with a time for each, ms."""
    times: TimesKey = "periodic"
    """periodic, poisson, or a law of the gaps in units of the period."""
    latency: LatencyKeys | None = None
    """How long a message takes, ms: a number, a law with its mean, or by the lengths of the edges."""
    jitter: Jitter | None = None
    """What comes on top of the latency, ms: a number, or a law with its mean."""
    loss: LossKeys = LossKeys()
    """Probability that a message is lost, or how it changes."""
    own: Literal["exact", "alike"] = "exact"
    """exact: the own server's messages take no time and are never lost; alike: they are like others."""
    keep: Literal["newest", "last"] = "newest"
    """newest: a message older than what is known is ignored; last: what comes last counts."""
    when: When = When(difference=0)
    """Which samples are told: always, change, or {difference: lengths that differ by so much from the last told}."""

    @model_validator(mode="after")
    def _check(self) -> Messages:
        if self.kind == "poll" and self.when.difference:
            raise ScenarioError("when", "must be always with kind: poll, for who asks is answered")
        return self

    def clock(self, delta_t: float) -> Clock:
        """Return when servers broadcast or schedulers ask."""
        gaps: Law | None = None
        if isinstance(self.times, PluggedLaw):
            gaps = self.times.made()
        elif self.times == "poisson":
            gaps = Exponential()
        return Clock(delta_t if self.period is None else self.period.value(), _phase(self.phase), gaps)


class Decide(Section):
    """When schedulers decide: on_delivery, or by a clock of their own."""

    short: ClassVar[dict[str, Any]] = {"const": "on_delivery"}
    """See `_Drawn.short`."""

    every: Annotated[float, Field(gt=0)] | None = None
    """Time between two decisions of a scheduler, ms."""
    phase: PhaseKey = "synchronous"
    """When the first one after time 0 is, as for messages."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if isinstance(value, dict | cls):
            return value
        if value != "on_delivery":
            raise ScenarioError("", f"must be on_delivery or a mapping with every, got {show(value)}")
        return {}

    @model_serializer
    def _as_written(self) -> Any:
        return "on_delivery" if self.every is None else dict(self)

    @model_validator(mode="after")
    def _check(self) -> Decide:
        if self.every is None and self.phase != "synchronous":
            raise ScenarioError("phase", "must stand beside every")
        return self


class Dispatch(Section):
    """How jobs come to servers."""

    latency: LatencyKeys | None = None
    """How long a job takes to its server, ms: a number, a law with its mean, or by the lengths of the edges."""
    own: Literal["exact", "alike"] = "exact"
    """exact: jobs to the own server take no time; alike: they are like others."""


def network_of(messages: Messages, decide: Decide, dispatch: Dispatch, delta_t: float) -> Network:
    """Return the network that the keys ask for. Raises `ScenarioError`."""
    clock = messages.clock(delta_t)
    jitter = messages.jitter
    latency = Latency() if jitter is None else Latency(jitter=jitter.duration())
    if messages.latency is not None:
        latency = messages.latency.latency(jitter)
    in_step = Clock(delta_t)
    network = Network(
        kind=messages.kind,
        samples=None if clock == in_step else clock,
        latency=latency,
        loss=messages.loss.loss(),
        own_is_exact=messages.own == "exact",
        keeps_newest=messages.keep == "newest",
        difference=messages.when.difference,
        decisions=None if decide.every is None else Clock(decide.every, _phase(decide.phase)),
        dispatch=Latency() if dispatch.latency is None else dispatch.latency.latency(),
        own_dispatch_is_exact=dispatch.own == "exact",
    )
    heard_in_step = replace(network, decisions=None)
    return heard_in_step if network.decisions == in_step and heard_in_step.is_synchronous else network


def _phase(phase: PhaseKey) -> Phase:
    return tuple(phase) if isinstance(phase, list) else phase
