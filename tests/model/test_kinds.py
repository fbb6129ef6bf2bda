"""Kinds of topologies beyond those of the paper, each against its definition or networkx's."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from scipy import stats

from emulator.errors import InputError
from emulator.model.topologies import TOPOLOGIES, access_lists
from emulator.model.topologies.edge_list import from_networkx


def made(kind, seed=1, **keys):
    return TOPOLOGIES[kind].of(**keys).build(seed)


def edges_of(topology):
    return sorted(tuple(sorted(edge)) for edge in topology.to_networkx().edges)


def numbered(graph):
    """Return the sorted edges of a networkx graph whose nodes are numbered as they are sorted."""
    number = {node: index for index, node in enumerate(sorted(graph))}
    return sorted(tuple(sorted((number[one], number[other]))) for one, other in graph.edges)


@pytest.mark.parametrize(
    ("kind", "keys", "graph"),
    [
        ("complete", {"nodes": 1}, nx.complete_graph(1)),
        ("complete", {"nodes": 6}, nx.complete_graph(6)),
        ("star", {"nodes": 7}, nx.star_graph(6)),
        ("tree", {"branching": 3, "depth": 3}, nx.balanced_tree(3, 3)),
        ("tree", {"branching": 1, "depth": 4}, nx.path_graph(5)),
        ("hypercube", {"dimension": 4}, nx.hypercube_graph(4)),
        ("grid", {"sides": [3, 4, 2]}, nx.grid_graph([2, 4, 3])),
        ("grid", {"sides": [3, 5], "wrap": True}, nx.grid_graph([5, 3], periodic=True)),
        ("grid", {"sides": [1]}, nx.empty_graph(1)),
        ("small_world", {"nodes": 20, "degree": 4, "rewire": 0.0}, nx.watts_strogatz_graph(20, 4, 0)),
        ("scale_free", {"nodes": 5, "attach": 4}, nx.star_graph(4)),
        ("leaf_spine", {"racks": 3, "per_rack": 4}, nx.disjoint_union_all([nx.complete_graph(4)] * 3)),
        ("fat_tree", {"ports": 4}, nx.disjoint_union_all([nx.complete_graph(4)] * 4)),
    ],
)
def test_a_graph_without_chance_is_that_of_networkx(kind, keys, graph):
    topology = made(kind, **keys)
    assert topology.nodes == len(graph)
    assert edges_of(topology) == numbered(graph)


def test_a_regular_graph_has_one_degree():
    assert set(made("random_regular", nodes=50, degree=7).degrees) == {7}
    with pytest.raises(InputError, match="no simple graph of 5 nodes"):
        made("random_regular", nodes=5, degree=3)


class TestSmallWorld:
    def test_as_many_edges_move_as_coins_say(self):
        ring = {*edges_of(made("small_world", nodes=4000, degree=6, rewire=0.0))}
        world = {*edges_of(made("small_world", nodes=4000, degree=6, rewire=0.25))}
        assert len(world) == len(ring) == 12_000
        assert stats.binomtest(len(ring - world), 12_000, 0.25).pvalue > 1e-4

    def test_every_node_is_as_likely_to_be_moved_to(self):
        counts = np.zeros(10)
        for seed in range(300):
            topology = made("small_world", seed, nodes=10, degree=2, rewire=1.0)
            counts += topology.degrees
        assert stats.chisquare(counts).pvalue > 1e-4

    def test_a_crowded_ring_still_finds_places(self):
        assert made("small_world", nodes=40, degree=20, rewire=1.0).edges == 400


class TestScaleFree:
    def test_the_next_node_is_joined_in_proportion_to_degrees(self):
        """The fourth node meets a path of three, whose middle has half of all ends."""
        joined = np.zeros(3)
        for seed in range(3000):
            edges = edges_of(made("scale_free", seed, nodes=4, attach=1))
            hub = next(node for node in (0, 1) if sum(node in edge for edge in edges if 3 not in edge) == 2)
            target = next(min(edge) for edge in edges if 3 in edge)
            joined[0 if target == hub else 1 if target < 2 else 2] += 1
        assert stats.chisquare(joined, [1500, 750, 750]).pvalue > 1e-4

    def test_each_node_brings_its_edges_and_hubs_appear(self):
        topology = made("scale_free", nodes=5000, attach=3)
        assert topology.edges == 3 * (5000 - 3)
        assert topology.degrees[4:].min() == 3
        assert topology.max_degree > 60  # of a regular or binomial graph it would be some 20


class TestGeometric:
    @pytest.mark.parametrize("wrap", [False, True])
    @pytest.mark.parametrize("radius", [0.04, 0.2, 0.34, 0.49])
    def test_neighbours_are_those_within_the_radius(self, wrap, radius):
        from emulator.model.places import random_places

        topology = made("geometric", nodes=150, radius=radius, wrap=wrap, pace=2.0)
        places = random_places(150, 1)
        apart = np.abs(places[:, None] - places[None])
        apart = np.minimum(apart, 1 - apart) if wrap else apart
        distance = np.sqrt((apart**2).sum(axis=2))
        near = {(one, other) for one, other in combinations(range(150), 2) if distance[one, other] <= radius}
        assert {*edges_of(topology)} == near
        sources = np.repeat(np.arange(150), topology.degrees)
        expected = 2.0 * distance[sources, topology.neighbours]
        np.testing.assert_allclose(topology.lengths, expected, rtol=1e-11)

    def test_lengths_have_twelve_digits(self):
        lengths = made("geometric", nodes=50, radius=0.5, pace=1.0).lengths
        assert all(float(f"{length:.12g}") == length for length in lengths)


class TestRacks:
    @pytest.mark.parametrize("outside", [0, 1, 2, 3, 6, 11, 12])
    def test_hosts_have_their_rack_and_as_many_others(self, outside):
        topology = made("leaf_spine", racks=4, per_rack=4, outside=outside, latencies=[0.1, 0.5])
        rack = np.arange(16) // 4
        sources = np.repeat(np.arange(16), topology.degrees)
        same = rack[sources] == rack[topology.neighbours]
        assert (np.bincount(sources[same], minlength=16) == 3).all()
        assert (np.bincount(sources[~same], minlength=16) == outside).all()
        assert set(topology.lengths[same]) == {0.1}
        assert set(topology.lengths[~same]) <= {0.5}
        topology.check()

    @pytest.mark.parametrize(
        ("racks", "size"), [(2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (4, 3), (5, 2), (6, 1), (7, 1)]
    )
    def test_any_number_outside_can_be_asked_for(self, racks, size):
        from emulator.model.matching import _circulant_across, match_across

        nodes = racks * size
        for degree in range((racks - 1) * size + 1):
            if degree * nodes % 2 == 0:
                drawn = match_across(racks, size, degree, seed=degree)
                fixed = _circulant_across(racks, size, degree)
                for edges, group in ((drawn, np.arange(nodes) // size), (fixed, np.arange(nodes) % racks)):
                    assert (np.bincount(edges.ravel(), minlength=nodes) == degree).all()
                    assert len({tuple(sorted(edge)) for edge in edges.tolist()}) == len(edges)
                    assert (group[edges[:, 0]] != group[edges[:, 1]]).all()

    def test_levels_of_a_fat_tree(self):
        topology = made("fat_tree", ports=4, outside=2, latencies=[1, 2, 3])
        assert topology.nodes == 16
        sources = np.repeat(np.arange(16), topology.degrees)
        for source, end, length in zip(sources, topology.neighbours, topology.lengths, strict=True):
            assert length == (1 if source // 2 == end // 2 else 2 if source // 4 == end // 4 else 3)


class TestBipartite:
    @pytest.mark.parametrize(
        ("schedulers", "servers", "choices"),
        [
            (100, 150, 3),
            (150, 100, 2),
            (1000, 10, 9),
            (1000, 10, [1, 9, 10]),
            (7, 5, 5),
            (1, 50, 20),
            (60, 61, [1, 60]),
        ],
    )
    def test_balanced_servers_are_chosen_equally_often(self, schedulers, servers, choices):
        lists = made("bipartite", schedulers=schedulers, servers=servers, choices=choices)
        lists.check()
        assert (lists.schedulers, lists.servers) == (schedulers, servers)
        assert set(lists.access.counts) <= {*([choices] if isinstance(choices, int) else choices)}
        assert lists.access.sharing.max() - lists.access.sharing.min() <= 1
        assert not lists.access.has_own

    def test_numbers_of_choices_are_drawn_equally_often(self):
        counts = made("bipartite", schedulers=5000, servers=100, choices=[2, 3]).access.counts
        assert stats.binomtest(int((counts == 2).sum()), 5000, 0.5).pvalue > 1e-4

    @pytest.mark.parametrize("balanced", [True, False])
    def test_every_set_of_servers_is_as_likely(self, balanced):
        """Chi-square at level 1e-4 over the ten pairs of five servers, and over the orders of each."""
        lists = made("bipartite", schedulers=5000, servers=5, choices=2, balanced=balanced)
        pairs = lists.access.servers.reshape(-1, 2)
        counts = np.bincount(pairs[:, 0] * 5 + pairs[:, 1], minlength=25).reshape(5, 5)
        assert (np.diag(counts) == 0).all()
        assert stats.chisquare(counts[~np.eye(5, dtype=bool)]).pvalue > 1e-4

    def test_unbalanced_servers_are_chosen_by_chance(self):
        sharing = made("bipartite", schedulers=2000, servers=50, choices=10, balanced=False).access.sharing
        assert 0.3 < sharing.var(ddof=1) / (2000 * 0.2 * 0.8) < 2.5  # binomial, but that their sum is fixed

    def test_the_first_drawn_can_be_home(self):
        free, home = (made("bipartite", schedulers=9, servers=4, choices=2, **key) for key in ({}, {"home": "first"}))
        assert home.access.has_own
        assert home.access.servers.tolist() == free.access.servers.tolist()
        assert home.graph_hash != free.graph_hash


class TestDirected:
    def test_servers_stay_in_the_order_of_the_list(self):
        lists = access_lists([[1, 2], [0, 3], [0, 1], [1, 0]], servers=5)
        assert [lists.access.of(scheduler).tolist() for scheduler in (0, 1)] == [[3, 1], [2, 0]]
        assert (lists.schedulers, lists.servers, lists.access.has_own) == (2, 5, False)

    @pytest.mark.parametrize(
        ("edges", "servers", "message"),
        [
            ([[0, 1], [0, 1]], 2, r"edge 1 \[0, 1\] stands twice"),
            ([[0, 0], [2, 0]], None, "scheduler 1 is in no edge, though the largest is 2: a hole$"),
            ([[0, 0], [0, 2]], None, "server 1 is in no edge, though the largest is 2: a hole, unless servers"),
            ([[0, 5]], 5, r"edge 0 \[0, 5\] must have servers from 0 to 4"),
            ([[-1, 0]], None, r"edge 0 \[-1, 0\] must have|must have at least 1 node, got 0"),
            ([], None, "at least one"),
        ],
    )
    def test_bad_lists_are_refused(self, edges, servers, message):
        with pytest.raises(InputError, match=message):
            access_lists(edges, servers)


class TestNetworkx:
    def test_a_directed_graph_has_own_servers_and_those_its_edges_lead_to(self):
        lists = from_networkx(nx.DiGraph([(0, 2), (2, 1), (0, 1), (1, 0)]))
        assert lists.access.has_own
        assert [lists.access.of(node).tolist() for node in range(3)] == [[0, 1, 2], [1, 0], [2, 1]]

    def test_a_bipartite_graph_has_two_sets(self):
        graph = nx.Graph()
        graph.add_nodes_from(["a", "b"], bipartite=0)
        graph.add_nodes_from(["x", "y", "z"], bipartite=1)
        graph.add_weighted_edges_from([("x", "a", 2.0), ("b", "z", 1.0), ("a", "z", 3.0)], weight="latency")
        lists = from_networkx(graph)
        assert [lists.access.of(index).tolist() for index in (0, 1)] == [[0, 2], [2]]
        assert lists.access.lengths.tolist() == [2.0, 3.0, 1.0]
        assert from_networkx(graph, home="nearest").access.has_own

    def test_several_edges_are_refused_or_merged_to_the_shortest(self):
        graph = nx.MultiGraph()
        graph.add_weighted_edges_from([(0, 1, 3.0), (1, 0, 2.0), (1, 1, 1.0), (1, 2, 5.0)], weight="latency")
        with pytest.raises(InputError, match=r"^the graph has 1 loop, 1 parallel link; simplify: true drops"):
            from_networkx(graph)
        topology = from_networkx(graph, simplify=True)
        assert edges_of(topology) == [(0, 1), (1, 2)]
        assert topology.lengths.tolist() == [2.0, 2.0, 5.0, 5.0]
        assert topology.remark.startswith("topology: the graph was simplified to 3 nodes and 2 links: dropped 1 loop")

    @pytest.mark.parametrize(
        ("edges", "sides", "message"),
        [
            ([("a", "b")], {"a": 0, "b": 0}, "links must lead from a scheduler .* not from 'a' to 'b'"),
            ([("a", "b")], {"a": 0}, "nodes must all have bipartite"),
            ([("a", "b")], {"a": 0, "b": 2}, "nodes must all have bipartite"),
            ([("a", "b")], {"a": 0, "b": 1, "c": 0}, "scheduler 'c' can access no server"),
        ],
    )
    def test_sides_that_are_none_are_refused(self, edges, sides, message):
        graph = nx.Graph(edges)
        graph.add_nodes_from(sides)
        nx.set_node_attributes(graph, sides, "bipartite")
        with pytest.raises(InputError, match=message):
            from_networkx(graph)

    def test_home_is_for_schedulers_without_a_server(self):
        with pytest.raises(InputError, match="home is for schedulers that have no server"):
            from_networkx(nx.path_graph(3), home="first")


@pytest.mark.parametrize("kind", ["bipartite", "random_regular", "small_world", "geometric", "configuration_model"])
def test_replications_draw_graphs_of_their_own(kind):
    keys = {
        "bipartite": {"schedulers": 20, "servers": 30, "choices": 2},
        "random_regular": {"nodes": 30, "degree": 3},
        "small_world": {"nodes": 30, "degree": 4, "rewire": 0.5},
        "geometric": {"nodes": 30, "radius": 0.3},
        "configuration_model": {"nodes": 30, "degrees": [2, 3]},
    }[kind]
    each = TOPOLOGIES[kind].of(**keys, per="replication")
    hashes = [each.build_for(1, replication).graph_hash for replication in range(5)]
    assert len({*hashes}) == 5
    assert hashes == [each.build_for(1, replication).graph_hash for replication in range(5)]
    assert each.build_for(2, 0).graph_hash != hashes[0]
    own = TOPOLOGIES[kind].of(**keys, per="replication", seed=1)
    assert [own.build_for(9, replication).graph_hash for replication in range(5)] == hashes
