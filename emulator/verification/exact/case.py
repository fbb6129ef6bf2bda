"""What a case of an exact value is, and the small systems that most of them are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from emulator.verification.exact import solve

DROPS, AGE = "drops_per_queue", "age_of_knowledge"
"""Jobs per queue, scaled to 50 ms; ms, of what schedulers know of the servers that are not their own."""


class Case(NamedTuple):
    """A scenario of which something is known exactly."""

    scenario: Mapping[str, Any]
    measure: str
    """A column of the episodes, of which the value is the mean over all replications."""
    value: float
    how: Callable[[], float] | None = None
    """What works it out, where that is not `solve.measures`."""

    def solved(self) -> float:
        """Return the value, worked out again."""
        if self.how is not None:
            return self.how()
        if self.measure == AGE:
            return solve.mean_age(self.scenario)
        return solve.measures(self.scenario)[self.measure]


def pair(**keys: Any) -> dict[str, Any]:
    """Return two nodes on an edge under JSQ at a rate of 0.9, with other keys as given."""
    return {
        "topology": {"kind": "edge_list", "edges": [[0, 1]]},
        "delta_t": 5.0,
        "horizon": 50.0,
        "buffer": 5,
        "arrivals": {"high": 0.9, "low": 0.9},
        "dispatchers": ["JSQ"],
    } | keys


def path(**keys: Any) -> dict[str, Any]:
    """Return three nodes in a row, with a buffer of 3, else the same."""
    return pair(topology={"kind": "edge_list", "edges": [[0, 1], [1, 2]]}, buffer=3) | keys
