"""The hosts of a leaf-spine network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import ENTRY_LIMIT, NODE_LIMIT, RandomKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class LeafSpine(RandomKind):
    """Hosts in racks: each beside all of its rack, and beside as many outside it as asked for, drawn at random.

    A leaf is the switch of a rack, and spines join the leaves; switches are no nodes, but say how far hosts are apart.
    """

    kind: Literal["leaf_spine"] = "leaf_spine"
    racks: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """How many racks, a leaf each."""
    per_rack: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """Hosts in each rack."""
    outside: Annotated[int, Field(ge=0, le=NODE_LIMIT)] = 0
    """Hosts of other racks that each host is beside."""
    latencies: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)] | None = None
    """Between hosts of one rack, over its leaf, and between racks, over a spine, ms."""

    @model_validator(mode="after")
    def _check(self) -> LeafSpine:
        check_outside(self.racks, self.per_rack, self.outside, "racks")
        return self

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.racks * self.per_rack

    def build(self, seed: int) -> Topology:
        """Build the graph: node = rack * per_rack + place in the rack."""
        from emulator.model.racks import hosts

        own = seed if self.seed is None else self.seed
        return hosts(self.kind, self.racks, [self.per_rack], self.outside, self.latencies, own)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> LeafSpine:
        """See `TopologyKind.sample`."""
        racks, per_rack = (int(generator.integers(1, 9)) for _ in range(2))
        outside = int(generator.integers(0, (racks - 1) * per_rack + 1))
        outside -= outside * racks * per_rack % 2
        latencies = [0.1, 0.5] if generator.random() < 0.5 else None
        return cls(racks=racks, per_rack=per_rack, outside=outside, latencies=latencies)


def check_outside(groups: int, size: int, outside: int, noun: str) -> None:
    """Raise `ScenarioError` unless each host of so many groups of a size can have neighbours `outside` its own."""
    if groups * size > NODE_LIMIT:
        raise ScenarioError("", f"must have at most {NODE_LIMIT} nodes, got more")
    if outside > (groups - 1) * size:
        raise ScenarioError(
            "outside", f"must be at most the {(groups - 1) * size} hosts of other {noun}, got {outside}"
        )
    if outside * groups * size % 2:
        raise ScenarioError("outside", f"must be even for an odd number of hosts, {groups * size}, got {outside}")
    if groups * size * (size + outside) > ENTRY_LIMIT:
        raise ScenarioError("", f"must have at most {ENTRY_LIMIT} neighbours in all, got more")
