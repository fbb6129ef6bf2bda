"""What every kind of topology says of itself; a scenario is read before numpy, so files import it late."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from emulator.errors import InputError
from emulator.keys import Section, checked

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology

NODE_LIMIT = 10_000_000
"""Nodes of the largest network."""


class TopologyKind(Section):
    """A kind of topology with its keys, as a scenario gives them."""

    kind: str
    """What scenarios and results call it."""

    @abstractmethod
    def node_count(self) -> int:
        """Return how many nodes there are, without building; beyond NODE_LIMIT, some number beyond it."""

    @abstractmethod
    def build(self, seed: int) -> Topology:
        """Build the graph; a random one is a function of its keys and the scenario's `seed`. Raises `InputError`."""

    @classmethod
    @abstractmethod
    def sample(cls, generator: np.random.Generator) -> Self:
        """Return a small one with random keys, of at most some hundred nodes, for tests."""

    @classmethod
    def of(cls, **keys: Any) -> Self:
        """Return the kind with these keys. Raises `InputError` for what is out of bounds."""
        kind = checked(cls, {key: value.item() if hasattr(value, "item") else value for key, value in keys.items()})
        check_size(kind.node_count())
        return kind


def check_size(nodes: int) -> None:
    """Raise `InputError` for a number of nodes that no network has."""
    if nodes < 1:
        raise InputError(f"must have at least 1 node, got {nodes}")
    if nodes > NODE_LIMIT:
        raise InputError(f"must have at most {NODE_LIMIT} nodes, got more")
