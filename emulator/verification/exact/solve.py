"""Solve a system, or a scenario from its keys, exactly; refused is what has no exact solution here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dispatchers.contract import Dispatcher, PerJobDispatcher
from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.model.system import System
from emulator.runs.check import make_dispatcher
from emulator.scenario.plan import Point
from emulator.scenario.problems import problems_in
from emulator.scenario.scenario import Scenario
from emulator.scenario.yaml_tree import Place, read_text
from emulator.text import to_document
from emulator.verification.exact import age, independent
from emulator.verification.exact.expected import Expected
from emulator.verification.exact.messages import MessageChain
from emulator.verification.exact.synchronous import Chain

STATE_LIMIT = 2_000
"""States of all queues together; more are too many to solve."""


def measures(scenario: Mapping[str, Any], dispatcher: int = 0) -> dict[str, float]:
    """Return what is expected of an episode, by the names of its columns. Raises `InputError`."""
    return measures_of(*built(scenario, dispatcher))


def of_scenario(scenario: Mapping[str, Any], dispatcher: int = 0) -> Expected:
    """Return what is expected of an episode under one of a scenario's dispatchers, queue by queue."""
    return of_system(*built(scenario, dispatcher))


def mean_age(scenario: Mapping[str, Any]) -> float:
    """Return the mean age (ms), over time and schedulers, of what is known of others' servers; NaN if not solved."""
    return age.of_system(built(scenario)[0])


def measures_of(system: System, rule: Dispatcher) -> dict[str, float]:
    """Return what `measures` does, of a system and a dispatcher.

    Few servers are solved together; on any number rules that look at no queue leave them independent.
    """
    if _states(system) > STATE_LIMIT and system.network.dispatch.is_none:
        return independent.measures(system, rule)
    return of_system(system, rule).measures() | {"age_of_knowledge": age.of_system(system)}


def of_system(system: System, rule: Dispatcher) -> Expected:
    """Return what `of_scenario` does, of a system and a dispatcher."""
    if (states := _states(system)) > STATE_LIMIT:
        raise InputError(f"at most {STATE_LIMIT} states of all queues can be solved exactly, got {states:.6g}")
    if isinstance(rule, PerJobDispatcher) and system.network.is_synchronous:
        return Chain(system, rule).expected()
    return MessageChain(system, rule).expected()


def built(scenario: Mapping[str, Any], dispatcher: int = 0) -> tuple[System, Dispatcher]:
    """Return the system of a scenario and one of its dispatchers. Raises `InputError`."""
    keys = {"name": "exact", **scenario}
    try:
        model = Scenario.model_validate(keys)
        return model.system(), make_dispatcher(Point({}, model, _Anywhere()), dispatcher).dispatcher
    except ScenarioError as error:
        raise InputError(str(error)) from None
    except ValidationError as error:
        tree = read_text(to_document(keys), lambda line, column: Place("scenario"))
        raise InputError(next(problems_in(error, tree)).message) from None


def _states(system: System) -> float:
    """Return how many states all queues have together. Raises `InputError` where servers are no FIFO queues."""
    if not system.station.is_plain:
        left_out = "server, service.speeds, classes, patience, failures and retries"
        raise InputError(f"{left_out} must be left out to be solved exactly")
    return math.pow(system.buffer + 1, min(system.servers, 100))


class _Anywhere(dict[str, Any]):
    """Where keys stand that are no file's: an error names the key."""

    def __missing__(self, key: str) -> str:
        return key
