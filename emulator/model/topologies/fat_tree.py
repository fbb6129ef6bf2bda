"""The hosts of a fat tree (M. Al-Fares, A. Loukissas, A. Vahdat, 2008)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import RandomKind
from emulator.model.topologies.leaf_spine import check_outside

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class FatTree(RandomKind):
    """Hosts of a fat tree of switches: each beside all of its pod, and some outside it, drawn at random.

    Switches of so many ports make as many pods, in each half as many edge switches, with half as many hosts each.
    """

    kind: Literal["fat_tree"] = "fat_tree"
    ports: Annotated[int, Field(ge=2, le=340)]
    """Ports of each switch, an even number: there are ports**3 / 4 hosts."""
    outside: Annotated[int, Field(ge=0)] = 0
    """Hosts of other pods that each host is beside."""
    latencies: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=3, max_length=3)] | None = None
    """Between hosts of one edge switch, of one pod, and of two pods, over the core, ms."""

    @model_validator(mode="after")
    def _check(self) -> FatTree:
        if self.ports % 2:
            raise ScenarioError("ports", f"must be even, got {self.ports}")
        check_outside(self.ports, (self.ports // 2) ** 2, self.outside, "pods")
        return self

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.ports**3 // 4

    def build(self, seed: int) -> Topology:
        """Build the graph: hosts are numbered edge switch by edge switch, pod by pod."""
        from emulator.model.racks import hosts

        half = self.ports // 2
        own = seed if self.seed is None else self.seed
        return hosts(self.kind, self.ports, [half**2, half], self.outside, self.latencies, own)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> FatTree:
        """See `TopologyKind.sample`."""
        ports = 2 * int(generator.integers(1, 4))
        latencies = [0.1, 0.2, 0.5] if generator.random() < 0.5 else None
        return cls(ports=ports, outside=int(generator.integers(0, 2)), latencies=latencies)
