"""Access: what engines know of a graph."""

import numpy as np

from emulator.model.access import Access, own_and_neighbours
from emulator.model.topologies import configuration_model, cycle


def test_a_node_can_access_its_own_server_and_then_its_neighbours():
    graph = configuration_model(40, [1, 2, 5], seed=3)
    access = own_and_neighbours(graph.offsets, graph.neighbours)
    for node in range(graph.nodes):
        assert access.of(node).tolist() == [node, *sorted(graph.to_networkx()[node])]
    assert (access.scheduler_count, access.server_count) == (40, 40)
    assert access.counts.tolist() == access.sharing.tolist() == (graph.degrees + 1).tolist()
    assert access.width == graph.degrees.max() + 1


def test_seen_from_the_servers_an_undirected_graph_is_the_same():
    access = own_and_neighbours(*(lambda graph: (graph.offsets, graph.neighbours))(cycle(7)))
    assert access.transpose.offsets.tolist() == access.offsets.tolist()
    assert access.transpose.servers.tolist() == access.servers.tolist()


def test_schedulers_and_servers_may_differ_in_number():
    access = Access(np.array([0, 2, 3]), np.array([2, 0, 2], dtype=np.int32), server_count=4)
    assert access.sharing.tolist() == [1, 0, 2, 0]
    seen = access.transpose
    assert [seen.of(server).tolist() for server in range(4)] == [[0], [], [0, 1], []]
    assert (seen.scheduler_count, seen.server_count) == (4, 2)
    assert seen.transpose.servers.tolist() == [0, 2, 2]
