"""Every topology against its definition (section 2.1), and every bad graph refused."""

import time
from collections import Counter
from itertools import combinations, product

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from emulator.errors import InputError
from emulator.model.edges import read_edges
from emulator.model.matching import is_graphical
from emulator.model.topologies import bethe, configuration_model, cube_connected_cycle, cycle, edge_list, torus
from emulator.model.topologies.edge_list import from_networkx
from emulator.model.topology import Topology

EXAMPLES = {
    "cycle": (lambda: cycle(9), 9, 9),
    "torus": (lambda: torus(5), 25, 50),
    "cube_connected_cycle": (lambda: cube_connected_cycle(5), 160, 240),
    "bethe": (lambda: bethe(5, 3), 94, 93),
    "configuration_model": (lambda: configuration_model(40, [3], 1), 40, 60),
    "edge_list": (lambda: edge_list([[2, 0], [1, 2]], nodes=5), 5, 2),
}


def edges_of(topology):
    return sorted(tuple(sorted(edge)) for edge in topology.to_networkx().edges)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_topology_is_a_simple_undirected_graph_in_order(kind):
    make, nodes, edges = EXAMPLES[kind]
    topology = make()
    assert (topology.kind, topology.nodes, topology.edges) == (kind, nodes, edges)
    assert topology.degrees.sum() == 2 * edges
    assert topology.max_degree == topology.degrees.max()
    neighbours = np.split(topology.neighbours, topology.offsets[1:-1])
    for node, mine in enumerate(neighbours):
        assert node not in mine
        assert (np.diff(mine) > 0).all()
        assert all(node in neighbours[other] for other in mine)
    for array in (topology.offsets, topology.neighbours):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_cycle_and_torus_are_those_of_networkx():
    assert edges_of(cycle(7)) == sorted(tuple(sorted(edge)) for edge in nx.cycle_graph(7).edges)
    grid = nx.grid_2d_graph(4, 4, periodic=True)
    numbered = nx.relabel_nodes(grid, {(row, column): 4 * row + column for row, column in grid})
    assert edges_of(torus(4)) == sorted(tuple(sorted(edge)) for edge in numbered.edges)


@pytest.mark.parametrize("order", [3, 4, 6])
def test_cube_connected_cycles_are_a_hypercube_of_cycles(order):
    topology = cube_connected_cycle(order)
    assert topology.nodes == order * 2**order
    assert (topology.degrees == 3).all()
    for a, b in edges_of(topology):
        (corner, position), (other, place) = divmod(a, order), divmod(b, order)
        along = corner == other and (position - place) % order in (1, order - 1)
        across = corner ^ other == 1 << position and position == place
        assert along or across
    assert nx.is_connected(topology.to_networkx())


@pytest.mark.parametrize(("depth", "degree", "nodes"), [(1, 3, 4), (5, 3, 94), (11, 3, 6142), (4, 4, 161), (3, 2, 7)])
def test_a_bethe_lattice_is_a_regular_tree_with_leaves_at_one_depth(depth, degree, nodes):
    topology = bethe(depth, degree)
    assert topology.nodes == nodes == 1 + sum(degree * (degree - 1) ** (k - 1) for k in range(1, depth + 1))
    graph = topology.to_networkx()
    assert nx.is_tree(graph)
    depths = nx.single_source_shortest_path_length(graph, 0)
    for node, degree_here in enumerate(topology.degrees):
        assert degree_here == (degree if depths[node] < depth else 1)
        assert depths[node] <= depth


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: torus(1000),
        lambda: cycle(1_000_000),
        lambda: cube_connected_cycle(16),
        lambda: bethe(18, 3),
        lambda: configuration_model(1_000_000, [2, 3], 1),
    ],
)
def test_a_million_nodes(make):
    topology = make()
    assert topology.nodes > 700_000
    sources = np.repeat(np.arange(topology.nodes), topology.degrees)
    forward, backward = (
        a * topology.nodes + b for a, b in ((sources, topology.neighbours), (topology.neighbours, sources))
    )
    assert (np.diff(forward) > 0).all()
    assert np.array_equal(np.sort(backward), forward)
    assert (sources != topology.neighbours).all()


class TestConfigurationModel:
    def test_degrees_are_drawn_from_those_given_equally_often(self):
        degrees = configuration_model(4000, [2, 3], 5).degrees
        assert set(degrees) == {2, 3}
        assert stats.binomtest(int((degrees == 2).sum()), 4000, 0.5).pvalue > 1e-4

    def test_a_sequence_is_kept(self):
        sequence = [4, 1, 1, 2, 2, 3, 0, 1]
        assert configuration_model(8, sequence, 3).degrees.tolist() == sequence

    @pytest.mark.parametrize(("nodes", "degree"), [(100, 99), (100, 98), (200, 150)])
    def test_a_dense_graph_takes_seconds_not_hours(self, nodes, degree):
        begun = time.process_time()
        topology = configuration_model(nodes, [degree], 1)
        assert time.process_time() - begun < 20.0
        assert (topology.degrees == degree).all()
        edge_list(np.array(edges_of(topology)), nodes=nodes)  # refuses loops and double edges

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.sets(st.integers(1, 6), min_size=1))
    def test_the_result_is_simple_or_refused(self, seed, nodes, degrees):
        try:
            topology = configuration_model(nodes, sorted(degrees), seed)
        except InputError:
            assume(False)
        if len(degrees) != nodes:
            assert set(topology.degrees) <= degrees
        edge_list(np.array(edges_of(topology)), nodes=nodes)  # refuses loops and double edges

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(
        st.integers(2, 12).flatmap(
            lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(combinations(range(n), 2)))))
        )
    )
    def test_the_degrees_of_any_graph_can_be_asked_for(self, graph):
        nodes, edges = graph
        sequence = np.bincount(np.array(sorted(edges), dtype=int).ravel(), minlength=nodes).tolist()
        assert configuration_model(nodes, sequence, 7).degrees.tolist() == sequence

    def test_every_graph_is_equally_likely(self):
        """Chi-square at level 1e-4 over the 70 graphs of 6 nodes of degree 2, and the 7 of another sequence."""
        for sequence, graphs, draws in (([2] * 6, 70, 2800), ([2, 2, 2, 1, 1], 7, 1400)):
            counts = Counter(tuple(edges_of(configuration_model(len(sequence), sequence, k))) for k in range(draws))
            assert len(counts) == graphs
            assert stats.chisquare(list(counts.values())).pvalue > 1e-4

    def test_the_seed_decides(self):
        hashes = [configuration_model(50, [3], seed).graph_hash for seed in (1, 1, 2)]
        assert hashes[0] == hashes[1] != hashes[2]

    def test_graphical_sequences_are_told_from_others(self):
        for nodes in range(1, 6):
            for sequence in product(range(nodes + 1), repeat=nodes):
                assert is_graphical(np.array(sequence)) == nx.is_graphical(sequence), sequence

    @pytest.mark.parametrize(("nodes", "degrees"), [(5, [3]), (3, [5]), (4, [3, 3, 1, 1]), (2, [2])])
    def test_impossible_degrees_are_refused(self, nodes, degrees):
        with pytest.raises(InputError, match=f"no simple graph of {nodes} nodes"):
            configuration_model(nodes, degrees, 1)


class TestEdgeList:
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(
        st.integers(2, 12).flatmap(
            lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(combinations(range(n), 2)))))
        )
    )
    def test_it_goes_through_networkx_and_back(self, graph):
        nodes, edges = graph
        topology = edge_list(np.array(sorted(edges), dtype=int).reshape(-1, 2), nodes=nodes)
        assert edges_of(topology) == sorted(edges)
        assert from_networkx(topology.to_networkx()).graph_hash == topology.graph_hash

    @pytest.mark.parametrize(
        ("edges", "nodes", "message"),
        [
            ([[0, 1], [1, 1]], None, r"edge 1 \[1, 1\] is a loop"),
            ([[0, 1], [1, 0]], None, r"edge 1 \[1, 0\] stands twice"),
            ([[0, -1]], None, r"edge 0 \[0, -1\] must have nodes from 0 to 0"),
            ([[0, 5]], 3, "from 0 to 2"),
            ([[0, 1], [1, 3]], None, "node 2 is in no edge, though the largest is 3"),
            ([], None, "needs nodes"),
            ([[0, 1, 2]], None, "pairs of whole numbers"),
            ([[0.5, 1]], None, "pairs of whole numbers"),
        ],
    )
    def test_bad_lists_are_refused(self, edges, nodes, message):
        with pytest.raises(InputError, match=message):
            edge_list(edges, nodes)

    def test_isolated_nodes_are_allowed_when_the_nodes_are_counted(self):
        assert edge_list([[0, 1], [1, 3]], nodes=6).degrees.tolist() == [1, 2, 0, 1, 0, 0]

    def test_equal_graphs_have_equal_hashes(self):
        again = edge_list([[(k + 1) % 9, k] for k in range(9)])
        assert again.graph_hash == cycle(9).graph_hash
        assert again.graph_hash != cycle(10).graph_hash


class TestFiles:
    @pytest.mark.parametrize("text", ["0,1\n1,2\n", "source,target\n0,1\n\n1,2\n", "0, 1\r\n 1,2", "\ufeff0,1\n1,2"])
    def test_edges_are_read_with_and_without_names(self, tmp_path, text):
        (tmp_path / "edges.csv").write_text(text)
        assert read_edges(tmp_path / "edges.csv").tolist() == [[0, 1], [1, 2]]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"0.5,1.5\n0,1\n", r"edges.csv:1: must be two whole numbers >= 0, got '0.5,1.5'"),
            (b"0,1_0\n", "must be two whole numbers >= 0, got '0,1_0'"),
            ("0,\u0661\n".encode(), "must be two whole numbers"),
            (b"0," + b"9" * 5000 + b"\n", r"got '0,9+ \.\.\. 9+'$"),
            (b'"0,1\n', "cannot be read as a CSV file of edges"),
            (b"0,1\n1,x\n", r"edges.csv:2: must be two whole numbers >= 0, got '1,x'"),
            (b"0,1\n1,2,3\n", r"edges.csv:2: .* got '1,2,3'"),
            (b"0,1\n1,\n", r"edges.csv:2: .* got '1,'"),
            (b"0,1\n1.5,2\n", r"edges.csv:2: .* got '1.5,2'"),
            (b"0,1\n\xff\xfe", "cannot be read"),
        ],
    )
    def test_bad_files_are_refused_with_the_line(self, tmp_path, content, message):
        (tmp_path / "edges.csv").write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_edges(tmp_path / "edges.csv")

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="No such file"):
            read_edges(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cycle(2), "^nodes must be >= 3, got 2$"),
        (lambda: torus(0), "^side must be >= 3, got 0$"),
        (lambda: cube_connected_cycle(2), "^order must be >= 3, got 2$"),
        (lambda: bethe(0, 3), "^depth must be >= 1, got 0$"),
        (lambda: bethe(60, 3), "^must have at most 10000000 nodes, got more$"),
        (lambda: bethe(2, 1), "^degree must be >= 2, got 1$"),
        (lambda: cycle(10**9), "^nodes must be <= 10000000, got 1000000000$"),
        (lambda: configuration_model(0, [3], 1), "^must have at least 1 node, got 0$"),
        (lambda: edge_list([[0, 1]], nodes=10**9), "^must have at most 10000000 nodes, got more$"),
        (lambda: configuration_model(5, [], 1), "at least one"),
        (lambda: from_networkx(nx.Graph([("a", "b")])), "numbered 0 to 1"),
    ],
)
def test_impossible_sizes_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_topology_is_compared_by_identity():
    assert isinstance(cycle(3), Topology)
    assert cycle(3) != cycle(3)
