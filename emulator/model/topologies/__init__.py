"""The topologies by their `kind`; a new one is one file, one import, and one line of the registry."""

from __future__ import annotations

from emulator.model.topologies.bethe import Bethe, bethe
from emulator.model.topologies.bipartite import Bipartite
from emulator.model.topologies.complete import Complete
from emulator.model.topologies.configuration_model import ConfigurationModel, configuration_model
from emulator.model.topologies.cube_connected_cycle import CubeConnectedCycle, cube_connected_cycle
from emulator.model.topologies.cycle import Cycle, cycle
from emulator.model.topologies.edge_list import EdgeList, access_lists, edge_list
from emulator.model.topologies.fat_tree import FatTree
from emulator.model.topologies.file import File
from emulator.model.topologies.geometric import Geometric
from emulator.model.topologies.grid import Grid
from emulator.model.topologies.hypercube import Hypercube
from emulator.model.topologies.kind import TopologyKind
from emulator.model.topologies.leaf_spine import LeafSpine
from emulator.model.topologies.random_regular import RandomRegular
from emulator.model.topologies.scale_free import ScaleFree
from emulator.model.topologies.small_world import SmallWorld
from emulator.model.topologies.star import Star
from emulator.model.topologies.torus import Torus, torus
from emulator.model.topologies.tree import Tree

__all__ = [
    "TOPOLOGIES",
    "TopologyKind",
    "access_lists",
    "bethe",
    "configuration_model",
    "cube_connected_cycle",
    "cycle",
    "edge_list",
    "torus",
]

TOPOLOGIES: dict[str, type[TopologyKind]] = {
    kind.model_fields["kind"].default: kind
    for kind in (
        *(Cycle, CubeConnectedCycle, Torus, ConfigurationModel, Bethe, EdgeList),
        *(Bipartite, File, Complete, Star, Tree, Hypercube, Grid),
        *(RandomRegular, SmallWorld, ScaleFree, Geometric, LeafSpine, FatTree),
    )
}
"""The topologies by their `kind`."""
