"""What a scenario says of messages, decisions and dispatch, as numbers; refused is what has no exact solution here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.keys import unknown
from emulator.model.system import System
from emulator.verification.exact.expected import Floats

Times = list[list[float]]

MESSAGES = ("kind", "period", "phase", "times", "latency", "jitter", "loss", "own", "keep", "when")


class Loss(NamedTuple):
    """Of a link, which is good or bad: how likely it turns from sample to sample, and loses a message."""

    good_to_bad: float = 0.0
    bad_to_good: float = 1.0
    bad: float = 0.0
    good: float = 0.0

    @property
    def in_bursts(self) -> bool:
        """Whether links have a state."""
        return self.good_to_bad > 0.0

    @property
    def stationary(self) -> float:
        """How likely a link is bad at sample 0."""
        return self.good_to_bad / (self.good_to_bad + self.bad_to_good)


@dataclass(frozen=True)
class Network:
    """How knowledge travels; times in ms."""

    polls: bool
    """Whether schedulers ask their servers, or servers broadcast."""
    sends: Times
    """When each sender (a server that broadcasts, a scheduler that asks) sends, sample by sample."""
    there: Floats
    """What a question takes, schedulers x servers; 0 where servers broadcast."""
    back: Floats
    """What a broadcast or an answer takes, schedulers x servers."""
    loss: Loss
    sure: NDArray[np.bool_]
    """Which messages are never lost, schedulers x servers."""
    difference: int
    """A server broadcasts only if its length differs so much from the one it told last."""
    clock: Times | None
    """When schedulers decide by their own clocks; None: at deliveries."""
    dispatch: Floats
    """What jobs take from a scheduler to a server, schedulers x servers."""


def network_of(scenario: Mapping[str, Any], system: System) -> Network:
    """Read the keys `messages`, `decide` and `dispatch` of a scenario. Raises `InputError`."""
    messages = dict(scenario.get("messages") or {})
    _check_keys("messages", messages, MESSAGES)
    for key, only in (("times", "periodic"), ("jitter", None)):
        if messages.get(key, only) != only:
            raise InputError(f"messages.{key} must be {only or 'left out'} to be solved exactly, got {messages[key]}")
    schedulers, servers = system.access.scheduler_count, system.access.server_count
    polls = messages.get("kind", "broadcast") == "poll"
    own = _own(scenario, schedulers, servers)
    exact = own & (messages.get("own", "exact") == "exact")
    latency = np.where(exact, 0.0, _time("messages.latency", messages.get("latency", 0.0)))
    dispatch = dict(scenario.get("dispatch") or {})
    _check_keys("dispatch", dispatch, ("latency", "own"))
    at_once = own & (dispatch.get("own", "exact") == "exact")
    difference = _difference(messages.get("when", "always"))
    if polls and difference:
        raise InputError("messages.when must be always where schedulers ask")
    return Network(
        polls=polls,
        sends=instants(
            messages.get("period", system.delta_t),
            messages.get("phase", "synchronous"),
            schedulers if polls else servers,
            system.horizon,
            "messages",
        ),
        there=latency if polls else np.zeros_like(latency),
        back=latency,
        loss=_loss(messages.get("loss", 0.0)),
        sure=exact,
        difference=difference,
        clock=_clock(scenario.get("decide", "on_delivery"), schedulers, system.horizon),
        dispatch=np.where(at_once, 0.0, _time("dispatch.latency", dispatch.get("latency", 0.0))),
    )


def instants(period: Any, phase: Any, senders: int, horizon: float, key: str) -> Times:
    """Return `phase + k * period`, as that product, up to the horizon, for each sender."""
    if isinstance(period, Mapping):
        period = period.get("each", period)
    periods = _each(period, senders, f"{key}.period")
    if phase == "synchronous":
        phase = 0.0
    elif phase == "even":
        phase = [sender * periods[sender] / senders for sender in range(senders)]
    phases = _each(phase, senders, f"{key}.phase")
    return [
        list(takewhile(lambda time: time < horizon, (start + k * step for k in count())))
        for start, step in zip(phases, periods, strict=True)
    ]


def _each(value: Any, senders: int, key: str) -> list[float]:
    values = value if isinstance(value, list) else [value] * senders
    if len(values) != senders or not all(isinstance(each, int | float) for each in values):
        raise InputError(f"{key} must be a number, or a list of one for each of {senders}, to be solved, got {value}")
    return [float(each) for each in values]


def _own(scenario: Mapping[str, Any], schedulers: int, servers: int) -> NDArray[np.bool_]:
    """Return which servers are a scheduler's own; schedulers and servers as two sets have none."""
    has_own = scenario["topology"].get("kind") != "bipartite"
    return np.eye(schedulers, servers, dtype=bool) & has_own


def _time(key: str, law: Any) -> float:
    """Return a time that is always the same."""
    if isinstance(law, Mapping) and law.get("law") == "deterministic":
        return float(law["mean"])
    if isinstance(law, int | float):
        return float(law)
    raise InputError(f"{key} must be a number or deterministic to be solved exactly, got {law}")


def _loss(loss: Any) -> Loss:
    return Loss(**loss) if isinstance(loss, Mapping) else Loss(good=float(loss))


def _difference(when: Any) -> int:
    if isinstance(when, Mapping):
        return int(when["difference"])
    return {"always": 0, "change": 1}[when]


def _clock(decide: Any, schedulers: int, horizon: float) -> Times | None:
    if decide == "on_delivery":
        return None
    return instants(decide["every"], decide.get("phase", "synchronous"), schedulers, horizon, "decide")


def _check_keys(section: str, mapping: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in mapping:
        if key not in allowed:
            raise InputError(f"{section}.{key} {unknown(key, allowed)}")
