"""Solve a scenario exactly, from its keys; refused is what has no exact solution here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatchers.contract import Dispatcher, PerJobDispatcher
from emulator.errors import InputError
from emulator.model.system import System
from emulator.runs.check import make_dispatcher
from emulator.scenario.plan import Point
from emulator.scenario.scenario import Scenario
from emulator.verification.exact.expected import Expected
from emulator.verification.exact.messages import MessageChain
from emulator.verification.exact.network import network_of
from emulator.verification.exact.synchronous import Chain

NETWORK = ("messages", "decide", "dispatch")
"""Keys that say how knowledge and jobs travel."""

STATE_LIMIT = 5_000
"""States of all queues together; more are too many to solve."""


def of_scenario(scenario: Mapping[str, Any], dispatcher: int = 0) -> Expected:
    """Return what is expected of an episode under one of a scenario's dispatchers. Raises `InputError`."""
    system, rule = built(scenario, dispatcher)
    states = (system.buffer + 1) ** len(system.service_rates)
    if states > STATE_LIMIT:
        raise InputError(f"at most {STATE_LIMIT} states of all queues can be solved exactly, got {states}")
    if isinstance(rule, PerJobDispatcher) and not any(key in scenario for key in NETWORK):
        return Chain(system, rule).expected()
    return MessageChain(system, rule, network_of(scenario, system)).expected()


def built(scenario: Mapping[str, Any], dispatcher: int = 0) -> tuple[System, Dispatcher]:
    """Return the system of a scenario, all but its network, and one of its dispatchers."""
    keys = {key: value for key, value in scenario.items() if key not in NETWORK}
    model = Scenario.model_validate({"name": "exact", **keys})
    places: Any = _Anywhere()
    return model.system(), make_dispatcher(Point({}, model, places), dispatcher).dispatcher


class _Anywhere(dict[str, str]):
    """Where keys stand that are no file's: an error names the key."""

    def __missing__(self, key: str) -> str:
        return key
