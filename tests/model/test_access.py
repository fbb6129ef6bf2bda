"""Access: what engines know of a graph."""

import tracemalloc

import numpy as np
import pytest

from emulator.errors import InputError
from emulator.model.access import Access, own_and_neighbours
from emulator.model.topologies import configuration_model, cycle
from emulator.model.topologies.star import Star


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


LISTS = Access(
    np.array([0, 3, 5, 6]),
    np.array([2, 0, 1, 2, 0, 2], dtype=np.int32),
    server_count=4,
    lengths=np.array([3.0, 1.0, 1.0, 2.0, 2.0, 5.0]),
)


def test_without_own_servers_all_are_others():
    assert not LISTS.has_own
    assert LISTS.others.tolist() == LISTS.counts.tolist() == [3, 2, 1]
    graph = cycle(7).access
    assert graph.has_own
    assert graph.others.tolist() == [2] * 7


def test_the_transpose_keeps_lengths_and_knows_its_entries():
    seen = LISTS.transpose
    assert [seen.of(server).tolist() for server in range(4)] == [[0, 1], [0], [0, 1, 2], []]
    assert seen.lengths.tolist() == [1.0, 2.0, 1.0, 3.0, 2.0, 5.0]
    assert LISTS.servers[LISTS.turned].tolist() == [0, 0, 1, 2, 2, 2]
    assert seen.transpose.servers.tolist() == [0, 1, 2, 0, 2, 2]  # in increasing index, however they stood before


@pytest.mark.parametrize(
    ("home", "servers", "lengths"),
    [
        ("first", [2, 0, 1, 2, 0, 2], [3.0, 1.0, 1.0, 2.0, 2.0, 5.0]),
        ("nearest", [0, 2, 1, 2, 0, 2], [1.0, 3.0, 1.0, 2.0, 2.0, 5.0]),
    ],
)
def test_a_home_becomes_column_0(home, servers, lengths):
    access = LISTS.with_home(home)
    assert access.has_own
    assert (access.servers.tolist(), access.lengths.tolist()) == (servers, lengths)
    assert access.others.tolist() == [2, 1, 0]
    first = [access.transpose.of(server)[:1].tolist() for server in range(4)]
    assert first == ([[0], [0], [0], []] if home == "first" else [[0], [0], [1], []])
    assert not access.transpose.has_own  # two schedulers have one home


def test_the_nearest_home_in_random_lists_is_the_first_of_least_length():
    generator = np.random.default_rng(1)
    counts = generator.integers(1, 9, 200)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    lengths = generator.integers(0, 4, offsets[-1]).astype(float)
    servers = np.concatenate([generator.permutation(20)[:count] for count in counts]).astype(np.int32)
    access = Access(offsets, servers, 20, lengths=lengths)
    near = access.with_home("nearest")
    near.check()
    for scheduler in range(200):
        mine, ways = access.of(scheduler).tolist(), lengths[offsets[scheduler] : offsets[scheduler + 1]]
        home = int(np.argmin(ways))
        assert near.of(scheduler).tolist() == [mine[home], *mine[:home], *mine[home + 1 :]]


def test_nearest_needs_lengths():
    with pytest.raises(InputError, match=r"^home nearest needs latencies"):
        Access(np.array([0, 1]), np.array([0], dtype=np.int32), 1).with_home("nearest")


@pytest.mark.parametrize(
    ("offsets", "servers", "lengths", "message"),
    [
        ([0, 1, 3], [1, 0], None, "offsets must rise"),
        ([0, 2, 2], [1, 0], None, "scheduler 1 can access no server"),
        ([0, 1, 2], [1, 3], None, "servers must be from 0 to 2"),
        ([0, 1, 4], [1, 2, 0, 2], None, "scheduler 1 can access server 2 twice"),
        ([0, 1, 2], [1, 0], [1.0, -1.0], "lengths must be numbers >= 0"),
        ([0, 1, 2], [1, 0], [1.0, np.nan], "lengths must be numbers >= 0"),
    ],
)
def test_lists_that_are_none_are_refused(offsets, servers, lengths, message):
    ways = None if lengths is None else np.array(lengths)
    with pytest.raises(InputError, match=message):
        Access(np.array(offsets), np.array(servers, dtype=np.int32), 3, lengths=ways).check()


def test_a_hub_costs_what_its_entries_cost():
    """A table of nodes x largest degree would take 200 MB."""
    tracemalloc.start()
    try:
        access = Star(nodes=5000).build(1).access
        assert (access.width, access.transpose.width) == (5000, 5000)
        assert tracemalloc.get_traced_memory()[1] < 200 * len(access.servers)
    finally:
        tracemalloc.stop()
