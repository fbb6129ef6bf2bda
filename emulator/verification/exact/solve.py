"""Solve a scenario exactly, from its keys; refused is what has no exact solution here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dispatchers.contract import Dispatcher, PerJobDispatcher
from emulator.errors import InputError
from emulator.keys import ScenarioError, checked
from emulator.model.system import System
from emulator.runs.check import make_dispatcher
from emulator.scenario.plan import Point
from emulator.scenario.scenario import Scenario
from emulator.verification.exact import age, independent
from emulator.verification.exact.expected import Expected
from emulator.verification.exact.messages import MessageChain
from emulator.verification.exact.network import network_of
from emulator.verification.exact.synchronous import Chain

NETWORK = ("messages", "decide", "dispatch")
"""Keys that say how knowledge and jobs travel."""

STATE_LIMIT = 2_000
"""States of all queues together; more are too many to solve."""


def measures(scenario: Mapping[str, Any], dispatcher: int = 0) -> dict[str, float]:
    """Return what is expected of an episode, by the names of its columns. Raises `InputError`.

    Few servers are solved together; on any number rules that look at no queue leave them independent.
    """
    system, rule = built(scenario, dispatcher)
    if _states(system) > STATE_LIMIT and "dispatch" not in scenario:
        return independent.measures(system, rule)
    return of_scenario(scenario, dispatcher).measures() | {"age_of_knowledge": mean_age(scenario)}


def of_scenario(scenario: Mapping[str, Any], dispatcher: int = 0) -> Expected:
    """Return what is expected of an episode under one of a scenario's dispatchers, queue by queue."""
    system, rule = built(scenario, dispatcher)
    if (states := _states(system)) > STATE_LIMIT:
        raise InputError(f"at most {STATE_LIMIT} states of all queues can be solved exactly, got {states:.6g}")
    if isinstance(rule, PerJobDispatcher) and not any(key in scenario for key in NETWORK):
        return Chain(system, rule).expected()
    return MessageChain(system, rule, network_of(scenario, system)).expected()


def mean_age(scenario: Mapping[str, Any]) -> float:
    """Return the mean age (ms), over time and schedulers, of what is known of others' servers; NaN if not solved."""
    system, _ = built(scenario, 0)
    network = network_of(scenario, system)
    has_own = scenario["topology"].get("kind") != "bipartite"
    others = [
        (scheduler, server)
        for scheduler in range(system.access.scheduler_count)
        for server in system.access.of(scheduler)[int(has_own) :].tolist()
    ]
    return age.of_network(network, others, system.horizon)


def built(scenario: Mapping[str, Any], dispatcher: int) -> tuple[System, Dispatcher]:
    """Return the system of a scenario, all but its network, and one of its dispatchers."""
    keys = {key: value for key, value in scenario.items() if key not in NETWORK}
    try:
        model = checked(Scenario, {"name": "exact", **keys})
        return model.system(), make_dispatcher(Point({}, model, _Anywhere()), dispatcher).dispatcher
    except ScenarioError as error:
        raise InputError(str(error)) from None


def _states(system: System) -> float:
    return math.pow(system.buffer + 1, min(len(system.service_rates), 100))


class _Anywhere(dict[str, Any]):
    """Where keys stand that are no file's: an error names the key."""

    def __missing__(self, key: str) -> str:
        return key
