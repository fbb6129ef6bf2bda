"""The topologies of section 2.1 by their `kind`; a new one is one file, one import, and one line of the registry."""

from __future__ import annotations

from emulator.model.topologies.bethe import Bethe, bethe
from emulator.model.topologies.configuration_model import ConfigurationModel, configuration_model
from emulator.model.topologies.cube_connected_cycle import CubeConnectedCycle, cube_connected_cycle
from emulator.model.topologies.cycle import Cycle, cycle
from emulator.model.topologies.edge_list import EdgeList, edge_list
from emulator.model.topologies.kind import TopologyKind
from emulator.model.topologies.torus import Torus, torus

__all__ = [
    "TOPOLOGIES",
    "TopologyKind",
    "bethe",
    "configuration_model",
    "cube_connected_cycle",
    "cycle",
    "edge_list",
    "torus",
]

TOPOLOGIES: dict[str, type[TopologyKind]] = {
    kind.model_fields["kind"].default: kind
    for kind in (Cycle, CubeConnectedCycle, Torus, ConfigurationModel, Bethe, EdgeList)
}
"""The topologies by their `kind`."""
