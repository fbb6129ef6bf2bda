"""Cases of servers of every kind: two nodes under OWN, each of which is alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from emulator.model.laws import Erlang, Hyperexponential
from emulator.verification.exact.arrivals import poisson
from emulator.verification.exact.case import DROPS, Case, pair
from emulator.verification.exact.phase_type import exponential, phases_of
from emulator.verification.exact.station import JobClass, Station

Flows = Callable[[], Mapping[str, float]]

NODES = 2
HORIZON = 49.5
"""Not a multiple of a gap, where deterministic jobs arrive."""

LENGTH = "mean_queue_length"


def own(**keys: Any) -> dict[str, Any]:
    """Return two nodes under OWN."""
    return pair(dispatchers=["OWN"], horizon=HORIZON) | keys


def case(keys: Mapping[str, Any], flows: Flows, measure: str, value: float) -> Case:
    """Return the case of a measure; `flows` are those of one node until the horizon."""
    return Case(own(**keys), measure, value, lambda: _measured(flows(), measure))


def _measured(flows: Mapping[str, float], measure: str) -> float:
    if measure == DROPS:
        return flows["drops"] * 50.0 / HORIZON
    if measure == LENGTH:
        return flows["presence"] / HORIZON
    return NODES * flows[measure]


def served(keys: Mapping[str, Any], measure: str, value: float, rate: float = 0.9, **station: Any) -> Case:
    """Return a case of stations at which jobs arrive at a rate: keys of the scenario, and the same of a `Station`."""
    flows = until_horizon(partial(Station, arrivals=poisson(rate), **station))
    return case({"arrivals": {"high": rate, "low": rate}, **keys}, flows, measure, value)


def until_horizon(station: Callable[[], Station]) -> Flows:
    """Return the flows of a station from empty until the horizon."""
    return lambda: station().chain().until(HORIZON)


def exponential_law(mean: float) -> dict[str, Any]:
    """Return the keys of an exponential time."""
    return {"law": "exponential", "mean": mean}


BALANCED = {"work": {"law": "hyperexponential", "scv": 4.0}}
OF_BALANCED = (JobClass(work=phases_of(Hyperexponential(scv=4.0))),)
OF_ERLANG = (JobClass(work=phases_of(Erlang(stages=3))),)

FAILING = {"up": {"law": "erlang", "stages": 2, "mean": 10.0}, "down": exponential_law(3.0)}
OF_FAILING: dict[str, Any] = {"up": phases_of(Erlang(stages=2), 10.0), "down": exponential(3.0)}

CLASSES = [
    {"name": "short", "share": 0.8, "priority": 0, "work": exponential_law(0.5)},
    {"name": "long", "share": 0.2, "priority": 1, "work": {"law": "erlang", "stages": 2, "mean": 3.0}},
]
OF_CLASSES = (
    JobClass(share=0.8, work=exponential(0.5), priority=0),
    JobClass(share=0.2, work=phases_of(Erlang(stages=2), 3.0), priority=1),
)
ALIKE = tuple(JobClass(share=each.share, work=each.work) for each in OF_CLASSES)

PRIORITY = {"order": {"priority": ["short", "long"]}}
PREEMPTIVE = {"order": {"priority": ["short", "long"], "preempt": "resume"}}
PATIENCE = exponential_law(4.0)
OF_SOJOURN = PATIENCE | {"of": "sojourn"}

STATION_CASES = {
    "two servers": served({"server": {"servers": 2}}, DROPS, 11.959140, 1.8, servers=2),
    "two servers, length": served({"server": {"servers": 2}}, LENGTH, 2.377424, 1.8, servers=2),
    "two servers, heavy work": served(
        {"server": {"servers": 2}, "service": BALANCED}, DROPS, 14.604301, 1.8, servers=2, classes=OF_BALANCED
    ),
    "ten servers": served({"server": {"servers": 10}, "buffer": 10}, DROPS, 73.396487, 9.0, servers=10, buffer=10),
    "sharing": served({"server": {"discipline": "ps"}}, DROPS, 4.971666, discipline="ps"),
    "sharing, heavy work": served(
        {"server": {"discipline": "ps"}, "service": BALANCED}, LENGTH, 1.812819, discipline="ps", classes=OF_BALANCED
    ),
    "sharing, two servers": served(
        {"server": {"discipline": "ps", "servers": 2}, "service": {"work": {"law": "erlang", "stages": 3}}},
        DROPS,
        12.230287,
        1.8,
        discipline="ps",
        servers=2,
        classes=OF_ERLANG,
    ),
    "speeds": served(
        {"service": {"speeds": [1.0, 1.0, 1.5, 2.0, 2.0]}}, DROPS, 3.914599, 1.2, speeds=(1.0, 1.0, 1.5, 2.0)
    ),
    "speeds, sharing": served(
        {"service": {"speeds": [1.0, 1.5]}, "server": {"discipline": "ps"}},
        LENGTH,
        1.961380,
        1.2,
        speeds=(1.0, 1.5),
        discipline="ps",
    ),
    "classes": served({"classes": CLASSES}, LENGTH, 2.023763, classes=ALIKE),
    "priority": served({"classes": CLASSES, "server": PRIORITY}, LENGTH, 1.946898, classes=OF_CLASSES),
    "priority, preemptive": served(
        {"classes": CLASSES, "server": PREEMPTIVE}, DROPS, 2.449885, classes=OF_CLASSES, preempts=True
    ),
    "failures": served({"failures": FAILING}, DROPS, 5.050640, 0.7, **OF_FAILING),
    "failures, length": served({"failures": FAILING}, LENGTH, 2.074727, 0.7, **OF_FAILING),
    "failures that refuse": served(
        {"failures": FAILING | {"while_down": "refuse"}},
        "refused",
        14.625444,
        0.7,
        refuses_while_down=True,
        **OF_FAILING,
    ),
    "failures that lose": served(
        {"failures": FAILING | {"jobs": "lose"}}, "lost", 4.993555, 0.7, jobs="lose", **OF_FAILING
    ),
    "failures that lose and refuse, sharing": served(
        {"failures": FAILING | {"jobs": "lose", "while_down": "refuse"}, "server": {"discipline": "ps"}},
        "lost",
        9.298702,
        0.7,
        jobs="lose",
        refuses_while_down=True,
        discipline="ps",
        **OF_FAILING,
    ),
    "patience": served({"patience": PATIENCE}, "gave_up", 17.315388, patience=4.0),
    "patience, drops": served({"patience": PATIENCE}, DROPS, 1.156228, patience=4.0),
    "patience of the sojourn": served(
        {"patience": OF_SOJOURN}, "gave_up", 27.147301, patience=4.0, patience_of="sojourn"
    ),
    "patience of the sojourn, drops": served(
        {"patience": OF_SOJOURN}, DROPS, 0.666575, patience=4.0, patience_of="sojourn"
    ),
    "patience that no server knows": served(
        {"patience": OF_SOJOURN | {"work": "go_on"}},
        "gave_up",
        32.418687,
        patience=4.0,
        patience_of="sojourn",
        goes_on=True,
    ),
    "patience, classes, failures": served(
        {"classes": CLASSES, "server": PREEMPTIVE, "patience": PATIENCE, "failures": FAILING},
        "gave_up",
        16.479208,
        classes=OF_CLASSES,
        preempts=True,
        patience=4.0,
        **OF_FAILING,
    ),
    "retries": served(
        {"retries": {"on": ["drop"], "most": 2, "backoff": exponential_law(2.0)}, "buffer": 3},
        DROPS,
        25.604257,
        buffer=3,
        retried=frozenset({"drop"}),
        attempts=2,
        backoff=2.0,
    ),
    "retries after a refusal": served(
        {
            "retries": {"on": ["drop", "refuse"], "most": 1, "backoff": exponential_law(4.0)},
            "failures": FAILING | {"while_down": "refuse"},
        },
        "refused",
        21.921905,
        0.7,
        refuses_while_down=True,
        retried=frozenset({"drop", "refuse"}),
        attempts=1,
        backoff=4.0,
        **OF_FAILING,
    ),
}
"""Drops, lengths and other ends of jobs, at servers of every kind (`station.py`)."""
