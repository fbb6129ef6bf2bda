"""Files of graphs as people have them, and what is told of what stands in the way."""

import json
import math
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from emulator.errors import InputError
from emulator.model.places import EARTH, great_circles
from emulator.model.topologies.file import File

MAPS = Path(__file__).resolve().parents[2] / "scenarios" / "maps"


@pytest.fixture
def build(tmp_path):
    """Return what builds the topology of a file with some text."""

    def built(text, name="graph.txt", **keys):
        path = tmp_path / name
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
        kind = File.model_validate({"path": str(path), **keys})
        topology = kind.build(1)
        topology.check()
        assert (kind.scheduler_count(), kind.server_count()) == (topology.schedulers, topology.servers)
        assert kind.has_own() == topology.access.has_own
        return topology

    return built


def edges_of(topology):
    return sorted(tuple(sorted(edge)) for edge in topology.to_networkx().edges)


@pytest.mark.parametrize(
    "text",
    [
        "0\t1\n1\t2\n",
        "# SNAP\n# FromNodeId\tToNodeId\n0\t1\r\n1\t2\r\n",
        "% Konect\n0 1\n\n  1   2\n",
        "source,target,weight\n0,1,2.5\n1,2,x\n",
        "0;1;a;b\n1;2\n",
        "FromNodeId ToNodeId\n0 1\n1 2",
        "\ufeffone,other\n0, 1\n1, 2\n",
    ],
)
def test_lists_of_edges_as_people_have_them(build, text):
    assert edges_of(build(text)) == [(0, 1), (1, 2)]


def test_what_needs_no_change_has_no_remark(build):
    assert build("0 1\n1 2\n").remark == build("0 1\n1 2\n", simplify=True).remark == ""


def test_all_obstacles_are_told_at_once(build):
    text = "3 1\n1 3\n3 3\n7 3\n7 3\n3 7\n9 9\n"
    told = "2 loops, 2 links told in both directions, 1 parallel link, ids with holes, 1 to 9 instead of 0 to 3"
    with pytest.raises(InputError, match=f"^graph.txt has {told}; simplify: true drops, merges and renumbers them$"):
        build(text)
    topology = build(text, simplify=True)
    assert edges_of(topology) == [(0, 1), (1, 2)]
    assert topology.remark == (
        "topology: graph.txt was simplified to 4 nodes and 2 links: dropped 2 loops, merged 2 links told in both "
        "directions and 1 parallel link, renumbered nodes in the order of their ids; 1 node in no link"
    )


def test_names_are_numbered_as_they_come(build):
    with pytest.raises(InputError, match="nodes called by names such as 'b' instead of numbered 0 to 2"):
        build("b,a\na,c\n")
    topology = build("b,a\na,c\n", simplify=True)
    assert edges_of(topology) == [(0, 1), (1, 2)]
    assert topology.remark.endswith("renumbered nodes as they come")


@pytest.mark.parametrize(
    "text",
    [
        '"Paris, F","Bonn"\n"Bonn","Ulm"\n',
        '"source";"target";"delay"\n"Paris, F";"Bonn";"3"\n"Bonn";"Ulm";"4"\n',
        "Paris, F\tBonn\nBonn\tUlm\n",
        "Paris, F;Bonn;1\nBonn;Ulm;2\n",
        '"Paris, F" Bonn\n"Bonn"   Ulm\n',
        "S\u00e3o Paulo,Bonn\nBonn,Ulm\n".encode("latin-1"),
    ],
)
def test_names_may_hold_what_separates_others(build, text):
    topology = build(text, simplify=True)
    assert (topology.nodes, edges_of(topology)) == (3, [(0, 1), (1, 2)])


def test_a_map_says_how_it_is_encoded(build):
    """GraphML does so by itself, GML is Latin-1 if it is no UTF-8."""
    gml = 'graph [ node [ id 0 label "S\u00e3o Paulo" ] node [ id 1 ] edge [ source 0 target 1 ] ]'
    graphml = (
        '<?xml version="1.0" encoding="iso-8859-1"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        '<key id="a" for="node" attr.name="label" attr.type="string"/><graph edgedefault="undirected">'
        '<node id="0"><data key="a">S\u00e3o Paulo</data></node><node id="1"/>'
        '<edge source="0" target="1"/></graph></graphml>'
    )
    for name, text in (("a.gml", gml), ("a.graphml", graphml)):
        assert edges_of(build(text.encode("latin-1"), name)) == [(0, 1)]
    assert edges_of(build(gml.encode(), "b.gml")) == [(0, 1)]


def test_a_file_of_snap_keeps_all_nodes_and_each_edge_once(build):
    """Collaborations are told both ways, and nodes stand alone that are in loops only."""
    graph = nx.gnm_random_graph(500, 1500, seed=3)
    names = np.random.default_rng(1).permutation(9000)[:500]
    lines = ["# Directed graph (each unordered pair of nodes is saved once)", "# FromNodeId\tToNodeId"]
    lines += [f"{names[one]}\t{names[other]}" for pair in graph.edges for one, other in (pair, pair[::-1])]
    lines += [f"{name}\t{name}" for name in names[[*nx.isolates(graph), 4, 5]]]
    topology = build("\n".join(lines), simplify=True)
    assert (topology.nodes, topology.edges) == (500, 1500)
    order = np.argsort(np.argsort(names))
    assert edges_of(topology) == sorted(tuple(sorted((order[one], order[other]))) for one, other in graph.edges)


def test_directed_lists_are_those_a_node_leads_to(build):
    topology = build("0 1\n1 2\n0 2\n", directed=True)
    assert [topology.access.of(node).tolist() for node in range(3)] == [[0, 1, 2], [1, 2], [2]]


def test_a_column_can_be_the_latency(build):
    topology = build("source target cost delay\n0 1 9 0.5\n1 2 9 2\n", latency={"key": "Delay"})
    assert topology.access.lengths.tolist() == [0.0, 0.5, 0.0, 0.5, 2.0, 0.0, 2.0]
    with pytest.raises(InputError, match=r"1 links have no delay >= 0 \(ms\), the first from 1 to 2: got '-2'"):
        build("source target delay\n0 1 0.5\n1 2 -2\n", latency={"key": "delay"})
    assert build("0 1 0.5\n", latency={"key": "column 3"}).lengths.tolist() == [0.5, 0.5]


GML = """
# a comment
Creator "me [not a list]"
graph [ directed 0 label "x"
  node [ id 2 label "c" Latitude 0.0 Longitude 90 graphics [ x 1 y 2 ] ]
  node [ id 0 label "a" Latitude 0 Longitude 0 ]
  node [ id 1 label "a" Latitude 90 Longitude 17 ]
  edge [ source 0 target 1 LinkLabel "10 Gbps" ]
  edge [ source 1 target 2 ]
]
"""


def test_gml_numbers_nodes_by_their_ids(build):
    quarter = EARTH * math.pi / 2
    topology = build(GML, "a.gml", latency={"distance": 200})
    assert edges_of(topology) == [(0, 1), (1, 2)]
    assert topology.lengths.tolist() == [float(f"{quarter / 200:.12g}")] * 4


def test_all_formats_of_one_graph_are_one_topology(build, tmp_path):
    graph = nx.convert_node_labels_to_integers(nx.karate_club_graph())
    for _, _, values in graph.edges(data=True):
        values.clear()
    nx.write_gml(graph, tmp_path / "k.gml")
    nx.write_graphml(graph, tmp_path / "k.graphml")
    links = json.dumps(nx.node_link_data(graph, edges="links"))
    hashes = {
        build((tmp_path / "k.gml").read_text(), "g.gml").graph_hash,
        build((tmp_path / "k.graphml").read_text(), "g.graphml").graph_hash,
        build(links, "g.json").graph_hash,
        build("\n".join(f"{one} {other}" for one, other in graph.edges), "g.edges").graph_hash,
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["g.json", "g.graphml", "g.gml"])
def test_bipartite_files_are_two_sets(build, tmp_path, name):
    graph = nx.Graph()
    graph.add_nodes_from([0, 1], bipartite=0)
    graph.add_nodes_from([2, 3, 4], bipartite=1)
    graph.add_edges_from([(0, 2), (4, 0), (1, 4)])
    write = {"g.gml": nx.write_gml, "g.graphml": nx.write_graphml}.get(name)
    if write is None:
        text = json.dumps(nx.node_link_data(graph, edges="edges"))
    else:
        write(graph, tmp_path / name)
        text = (tmp_path / name).read_text()
    lists = build(text, name)
    assert [lists.access.of(index).tolist() for index in (0, 1)] == [[0, 2], [2]]
    assert (lists.access.has_own, build(text, name, home="first").access.has_own) == (False, True)
    with pytest.raises(InputError, match="home nearest needs latencies"):
        build(text, name, home="nearest")


def test_coordinates_that_are_missing_are_told_or_replaced(build):
    text = GML.replace("Latitude 90 Longitude 17", "").replace(
        "edge [ source 1 target 2 ]", "edge [ source 0 target 2 ]"
    )
    message = "1 of 3 nodes have no coordinates, such as 1; latency.missing: mean, or a time"
    with pytest.raises(InputError, match=message):
        build(text, "a.gml", latency={"distance": 200})
    assert build(text, "a.gml").lengths is None
    mean = build(text, "a.gml", latency={"distance": 200, "missing": "mean"}).lengths
    assert len({*mean.tolist()}) == 1
    assert {*build(text, "a.gml", latency={"distance": 200, "missing": 7}).lengths.tolist()} == {7.0, mean[0]}
    nowhere = text.replace("Latitude", "Height")
    with pytest.raises(InputError, match="no link has coordinates at both ends"):
        build(nowhere, "a.gml", latency={"distance": 200, "missing": "mean"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "0 1\n2\n", r"a.txt:2: must be two nodes, then whatever, got '2'$"),
        ("a.txt", "# nothing\n", "must have at least 1 node, got 0"),
        ("a.txt", b"\x1f\x8b\x08\x00\xff", "a.txt: is no text in UTF-8 or Latin-1; is it packed"),
        ("a.gml", "graph [ node [ id 0 ]", "a.gml: is no GML: a bracket is not closed"),
        ("a.gml", "graph [ [ ] ]", "a.gml: is no GML: a key must stand before each value"),
        ("a.gml", "node 1", "a.gml: must hold one graph, got 0"),
        ("a.gml", "graph [ node [ id 0 ] node [ id 0 ] ]", "a.gml: two nodes have the id 0"),
        ("a.gml", "graph [ node [ id 0 ] edge [ source 0 target 4 ] ]", "a.gml: a link leads to 4, which is no node"),
        (
            "a.gml",
            "graph [ node [ label 0 ] ]",
            "a.gml: each node must have an id, and each edge a source and a target",
        ),
        ("a.gml", "graph [" * 80, "a.gml: is no GML"),
        ("a.json", "[1]", "a.json: must be a mapping with nodes and links"),
        ("a.json", "{", r"a.json: cannot be read as a graph: JSONDecodeError: Expecting .*\(char 1\)$"),
        ("a.json", '{"nodes": [{"id": [1]}], "links": []}', "each node must have an id, a number or text"),
        ("a.json", '{"nodes": [{"id": 1}], "links": [{"source": 1}]}', "each link must have a source and a target"),
        ("a.json", '{"nodes": [{"id": 1}], "links": [{"source": [], "target": 1}]}', "cannot be read as a graph"),
        ("a.graphml", "<graphml", "a.graphml: cannot be read as a graph: ParseError"),
    ],
)
def test_bad_files_are_refused_in_one_line(build, name, text, message):
    with pytest.raises(InputError, match=message) as told:
        build(text, name)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_refused():
    with pytest.raises(InputError, match=r"none\.gml: cannot be read: No such file"):
        File(path="none.gml").node_count()


def test_great_circles_are_those_of_known_places():
    places = np.array([[52.5, 13.4], [48.85, 2.35], [52.5, 13.4], [-52.5, -166.6]])  # Berlin, Paris, Berlin's antipode
    edges = np.array([[0, 1], [0, 2], [0, 3]])
    lengths = great_circles(places, edges)
    assert lengths[0] == pytest.approx(878, abs=3)
    assert lengths[1:].tolist() == pytest.approx([0.0, math.pi * EARTH])


@pytest.mark.parametrize(
    ("name", "nodes", "links"), [("Abilene", 11, 14), ("Geant2012", 40, 61), ("Nordu2010", 18, 17)]
)
def test_the_maps_that_come_along(name, nodes, links):
    topology = File(path=str(MAPS / f"{name}.gml"), latency={"distance": 200, "missing": "mean"}).build(1)
    assert (topology.nodes, topology.edges, topology.remark) == (nodes, links, "")
    assert nx.is_connected(topology.to_networkx()) == (name == "Abilene" or name == "Geant2012")
    assert 0.0 < topology.lengths.min() < topology.lengths.max() < 30.0
