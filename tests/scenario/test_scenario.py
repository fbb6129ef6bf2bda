"""One scenario: its keys, what they must be, the system it describes, and the JSON Schema made from it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from own_process import python
from pydantic import ValidationError

from emulator.keys import ScenarioError
from emulator.scenario.dispatchers import filled
from emulator.scenario.plan import load
from emulator.scenario.problems import NEVER_SWEPT
from emulator.scenario.scenario import SECTIONS, Scenario, Service
from emulator.scenario.schema import json_schema
from emulator.scenario.sweep import LIST_DEPTHS
from emulator.scenario.yaml_tree import read_file

ROOT = Path(__file__).resolve().parents[2]

TOPOLOGIES = [
    {"kind": "cycle", "nodes": 7},
    {"kind": "cube_connected_cycle", "order": 3},
    {"kind": "torus", "side": 4},
    {"kind": "configuration_model", "nodes": 20, "degrees": [2, 3], "seed": 5},
    {"kind": "bethe", "depth": 3, "degree": 3},
    {"kind": "bethe", "depth": 4, "degree": 2},
    {"kind": "edge_list", "edges": [[0, 1], [1, 2], [2, 0]]},
    {"kind": "edge_list", "edges": [[0, 1], [1, 2]], "nodes": 5},
]


def scenario(**keys):
    return Scenario(**{"name": "s", "topology": TOPOLOGIES[0], "delta_t": 5, "dispatchers": ["JSQ"], **keys})


def test_defaults_are_those_of_the_paper():
    resolved = scenario()
    assert (resolved.horizon, resolved.buffer, resolved.replications) == (50.0, 5, 100)
    arrivals = resolved.arrivals
    assert (arrivals.high, arrivals.low, arrivals.high_to_low, arrivals.low_to_high) == (0.9, 0.6, 0.2, 0.5)
    assert (resolved.service.rate, resolved.service.work) == (1.0, "exponential")
    assert (resolved.trace.jobs, resolved.trace.epochs, resolved.trace.messages) == (0, 0, 0)


def test_a_picture_is_chosen_by_the_sweep_unless_asked_for():
    assert scenario().plot.model_dump(exclude_none=True) == {"interval": "band"}


def test_braces_of_dispatchers_do_not_see_the_picture():
    with pytest.raises(
        ValidationError, match=r"may hold in braces name, delta_t, .*trace\.messages, trace\.nodes, got"
    ):
        scenario(plot={"title": "t"}, dispatchers=[{"name": "MF-R", "policy": "{plot.title}"}])


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=str)
def test_node_count_is_that_of_the_graph(topology):
    resolved = scenario(topology=topology)
    system = resolved.system()
    assert resolved.topology.node_count() == system.nodes
    assert system.topology.kind == topology["kind"]


def test_node_count_reads_a_file_of_edges_again_when_it_changed(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("0,1\n1,2\n")
    spec = scenario(topology={"kind": "edge_list", "path": str(path)}).topology
    assert spec.node_count() == spec.build(1).nodes == 3
    path.write_text("0,1\n1,2\n2,3\n3,4\n")
    os.utime(path, (0, 0))
    assert spec.node_count() == spec.build(1).nodes == 5


def test_bethe_nodes_are_counted_without_adding_up_what_no_memory_holds():
    with pytest.raises(ValidationError, match="at most 10000000 nodes"):
        scenario(topology={"kind": "bethe", "depth": 9_999_999, "degree": 3})
    counted = scenario(topology={"kind": "bethe", "depth": 5, "degree": 4}).topology.node_count()
    assert counted == 1 + sum(4 * 3 ** (k - 1) for k in range(1, 6))


def test_a_random_graph_takes_its_own_seed_or_the_scenarios():
    graph = {"kind": "configuration_model", "nodes": 200, "degrees": [2, 3]}

    def hashed(topology, seed):
        return scenario(topology=topology, seed=seed).system().topology.graph_hash

    assert hashed(graph, 1) != hashed(graph, 2)
    assert hashed({**graph, "seed": 2}, 1) == hashed(graph, 2)


def test_the_system_is_what_the_keys_say():
    system = scenario(
        delta_t=3,
        horizon=20,
        buffer=4,
        seed=9,
        arrivals={"high": 2, "low": 0.5, "high_to_low": 0.1, "low_to_high": 1},
        service={"rate": 3, "work": "hyperexponential", "scv": 4},
    ).system()
    assert (system.delta_t, system.horizon, system.buffer, system.seed) == (3.0, 20.0, 4, 9)
    arrivals = system.arrivals
    assert (arrivals.high, arrivals.low, arrivals.high_to_low, arrivals.low_to_high) == (2.0, 0.5, 0.1, 1.0)
    assert (system.work.law, system.work.variance()) == ("hyperexponential", 4.0)
    np.testing.assert_array_equal(system.service_rates, np.full(7, 3.0))
    assert scenario().system().work.variance() == 1.0


def test_given_rates_are_the_servers_in_order():
    rates = [1, 2, 3, 4, 5, 6, 7]
    system = scenario(service={"rates": rates, "assignment": "given"}).system()
    np.testing.assert_array_equal(system.service_rates, np.array(rates, dtype=float))
    with pytest.raises(ValidationError, match="one rate for each of 7 nodes, got 2"):
        scenario(service={"rates": [1, 2], "assignment": "given"})


def test_random_rates_are_drawn_independently_and_uniformly_from_the_list():
    service = Service(rates=[2.0, 1.0, 0.5], assignment="random")
    rates = service.rates_of(30_000, seed=3)
    counts = [int((rates == rate).sum()) for rate in service.rates]
    assert sum(counts) == 30_000
    # Pearson's statistic has two degrees of freedom: above 18.4 with probability 1e-4 (the seed is fixed).
    assert sum((count - 10_000) ** 2 / 10_000 for count in counts) < 18.4
    np.testing.assert_array_equal(service.rates_of(100, seed=3), rates[:100])
    assert (service.rates_of(100, seed=4) != rates[:100]).any()


def test_what_depends_on_a_file_of_edges_is_checked_when_it_is_read(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("0,1\n1,2\n")
    by_file = {"kind": "edge_list", "path": str(path)}
    with pytest.raises(ScenarioError, match="one rate for each of 3 nodes, got 2"):
        scenario(topology=by_file, service={"rates": [1, 2], "assignment": "given"}).system()
    with pytest.raises(ScenarioError, match=r"topology .*none\.csv"):
        scenario(topology={"kind": "edge_list", "path": str(tmp_path / "none.csv")}).system()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("torus_{delta_t}.onnx", "torus_5.onnx"),
        ("{half}-{seed}-{topology.kind}", "0.5-4294967295-torus"),
        ("{{delta_t}}", "{delta_t}"),
        (["{delta_t}", {"a": "{half}"}, 3], ["5", {"a": "0.5"}, 3]),
        (None, None),
    ],
)
def test_braces_are_filled(value, expected):
    values = {"delta_t": 5.0, "half": 0.5, "seed": 2**32 - 1, "topology.kind": "torus"}
    assert filled(value, values, "policy") == expected


@pytest.mark.parametrize(
    "value", ["{foo}", "{}", "{delta_t", "}", "{delta_t:999999999}", "{delta_t!r}", "{delta_t.real}"]
)
def test_braces_hold_nothing_but_known_keys(value):
    with pytest.raises(ScenarioError, match=r"^policy "):
        filled(value, {"delta_t": 5.0}, "policy")


def test_dispatchers_know_their_options_names_and_folder():
    specs = scenario(
        folder="/here",
        dispatchers=[
            "JSQ",
            {
                "name": "MF-R",
                "policy": "torus_{delta_t}_{topology.nodes}_{horizon}.onnx",
                "class_": "an option",
            },
            {"class": "my.rules:Threshold", "threshold": 2},
            {"name": "JSQ", "label": "JSQ, ties by job", "ties": "job"},
        ],
    ).dispatchers
    assert [spec.display for spec in specs] == ["JSQ", "MF-R", "Threshold", "JSQ, ties by job"]
    assert [spec.options for spec in specs] == [
        {},
        {"policy": "torus_5_7_50.onnx", "class_": "an option"},
        {"threshold": 2},
        {"ties": "job"},
    ]
    assert [spec.class_ for spec in specs] == [None, None, "my.rules:Threshold", None]
    assert {spec.folder for spec in specs} == {Path("/here")}


def test_every_key_is_described():
    for section, model in SECTIONS.items():
        for key, entry in model.model_fields.items():
            assert entry.description or key == "kind", (section, key)


def test_keys_that_sweep_are_all_but_those_that_never_do():
    roots = {key.partition(".")[0] for key in LIST_DEPTHS}
    assert roots | NEVER_SWEPT == {*Scenario.model_fields, "extends", "zip"}
    assert not roots & NEVER_SWEPT
    assert {key: depth for key, depth in LIST_DEPTHS.items() if depth} == {
        "arrivals.batch.probabilities": 1,
        "arrivals.batch.sizes": 1,
        "arrivals.d0": 2,
        "arrivals.d1": 2,
        "arrivals.generator": 2,
        "arrivals.points": 2,
        "arrivals.rates": 1,
        "arrivals.transition": 2,
        "arrivals.weights.each": 1,
        "decide.phase": 1,
        "messages.period.each": 1,
        "messages.phase": 1,
        "topology.degrees": 1,
        "topology.edges": 2,
        "topology.choices": 1,
        "topology.sides": 1,
        "topology.latencies": 1,
        "classes": 1,
        "retries.on": 1,
        "server.order.priority": 1,
        "service.rates": 1,
        "service.speeds": 1,
        "training.hidden": 1,
    }


def test_the_schema_file_is_current():
    written = json.loads((ROOT / "scenarios" / "scenario.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(), "run: python -m emulator schema > scenarios/scenario.schema.json"


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_scenarios_load(path):
    assert load(path).points


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_scenarios_fit_the_schema(path, validator):
    validator.validate(read_file(path).plain)


WHOLE = {"topology": {"kind": "torus", "side": 5}, "delta_t": 5, "dispatchers": ["JSQ"]}


@pytest.mark.parametrize(
    "keys",
    [
        {"delta_t": [1, 2.5]},
        {"topology": [{"kind": "torus", "side": [5, 7]}, {"kind": "cycle", "nodes": 9}]},
        {"topology": {"kind": "configuration_model", "nodes": 9, "degrees": [[2, 3], [3]]}},
        {"topology": {"kind": "edge_list", "edges": [[[0, 1]], [[0, 1], [1, 2]]]}},
        {"service": {"rates": [[1, 2], [3]], "assignment": "random"}},
        {"service": [{"rate": 1}, {"work": "deterministic"}]},
        {"seed": [1, 2], "buffer": {"from": 1, "to": 9, "step": 2}, "zip": ["delta_t", "buffer"]},
        {"delta_t": [0.5, {"from": 1, "to": 9, "linspace": 3}], "topology": {"kind": "torus", "side": [5, 5, 7, 9]}},
        {"messages": {"latency": {"from": 0.1, "to": 10, "logspace": 3}}, "zip": [["a.b", "c"], ["d", "e"]]},
        {"dispatchers": [{"name": "JSQ-M", "weight": {"from": 1, "to": 2, "step": 1}, "bonus": [0, 1]}]},
        {
            "dispatchers": [
                {"name": "MF-R", "policy": "x", "label": "y"},
                {"class": "a:B", "deep": [{"c": None}]},
            ]
        },
        {"extends": "other.yaml", "topology": {"side": 7}},
        {"messages": {"latency": 1, "loss": [0, 0.1], "when": "change", "period": {"each": [1, 2]}}},
        {"messages": {"latency": {"law": "exponential", "mean": [1, 2]}, "phase": ["even", [0, 1]]}},
        {"messages": {"kind": "poll", "times": {"law": "hyperexponential", "scv": 4}}, "decide": "on_delivery"},
        {"decide": {"every": 5, "phase": "random"}, "dispatch": {"latency": {"edges": "latency", "factor": 2}}},
        {"arrivals": {"high": [0.9, 1.2], "weights": {"kind": "zipf"}}},
        {"arrivals": {"kind": "poisson", "rate": [0.5, 0.9], "weights": [[1, 2], [2, 1]], "batch": [1, 2]}},
        {"arrivals": [{"kind": "renewal", "rate": 1, "gap": "exponential"}, {"low": 0.1}]},
        {"arrivals": {"kind": "renewal", "rate": 1, "gap": {"law": "gamma", "scv": [2, 4]}}},
        {"arrivals": {"kind": "profile", "points": [[0, 1], [5, 2]], "shape": ["linear", "steps"], "period": 9}},
        {"arrivals": {"kind": "mmpp", "rates": [1, 2], "generator": [[-1, 1], [1, -1]], "start": 1, "chain": "own"}},
        {"arrivals": {"kind": "map", "d0": [[-1, 0], [1, -2]], "d1": [[0, 1], [1, 0]], "batch": {"sizes": [1, 4]}}},
        {"arrivals": {"kind": "trace", "path": "a.csv", "time": "t", "work": {"a": 1}, "weights": {"path": "b.csv"}}},
        {"arrivals": {"kind": "trace", "path": "a.csv", "time": "t", "work": ["a", {"b": 2}], "unit": "s"}},
        {"extends": "other.yaml", "arrivals": {"rate": 0.5}},
        {"plot": {"kind": "lines", "x": "nodes", "log_x": True, "reference": {"policy": "p", "key": "k"}}},
    ],
    ids=str,
)
def test_the_schema_takes_what_is_right(keys, validator):
    validator.validate({**WHOLE, **keys})


@pytest.mark.parametrize(
    "keys",
    [
        {"delta_t": 0},
        {"delta_t": [1, -1]},
        {"delta_t": []},
        {"delta_t": "5"},
        {"delta": 5},
        {"topology": {"side": 7}},
        {"topology": {"kind": "torus", "nodes": 7}},
        {"topology": {"kind": "doughnut", "side": 7}},
        {"engine": "fast"},
        {"engine": ["auto", "simpy"]},
        {"delta_t": {"from": 1, "to": 3, "step": 0}},
        {"delta_t": {"from": 1, "to": 3, "stepp": 1}},
        {"delta_t": [{"from": 1, "to": 3, "linspace": 1}]},
        {"service": {"rates": {"from": 1, "to": 3, "step": 1}, "assignment": "given"}},
        {"topology": {"kind": "edge_list", "path": {"from": 1, "to": 3, "step": 1}}},
        {"zip": "delta_t"},
        {"zip": [["delta_t"]]},
        {"dispatchers": []},
        {"dispatchers": [{"weight": 1}]},
        {"trace": {"jobs": True}},
        {"messages": {"latency": -1}},
        {"messages": {"kind": "shout"}},
        {"messages": {"loss": 1.5}},
        {"decide": "sometimes"},
        {"arrivals": {"rate": 0.5}},
        {"arrivals": {"kind": "poisson"}},
        {"arrivals": {"kind": "poisson", "rate": -1}},
        {"arrivals": {"kind": "poisson", "rate": 1, "high": 1}},
        {"arrivals": {"kind": "poisson", "rate": 1, "weights": [-1]}},
        {"arrivals": {"kind": "poisson", "rate": 1, "weights": {"kind": "cold"}}},
        {"arrivals": {"kind": "poisson", "rate": 1, "batch": 0}},
        {"arrivals": {"kind": "rain", "rate": 1}},
        {"arrivals": {"kind": "renewal", "rate": 1, "gap": {"law": "gamma"}}},
        {"arrivals": {"kind": "mmpp", "rates": [1], "generator": [[0]], "start": "first"}},
        {"arrivals": {"kind": "trace", "path": "a.csv", "time": "t", "unit": "year"}},
        {"plot": {"kind": "pie"}},
        {"plot": {"reference": {"policy": "p"}}},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_wrong(keys, validator):
    assert not validator.is_valid({**WHOLE, **keys})


def test_a_child_may_leave_out_what_a_whole_scenario_needs(validator):
    assert validator.is_valid({"extends": "other.yaml"})
    assert not validator.is_valid({"topology": WHOLE["topology"]})


def test_reading_a_scenario_does_not_wait_for_slow_libraries():
    slow = "{'numpy', 'numba', 'pandas', 'networkx'}"
    code = f"import sys, emulator.scenario.plan; print(*{slow} & set(sys.modules))"
    done = python("-c", code)
    assert (done.stdout, done.stderr) == ("\n", "")
