"""Clients: each sends a job, waits until it has ended, thinks, and sends another one (S. S. Lavenberg, 1983)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from emulator.keys import ScenarioError
from emulator.model.network import Duration

CLIENT_LIMIT = 100_000_000
"""Clients of all schedulers together."""


class Clients(NamedTuple):
    """Who sends the jobs."""

    each: int
    """How many clients each scheduler has from time 0 on; they think first. Others come with arrivals."""
    think: Duration
    """From the end of a client's job to its next one, in mean; divided by the scheduler's weight if clients stay."""
    leaving: float
    """Probability that a client leaves after a job."""


def check_alone(process: Any, keys: Iterable[str]) -> None:
    """Raise `ScenarioError` if keys are given that clients have no use for."""
    for key in keys:
        if getattr(process, key) is not None:
            raise ScenarioError(key, f"must be left out beside kind: {process.kind}: a client has one job at a time")
