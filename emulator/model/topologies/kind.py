"""What every kind of topology says of itself; a scenario is read before numpy, so files import it late."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Self

from emulator.errors import InputError
from emulator.keys import Section, Seed, checked

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import AnyTopology

NODE_LIMIT = 10_000_000
"""Nodes of the largest network."""

ENTRY_LIMIT = 200_000_000
"""Servers that all schedulers together can access, at most, where few keys can ask for many."""


class TopologyKind(Section):
    """A kind of topology with its keys, as a scenario gives them."""

    kind: str
    """What scenarios and results call it."""

    @abstractmethod
    def node_count(self) -> int:
        """Return how many nodes there are, without building; beyond NODE_LIMIT, some number beyond it."""

    def scheduler_count(self) -> int:
        """Return how many schedulers there are, without building: one in each node unless they are a set of their own.

        Raises `InputError`.
        """
        return self.node_count()

    def server_count(self) -> int:
        """Return how many servers there are, see `scheduler_count`."""
        return self.node_count()

    def has_nodes(self) -> bool:
        """Return whether there is a graph of nodes, each a scheduler and a server. Raises `InputError`."""
        return True

    def has_own(self) -> bool:
        """Return whether each scheduler has an own server. Raises `InputError`."""
        return True

    @property
    def is_read(self) -> bool:
        """Whether a file must be read to count."""
        return False

    @property
    def is_per_replication(self) -> bool:
        """Whether each replication has a graph of its own."""
        return False

    @abstractmethod
    def build(self, seed: int) -> AnyTopology:
        """Build the graph; a random one is a function of its keys and the scenario's `seed`. Raises `InputError`."""

    def build_for(self, seed: int, replication: int) -> AnyTopology:
        """Build the graph of a replication, which is the scenario's unless keys say otherwise. Raises `InputError`."""
        return self.build(seed)

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


class RandomKind(TopologyKind):
    """A kind whose graphs are drawn."""

    seed: Seed | None = None
    """Seed of the graph; the scenario's if not given."""
    per: Literal["replication"] | None = None
    """replication: each replication draws a graph of its own; one graph stands for all if not given."""

    @property
    def is_per_replication(self) -> bool:
        """See `TopologyKind.is_per_replication`."""
        return self.per is not None

    def build_for(self, seed: int, replication: int) -> AnyTopology:
        """See `TopologyKind.build_for`; the seed of a replication's graph is drawn from seed and replication."""
        if self.per is None:
            return self.build(seed)
        from emulator.randomness import TOPOLOGY, random_uniform

        own = seed if self.seed is None else self.seed
        drawn = int(random_uniform(0, 0, 1, TOPOLOGY, own, replication) * 2**32)
        return self.model_copy(update={"seed": drawn}).build(drawn)


def check_size(nodes: int) -> None:
    """Raise `InputError` for a number of nodes that no network has."""
    if nodes < 1:
        raise InputError(f"must have at least 1 node, got {nodes}")
    if nodes > NODE_LIMIT:
        raise InputError(f"must have at most {NODE_LIMIT} nodes, got more")
