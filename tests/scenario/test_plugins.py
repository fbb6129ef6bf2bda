"""Laws and topologies of users in a scenario: those of `docs/extending.md`, one file each."""

import math
import pickle
from importlib.metadata import EntryPoint

import pytest
from test_documentation import FENCE, FILE, ROOT

from dispatchers import plugins
from emulator import run
from emulator.errors import InputError
from emulator.runs.check import check_plan
from emulator.scenario.plan import load
from emulator.scenario.plugins import PluggedLaw, PluggedTopology

SCENARIO = """\
topology: {class: "my_graphs:FoldedCube", dimension: 3}
service: {work: {class: "my_laws:Loguniform", ratio: 20}}
delta_t: 5
dispatchers: [RND]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the files of the page."""
    for _, text in FENCE.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")):
        if file := FILE.match(text):
            (tmp_path / file[1]).write_text(text[file.end() :], encoding="utf-8")
    (tmp_path / "s.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_scenario_with_both_is_what_its_classes_say(folder):
    system = load("s.yaml").points[0].system()
    assert (system.topology.kind, system.nodes, system.topology.edges) == ("folded_cube", 8, 16)
    assert (system.work.law, system.work.variance()) == ("loguniform", pytest.approx(10.5 * math.log(20) / 19 - 1))


def test_it_goes_through_yaml_and_pickle(folder):
    plan = load("s.yaml")
    assert pickle.loads(pickle.dumps(plan)) == plan
    (folder / "again.yaml").write_text(plan.resolved_yaml())
    assert load("again.yaml").points[0].scenario == plan.points[0].scenario.model_copy()


def test_defaults_of_a_class_are_written_into_the_resolved_scenario(folder):
    edited(
        folder / "my_graphs.py", "dimension: Annotated[int, Field(ge=2, le=20)]", "dimension: int = 3\n    x: int = 7"
    )
    assert load("s.yaml").resolved()["topology"] == {"class": "my_graphs:FoldedCube", "dimension": 3, "x": 7}


def test_keys_of_a_class_sweep(folder):
    settings = ["topology.dimension=[3,4]", "service.work.ratio=[2,3,4]"]
    plan = load("s.yaml", settings)
    assert plan.swept == ["topology.dimension", "service.work.ratio"]
    assert [tuple(point.values.values()) for point in plan.points][:4] == [(3, 2.0), (3, 3.0), (3, 4.0), (4, 2.0)]
    both = 'topology=[{kind: torus, side: 3}, {class: "my_graphs:FoldedCube", dimension: [2, 3]}]'
    labels = [point.values["topology"] for point in load("s.yaml", [both]).points]
    assert labels == ["torus(side=3)", "FoldedCube(dimension=2)", "FoldedCube(dimension=3)"]


@pytest.mark.parametrize(
    ("law", "variance"),
    [("exponential", 1.0), ("{law: exponential}", 1.0), ("{law: hyperexponential, scv: 4}", 4.0)],
)
def test_a_built_in_law_can_be_a_mapping(folder, law, variance):
    assert load("s.yaml", [f"service.work={law}"]).points[0].system().work.variance() == variance


def test_another_kind_replaces_a_class_and_the_other_way_round(folder):
    assert load("s.yaml", ["topology={kind: torus, side: 3}"]).points[0].node_count() == 9
    (folder / "torus.yaml").write_text("extends: s.yaml\ntopology: {kind: torus, side: 3}\n")
    mine = 'topology={class: "my_graphs:FoldedCube", dimension: 2}'
    assert load("torus.yaml", [mine]).points[0].node_count() == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("topology.dimension=0", r"topology\.dimension must be >= 2, got 0"),
        ("topology.dimension=x", r"topology\.dimension must be an integer, got x"),
        ("topology.dimensions=4", r"topology\.dimensions is unknown, did you mean dimension\? allowed are dimension"),
        ("topology.class=my_graphs", r"topology\.class must be module:Class, got my_graphs"),
        ("topology.class=my_graphs:Cube", r"topology\.class .* has no Cube, its topologies are FoldedCube"),
        ("topology.class=my_laws:Loguniform", "must be a subclass of .*TopologyKind, got Loguniform"),
        ("topology.class=nothing:Cube", "there is no module nothing"),
        ("topology={kind: torus, class: 'my_graphs:FoldedCube'}", r"topology needs either kind or class, got both"),
        ("service.work.ratio=-1", r"service\.work\.ratio must be > 1, got -1"),
        ("service.work={law: levi, ratio: 2}", r"service\.work\.law .* there is no law 'levi', known are expon"),
        ("service.work={law: 5}", r"service\.work\.law must be text, got 5"),
        ("service.work={law: hyperexponential}", r"service\.work\.scv is missing: squared coefficient"),
        ("service.scv=3", r"service\.scv must stand beside work: hyperexponential, got a mapping"),
        ("service.work=levy", r"service\.work must be exponential, deterministic, .* or mixture, got levy"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(folder, setting, message):
    with pytest.raises(InputError, match=message) as told:
        load("s.yaml", [setting])
    assert str(told.value).startswith((f"--set {setting}: ", "s.yaml:"))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("my_graphs.py", "(2**self.dimension)", "(1 / 0)", "topology cannot be used: ZeroDivisionError"),
        ("my_graphs.py", "import numpy as np", "1 / 0", r"topology\.class cannot be used: .*ZeroDivisionError"),
        ("my_graphs.py", "corners ^", "corners |", "topology node .* is its own neighbour"),
        (
            "my_laws.py",
            "return numbers.least",
            "return -numbers.least",
            r"service\.work must draw finite works >= 0, got -",
        ),
        ("my_laws.py", "uniform(bits)", "sorted(bits)", r"service\.work cannot be compiled by numba"),
        ("my_laws.py", "math.log(", "mth.log(", r"service\.work cannot be used: NameError"),
    ],
)
def test_a_class_that_fails_is_told_in_one_line(folder, file, old, new, message):
    edited(folder / file, old, new)
    with pytest.raises(InputError, match=message) as told:
        check_plan(load("s.yaml"))
    assert str(told.value).startswith("s.yaml:")


@pytest.mark.parametrize("key", ["messages.latency", "messages.jitter", "messages.period", "dispatch.latency"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return numbers.least", "return -numbers.least", "must draw finite works >= 0, got -"),
        ("return numbers.least", "return 0.0 * numbers.least", "must draw works of mean 1, got 0 each time"),
        ("uniform(bits)", "sorted(bits)", "cannot be compiled by numba"),
    ],
)
def test_laws_of_the_network_are_tried_out_at_every_point(folder, key, old, new, message):
    """Also if other points of a sweep have the same topology."""
    edited(folder / "my_laws.py", old, new)
    settings = [f"{key}=[1, {{class: 'my_laws:Loguniform', ratio: 2, mean: 1}}]", "service.work=exponential"]
    with pytest.raises(InputError, match=rf"^--set .*: {key} {message}"):
        check_plan(load("s.yaml", settings))


def test_their_files_count_in_the_identity_of_results(folder):
    checked = check_plan(load("s.yaml"))
    assert {"my_graphs.py of the topology", "my_laws.py of the law of work"} <= checked.files.keys()
    assert {str(folder / "my_graphs.py"), str(folder / "my_laws.py")} <= checked.hashes.keys()
    assert checked.uses_folder
    edited(folder / "my_laws.py", "2.0 * growth", "2 * growth")
    again = check_plan(load("s.yaml"))
    assert again.files["my_laws.py of the law of work"] != checked.files["my_laws.py of the law of work"]
    assert again.files["my_graphs.py of the topology"] == checked.files["my_graphs.py of the topology"]


def test_packages_offer_them_by_name(folder, monkeypatch):
    offered = {
        "emulator.laws": [EntryPoint("loguniform", "my_laws:Loguniform", "emulator.laws")],
        "emulator.topologies": [EntryPoint("folded_cube", "my_graphs:FoldedCube", "emulator.topologies")],
    }
    monkeypatch.setattr(plugins, "entry_points", lambda group: offered[group])
    monkeypatch.syspath_prepend(folder)
    settings = ["topology={kind: folded_cube, dimension: 4}", "service.work={law: loguniform, ratio: 2}"]
    plan = load("s.yaml", settings)
    scenario, system = plan.points[0].scenario, plan.points[0].system()
    assert isinstance(scenario.topology, PluggedTopology)
    assert isinstance(scenario.service.work, PluggedLaw)
    assert (system.nodes, system.work.variance()) == (16, pytest.approx(1.5 * math.log(2) - 1))
    assert plan.resolved()["topology"] == {"kind": "folded_cube", "dimension": 4}


@pytest.mark.slow
def test_a_run_with_both(folder):
    assert len(run("s.yaml", replications=2, out=folder / "runs")) == 1
