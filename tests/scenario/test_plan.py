"""Scenario files: places in errors, sweeps, `extends`, `--set`, and the resolved scenario to run again."""

import os
import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchers.errors import LONGEST_LINE
from emulator.errors import InputError
from emulator.scenario.plan import load
from emulator.scenario.sweep import POINT_LIMIT
from emulator.text import to_document

WHOLE = {"topology": "{kind: torus, side: 5}", "delta_t": "5", "dispatchers": "[JSQ]"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file="s.yaml", /, **keys):
    """Write a scenario, a key to a line: topology, delta_t, dispatchers, then others; None leaves one out."""
    text = "".join(f"{key}: {value}\n" for key, value in {**WHOLE, **keys}.items() if value is not None)
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(text, encoding="utf-8")
    return file


def refused(path, overrides=()):
    """Return the message that a scenario is refused with."""
    with pytest.raises(InputError) as error:
        load(path, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def values(plan, key):
    return [point.values[key] for point in plan.points]


def test_the_first_error_in_the_file_is_told_and_the_others_counted(folder):
    assert refused(write(buffer="0", delta_t="[1, -2, 3, -4]", seed="-1")) == (
        "s.yaml:2:14: delta_t must be > 0, got -2 (and 3 more)"
    )


def test_one_wrong_key_in_a_large_sweep_is_one_error(folder):
    many = str(list(range(1, 101)))
    assert refused(write(delta_t=many, buffer=many, seed="-1")) == "s.yaml:5:7: seed must be >= 0, got -1"


def test_the_file_is_called_what_the_user_called_it(folder):
    write("sub/s.yaml", delta_t="0")
    assert refused("sub/s.yaml").startswith("sub/s.yaml:2:10: ")
    assert refused(folder / "sub" / "s.yaml").startswith(f"{folder}/sub/s.yaml:2:10: ")


def test_an_error_of_the_graph_has_the_place_of_its_topology(folder):
    plan = load(write(topology="{kind: edge_list, edges: [[0, 1], [1, 1]]}"))
    with pytest.raises(InputError, match=r"^s\.yaml:1:11: topology "):
        plan.points[0].system()
    plan = load(write(topology="{kind: edge_list, path: none.csv}"))
    for ask in (plan.points[0].system, plan.points[0].node_count):
        with pytest.raises(InputError, match=r"^s\.yaml:1:11: topology .*none\.csv"):
            ask()


def test_what_only_a_file_of_edges_shows_has_its_place(folder):
    Path("edges.csv").write_text("0,1\n1,2\n", encoding="utf-8")
    edges = "{kind: edge_list, path: edges.csv}"
    plan = load(write(topology=edges, service="{rates: [[1, 2], [1, 2, 3]], assignment: given}"))
    with pytest.raises(
        InputError, match=r"^s\.yaml:4:19: service\.rates must hold one rate for each of 3 nodes, got 2"
    ):
        plan.points[0].system()
    assert plan.points[1].system().nodes == plan.points[1].node_count() == 3


def test_nothing_swept_is_one_point(folder):
    plan = load(write())
    assert plan.swept == []
    assert [point.values for point in plan.points] == [{}]
    assert plan.points[0].system().nodes == 25


def test_lists_sweep_as_a_product_whose_first_key_in_the_file_is_slowest(folder):
    plan = load(write(topology="{kind: torus, side: [5, 7]}", arrivals="{low: [0.1, 1]}", delta_t="[5, 2.5, 1]"))
    assert plan.swept == ["topology.side", "delta_t", "arrivals.low"]
    expected = [(side, delta_t, low) for side in (5, 7) for delta_t in (5.0, 2.5, 1.0) for low in (0.1, 1.0)]
    assert [tuple(point.values.values()) for point in plan.points] == expected
    scenarios = [point.scenario for point in plan.points]
    assert [(it.topology.side, it.delta_t, it.arrivals.low) for it in scenarios] == expected
    assert {type(value) for value in values(plan, "delta_t")} == {float}
    assert {type(value) for value in values(plan, "topology.side")} == {int}


@pytest.mark.parametrize(
    ("keys", "swept", "labels"),
    [
        (
            {"topology": "[{kind: torus, side: [5, 7]}, {kind: cycle, nodes: 9}]"},
            "topology",
            ["torus(side=5)", "torus(side=7)", "cycle(nodes=9)"],
        ),
        (
            {"topology": "{kind: configuration_model, nodes: 9, degrees: [[2, 3], [3, 3]]}"},
            "topology.degrees",
            ["[2,3]", "[3,3]"],
        ),
        (
            {"topology": "{kind: edge_list, edges: [[[0, 1]], [[0, 1], [1, 2]]]}"},
            "topology.edges",
            ["[[0,1]]", "[[0,1],[1,2]]"],
        ),
        ({"topology": "{kind: edge_list, path: [sub/a.csv, b.csv]}"}, "topology.path", ["a.csv", "b.csv"]),
        (
            {"topology": "{kind: edge_list, path: [sub/a.csv, a.csv]}"},
            "topology.path",
            ["a.csv #1", "a.csv #2"],
        ),
        (
            {"topology": "{kind: edge_list, path: [sub/a.csv, b.csv, a.csv]}"},
            "topology.path",
            ["a.csv #1", "b.csv", "a.csv #2"],
        ),
        (
            {"topology": "{kind: edge_list, path: [sub/a.csv, 'a.csv #1', a.csv]}"},
            "topology.path",
            ["a.csv #1 #1", "a.csv #1 #2", "a.csv #2 #3"],
        ),
        ({"service": "{rates: [[1, 2.0], [3]], assignment: random}"}, "service.rates", ["[1,2]", "[3]"]),
        ({"service": "[{rate: 1}, {work: deterministic}]"}, "service", ["(rate=1)", "(work=deterministic)"]),
        (
            {"service": "{work: [exponential, deterministic]}"},
            "service.work",
            ["exponential", "deterministic"],
        ),
        ({"delta_t": "[5]"}, "delta_t", [5.0]),
    ],
    ids=str,
)
def test_values_of_a_sweep_are_short_and_differ(folder, keys, swept, labels):
    plan = load(write(**keys))
    assert plan.swept == [swept]
    assert values(plan, swept) == labels


def test_lists_inside_a_swept_mapping_are_bounded_as_well(folder):
    one = "{high: [" + ", ".join(map(str, range(1, 101))) + "], low: [" + ", ".join(map(str, range(1, 101))) + "]}"
    message = refused(write(arrivals=f"[{', '.join([one] * 30)}]"))
    assert f"the lists of arrivals make {POINT_LIMIT + 1} points" in message


def test_dispatchers_are_filled_in_for_each_point(folder):
    plan = load(write(delta_t="[5, 0.5]", dispatchers="[{name: MF-R, policy: 'torus_{delta_t}.onnx'}]"))
    policies = [point.scenario.dispatchers[0].options["policy"] for point in plan.points]
    assert policies == ["torus_5.onnx", "torus_0.5.onnx"]


def test_a_child_has_what_it_says_and_else_what_it_extends(folder):
    write(
        "base.yaml",
        name="base",
        horizon="20",
        arrivals="{high: 2, low: 1}",
        trace="{jobs: 1}",
        dispatchers="[JSQ, RND]",
    )
    Path("child.yaml").write_text(
        "extends: base.yaml\narrivals: {low: 0.5}\ndispatchers: [OWN]\ntrace: {epochs: 2}\n", encoding="utf-8"
    )
    plan = load("child.yaml")
    child = plan.points[0].scenario
    assert plan.name == "child"
    assert (child.horizon, child.arrivals.high, child.arrivals.low) == (20.0, 2.0, 0.5)
    assert (child.trace.jobs, child.trace.epochs) == (1, 2)
    assert [spec.display for spec in child.dispatchers] == ["OWN"]


@pytest.mark.parametrize(
    ("base", "child", "attributes"),
    [
        (
            "topology: {kind: torus, side: 5}",
            "topology: {side: 7}",
            {"topology.kind": "torus", "topology.side": 7},
        ),
        ("topology: {kind: torus, side: 5}", "topology: {kind: cycle, nodes: 9}", {"topology.nodes": 9}),
        ("topology: [{kind: torus, side: 5}]", "topology: {kind: cycle, nodes: 9}", {"topology.nodes": 9}),
        ("service: {rates: [1, 2], assignment: random}", "service: {rate: 3}", {"service.rates": None}),
        ("service: {rate: 3}", "service: {rates: [1, 2], assignment: random}", {"service.rate": None}),
        (
            "service: {work: hyperexponential, scv: 4}",
            "service: {work: deterministic}",
            {"service.scv": None},
        ),
        ("service: {rate: 3, work: deterministic}", "service: {rate: 2}", {"service.work": "deterministic"}),
        ("delta_t: [1, 2]", "delta_t: 3", {"delta_t": 3.0}),
    ],
)
def test_keys_that_exclude_each_other_replace_each_other(folder, base, child, attributes):
    key, _, value = base.partition(": ")
    write("base.yaml", **{key: value})
    Path("child.yaml").write_text(f"extends: base.yaml\n{child}\n", encoding="utf-8")
    scenario = load("child.yaml").points[0].scenario
    for dotted, expected in attributes.items():
        value = scenario
        for part in dotted.split("."):
            value = getattr(value, part)
        assert value == expected


def test_an_error_has_the_place_of_the_file_in_which_the_value_stands(folder):
    write("deep/base.yaml", delta_t="-1")
    Path("child.yaml").write_text("extends: deep/base.yaml\nbuffer: 3\n", encoding="utf-8")
    assert refused("child.yaml") == "deep/base.yaml:2:10: delta_t must be > 0, got -1"
    Path("child.yaml").write_text("extends: deep/base.yaml\nbuffer: 0\n", encoding="utf-8")
    assert refused("child.yaml") == "child.yaml:2:9: buffer must be >= 1, got 0 (and 1 more)"


def test_files_do_not_extend_each_other_in_a_circle_or_without_end(folder):
    Path("a.yaml").write_text("extends: b.yaml\n", encoding="utf-8")
    Path("b.yaml").write_text("extends: ./a.yaml\n", encoding="utf-8")
    assert refused("a.yaml") == 'b.yaml:1:10: extends must not lead back to a file, got "./a.yaml"'
    write("c0.yaml")
    for number in range(1, 12):
        Path(f"c{number}.yaml").write_text(f"extends: c{number - 1}.yaml\n", encoding="utf-8")
    assert load("c10.yaml").name == "c10"
    assert refused("c11.yaml") == "c1.yaml:1:10: extends must not lead through more than 10 files"


NO_FILES = [
    ("/dev/zero", "there is no /dev/zero", "Not a regular file"),
    ("pipe", "there is no pipe", "Not a regular file"),
    (".", "there is no .", "Is a directory"),
    ("x" * 300, "there is no x", "File name too long"),
    ("big.yaml", "extends big.yaml: Larger than 1048576 bytes, the most that is read", "field larger than"),
    (
        "/proc/kmsg",
        "extends /proc/kmsg:1:1: a scenario must be a mapping of keys, got null",
        "without edges needs nodes",
    ),
    ("broken.yaml", "extends broken.yaml:2:4: is not YAML: ", "must be two whole numbers"),
    (
        "list.yaml",
        "extends list.yaml:1:1: a scenario must be a mapping of keys, got [1, 2]",
        "must be two whole numbers",
    ),
]


@pytest.mark.parametrize(("name", "extended", "of_edges"), NO_FILES, ids=[name[:20] for name, *_ in NO_FILES])
def test_a_file_that_cannot_be_read_is_told_where_it_is_named(folder, name, extended, of_edges):
    os.mkfifo("pipe")
    Path("big.yaml").write_bytes(b"#" * 2**21)
    Path("broken.yaml").write_text("a: 1\nb: }\n", encoding="utf-8")
    Path("list.yaml").write_text("[1, 2]", encoding="utf-8")
    message = refused(write(extends=name))
    assert message.startswith("s.yaml:4:10: extends ")
    assert extended in message
    assert len(message) <= LONGEST_LINE
    plan = load(write(topology=f"{{kind: edge_list, path: {name}}}"))
    with pytest.raises(InputError, match=rf"^s\.yaml:1:11: topology .*{of_edges}") as error:
        plan.points[0].system()
    assert len(str(error.value)) <= LONGEST_LINE


@pytest.mark.parametrize("edges", ["edges: []", "path: empty.csv", "path: header.csv"])
def test_without_edges_there_are_queues_on_their_own(folder, edges):
    Path("empty.csv").touch()
    Path("header.csv").write_text("source,target\n", encoding="utf-8")
    system = load(write(topology=f"{{kind: edge_list, nodes: 3, {edges}}}")).points[0].system()
    assert system.topology.degrees.tolist() == [0, 0, 0]


def test_relative_paths_belong_to_the_file_in_which_they_stand(folder):
    Path("deep").mkdir()
    Path("deep/edges.csv").write_text("0,1\n1,2\n", encoding="utf-8")
    write("deep/base.yaml", topology="{kind: edge_list, path: edges.csv}")
    Path("child.yaml").write_text("extends: deep/base.yaml\n", encoding="utf-8")
    plan = load("child.yaml")
    assert plan.points[0].system().nodes == 3
    assert plan.folder == plan.points[0].scenario.dispatchers[0].folder == folder / "deep"
    Path("child.yaml").write_text("extends: deep/base.yaml\ndispatchers: [OWN]\n", encoding="utf-8")
    assert load("child.yaml").folder == folder
    assert load("child.yaml", ["dispatchers.0.label=x"]).folder == folder
    assert load("deep/base.yaml", ["dispatchers=[OWN]"]).folder == folder / "deep"


def test_the_command_line_wins_and_its_last_word_counts(folder):
    plan = load(write(seed="3"), ["seed=4", "seed=5", "delta_t=[1,2,5]", "trace.jobs=2", "name=other"])
    assert plan.name == "other"
    assert {point.scenario.seed for point in plan.points} == {5}
    assert {point.scenario.trace.jobs for point in plan.points} == {2}
    assert values(plan, "delta_t") == [1.0, 2.0, 5.0]


@pytest.mark.parametrize(
    "settings", [["topology.nodes=9", "topology.kind=cycle"], ["topology={kind: cycle, nodes: 9}"]]
)
def test_the_command_line_may_change_the_kind_of_topology(folder, settings):
    assert load(write(), settings).points[0].scenario.topology.node_count() == 9


def test_the_command_line_reaches_into_lists(folder):
    path = write(dispatchers="[JSQ, JSQ-M, {name: RND, label: x}]", delta_t="[1, 2]")
    plan = load(path, ["dispatchers.1.weight=sharing", "dispatchers.2.label=y", "delta_t.1=7"])
    specs = plan.points[0].scenario.dispatchers
    assert [spec.display for spec in specs] == ["JSQ", "JSQ-M", "y"]
    assert specs[1].options == {"weight": "sharing"}
    assert values(plan, "delta_t") == [1.0, 7.0]
    assert load(path, ["dispatchers=[OWN]", "dispatchers.0.label=z"]).points[0].scenario.dispatchers[0].display == "z"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["topology.side=0"], "--set topology.side=0: topology.side must be >= 3, got 0"),
        (["delta_t=-1", "seed=2"], "--set delta_t=-1: delta_t must be > 0, got -1"),
        (["topology.kind=cycle"], "--set topology.kind=cycle: topology.nodes is missing"),
        (["sied=5"], "--set sied=5: sied is unknown, did you mean seed?"),
        (["a.b.c=5"], "--set a.b.c=5: a is unknown"),
        (["delta_t.x=5"], "--set delta_t.x=5: delta_t must be a number, got {x: 5}"),
        (["delta_t="], "--set delta_t=: delta_t must be a number, got null"),
        (["delta_t"], "--set delta_t: must be key=value"),
        (["=5"], "--set =5: must be key=value"),
        (["topology..side=5"], "--set topology..side=5: must be key=value"),
        (["delta_t=[1,2"], "--set delta_t=[1,2: is not YAML"),
        (["delta_t=&a 5"], "--set delta_t=&a 5: anchors"),
        (["name=a\n\nb/c"], "--set name=a b/c: name must do as the name of a folder"),
        (["extends=x.yaml"], "--set extends=x.yaml: extends must stand in a file"),
        (["dispatchers.1.weight=5"], "--set dispatchers.1.weight=5: an index must be from 0 to 0 here"),
        (
            ["dispatchers.x.weight=5"],
            "--set dispatchers.x.weight=5: an index must be from 0 to 0 here, got x",
        ),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_as_it_was_typed(folder, settings, message):
    assert refused(write(), settings).startswith(message)


def test_what_the_file_lacks_is_not_blamed_on_the_command_line(folder):
    assert refused(write(delta_t=None), ["topology.side=7"]).startswith("s.yaml:1:1: delta_t is missing")


def test_the_name_is_the_files_unless_given(folder):
    assert load(write("fig 5.yaml")).name == "fig 5"
    assert load(write(".a:b*.yaml")).name == "a_b_"
    assert load(write(name="given")).name == "given"


numbers = st.floats(0.5, 100) | st.integers(1, 50)


def one_or_several(value):
    return value | st.lists(
        value, min_size=1, max_size=3, unique_by=lambda it: it if isinstance(it, str) else float(it)
    )


topologies = st.fixed_dictionaries({"kind": st.just("torus"), "side": st.integers(3, 20)}) | st.fixed_dictionaries(
    {
        "kind": st.just("edge_list"),
        "path": st.sampled_from(["a.csv", "sub dir/é.csv", "../b.csv", "/x/y.csv"]),
    }
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), min_size=1, max_size=6)
options = st.dictionaries(
    texts.filter(lambda key: key not in ("<<", "name", "class", "label")), texts | numbers | st.none()
)
dispatchers = st.lists(
    st.sampled_from(["JSQ", "RND", "RR"])
    | st.builds(lambda more: {"name": "MF-R", "policy": "p_{delta_t}.onnx", **more}, options)
    | st.builds(lambda more: {"class": "my.rules:Rule", **more}, options),
    min_size=1,
    max_size=3,
    unique_by=lambda it: it if isinstance(it, str) else it.get("name", "Rule"),
)
documents = st.fixed_dictionaries(
    {
        "topology": topologies
        | st.lists(topologies, min_size=1, max_size=2, unique_by=lambda it: str(sorted(it.items(), key=str))),
        "delta_t": one_or_several(numbers),
        "dispatchers": dispatchers,
    },
    optional={
        "name": st.sampled_from(["n", "a b", "5", "null", "1e5", "é.x"]),
        "horizon": one_or_several(numbers),
        "buffer": one_or_several(st.integers(1, 9)),
        "arrivals": st.fixed_dictionaries({}, optional={"high": one_or_several(numbers), "low": numbers}),
        "service": st.sampled_from(
            [
                {},
                {"rate": [1, 2]},
                {"rates": [1, 2.5], "assignment": "random"},
                {"rates": [[1], [2.5, 3]], "assignment": "random", "work": "deterministic"},
                [{"rate": 2}, {"work": "hyperexponential", "scv": 4}],
            ]
        ),
        "server": st.sampled_from([{"servers": 1}, {"discipline": ["fifo", "ps"]}, [{"order": "arrival"}, {}]]),
        "patience": st.sampled_from([8, {"law": "exponential", "mean": [2, 4.5]}, {"mean": 3, "of": "sojourn"}]),
        "failures": st.sampled_from(
            [{"up": 50, "down": {"law": "exponential", "mean": 5}, "jobs": ["lose", "resume"]}]
        ),
        "retries": st.sampled_from([{}, {"on": ["drop"], "most": [1, 2]}, {"backoff": [1, 2.5]}]),
        "seed": st.integers(0, 2**32 - 1),
        "trace": st.fixed_dictionaries({}, optional={"jobs": st.integers(0, 3)}),
        "plot": st.fixed_dictionaries(
            {},
            optional={
                "x": st.sampled_from(["nodes", "delta_t"]),
                "interval": st.sampled_from(["band", "bars"]),
                "log_x": st.booleans(),
                "y_max": st.floats(1, 9),
                "title": st.just("of {nodes}"),
                "reference": st.just({"policy": "p_{delta_t}.onnx", "key": "drops"}),
            },
        ),
    },
)


@settings(deadline=None)
@given(documents, st.randoms(use_true_random=False))
def test_the_resolved_scenario_is_the_same_plan_wherever_it_lies(document, random):
    keys = list(document)
    random.shuffle(keys)
    with tempfile.TemporaryDirectory() as folder:
        source, resolved = Path(folder, "s.yaml"), Path(folder, "runs", "elsewhere.yaml")
        source.write_text(to_document({key: document[key] for key in keys}), encoding="utf-8")
        plan = load(source)
        resolved.parent.mkdir()
        resolved.write_text(plan.resolved_yaml(resolved.parent), encoding="utf-8")
        again = load(resolved)
        assert again == plan
        assert again.name == plan.name
        assert again.resolved_yaml(source.parent) == plan.resolved_yaml()
        assert pickle.loads(pickle.dumps(plan)) == plan


def test_the_resolved_scenario_says_everything(folder):
    write("base.yaml", topology="{kind: edge_list, path: edges.csv}", delta_t="[1, 2]")
    Path("child.yaml").write_text("extends: base.yaml\nbuffer: 3\n", encoding="utf-8")
    assert load("child.yaml", ["seed=7"]).resolved_yaml() == (
        "name: child\n"
        "topology: {kind: edge_list, path: edges.csv}\n"
        "delta_t: [1, 2]\n"
        "dispatchers: [JSQ]\n"
        "buffer: 3\n"
        "seed: 7\n"
        "horizon: 50.0\n"
        "arrivals: {high: 0.9, low: 0.6, high_to_low: 0.2, low_to_high: 0.5}\n"
        "service: {rate: 1.0, work: exponential}\n"
        "server: {servers: 1, discipline: fifo, order: arrival}\n"
        "messages: {kind: broadcast, phase: synchronous, times: periodic, loss: 0.0, own: exact, keep: newest, "
        "when: always}\n"
        "decide: on_delivery\n"
        "dispatch: {own: exact}\n"
        "replications: 100\n"
        "warmup: 0.0\n"
        "measures: usual\n"
        "engine: auto\n"
        "trace: {jobs: 0, epochs: 0, messages: 0, nodes: 0}\n"
        "plot: {interval: band}\n"
    )


def test_plans_differ_when_anything_but_their_place_does(folder):
    plan = load(write())
    assert load(write("s.yaml", seed="1")) == plan
    for keys in (
        {"seed": "2"},
        {"delta_t": "[5]"},
        {"name": "other"},
        {"dispatchers": "[{name: JSQ, ties: job}]"},
    ):
        assert load(write(**keys)) != plan
    assert load(write("sub/s.yaml")) != plan
