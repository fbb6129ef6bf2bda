"""The check before a run: it finds what is wrong, and takes seconds however many points there are."""

from pathlib import Path

import pandas as pd
import pytest

from emulator.command_line import main
from emulator.errors import InputError
from emulator.runs import check
from emulator.runs.check import check_plan
from emulator.scenario.plan import Point, load

SCENARIO = """
topology: {class: "mine:Ring", nodes: [5, 6, 7, 8, 9, 10]}
delta_t: 2
horizon: 4
dispatchers: [JSQ, {class: "mine:Keep", share: [0, 0.5, 1]}]
replications: 2
engine: simpy
"""

MINE = """
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dispatchers import Dispatcher
from emulator.model.topologies import TopologyKind
from emulator.model.topology import from_neighbours


class Ring(TopologyKind):
    # a cycle that cannot have nine nodes, as is seen when it is built
    kind: Literal["ring"] = "ring"
    nodes: Annotated[int, Field(ge=3)]

    def node_count(self):
        return self.nodes

    def build(self, seed=0):
        if self.nodes == 9:
            raise ValueError("nine are too many")
        node = np.arange(self.nodes)
        return from_neighbours(self.kind, np.stack([node - 1, node + 1], axis=1) % self.nodes)

    @classmethod
    def sample(cls, generator):
        return cls(nodes=int(generator.integers(3, 9)))


class Keep(Dispatcher):
    def __init__(self, share=0.5):
        self.share = share

    def route(self, view):
        if {broken}:
            raise ValueError("no")
        return view.offload(self.share * (view.own_lengths > 0))
"""


TOLD = "s.yaml:2:11: topology cannot be used: ValueError: nine are too many"


@pytest.fixture
def scenario(folder):
    Path("mine.py").write_text(MINE.format(broken="False"))
    Path("s.yaml").write_text(SCENARIO)
    return "s.yaml"


@pytest.fixture
def built(monkeypatch):
    """The points whose systems were built."""
    places = []
    system = Point.system
    monkeypatch.setattr(Point, "system", lambda self, *rest: places.append(self) or system(self, *rest))
    return places


@pytest.fixture
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(check, "PATIENCE", -1.0)


def test_what_is_wrong_with_one_of_few_points_is_told_before_the_run(scenario, capsys):
    assert main([scenario, "--quiet"]) == 2
    assert TOLD in capsys.readouterr().err
    assert not Path("runs").exists()


def test_of_many_points_the_first_is_built_and_the_others_have_their_turn(scenario, built, in_a_hurry, capsys):
    plan = load(scenario)
    check_plan(plan)
    assert built == plan.points[:1]
    assert main([scenario, "--quiet"]) == 2
    assert TOLD in capsys.readouterr().err
    assert main([scenario, "--quiet", "--set", "topology.nodes=[5,6,7,8]"]) == 0
    assert "episodes" not in capsys.readouterr().err  # nothing is added: what is finished is kept
    assert len(pd.read_parquet("runs/s/episodes.parquet")) == 4 * 4 * 2


def test_each_file_is_read(scenario, in_a_hurry):
    for name, edges in {"a.csv": "0,1\n1,2\n", "b.csv": "0,1\n1,1\n", "c.csv": "0,1\n"}.items():
        Path(name).write_text(edges)
    with pytest.raises(InputError, match=r"b\.csv"):
        check_plan(load(scenario, ["topology={kind: edge_list, path: [a.csv, b.csv, c.csv]}"]))


def test_each_class_is_tried_out_once_at_least(scenario, in_a_hurry, monkeypatch):
    tried = []
    whole = check.check_dispatcher
    monkeypatch.setattr(check, "check_dispatcher", lambda rule, **keys: tried.append(rule.share) or whole(rule, **keys))
    check_plan(load(scenario))
    assert tried == [0]
    Path("mine.py").write_text(MINE.format(broken="self.share == 0"))
    with pytest.raises(InputError, match=r"^s\.yaml:5:20: Keep: ValueError: no"):
        check_plan(load(scenario))


def test_a_dispatcher_is_tried_out_as_often_as_it_differs(scenario, monkeypatch):
    tried = []
    whole = check.check_dispatcher
    monkeypatch.setattr(check, "check_dispatcher", lambda rule, **keys: tried.append(rule.share) or whole(rule, **keys))
    check_plan(load(scenario, ["messages.latency=[1,2,3]", "topology.nodes=[5,7,8]"]))
    assert sorted(tried) == [0, 0.5, 1]


def test_a_dispatcher_made_for_one_size_is_checked_at_each(scenario):
    Path("mine.py").write_text(MINE.format(broken="False").replace("share\n", "share\n        self.nodes = 5\n", 1))
    check_plan(load(scenario, ["topology.nodes=5", "messages.latency=[0,1]"]))
    with pytest.raises(InputError, match=r"^s\.yaml:5:20: Keep share=0: was made for 5 nodes, the scenario has 7"):
        check_plan(load(scenario, ["topology.nodes=[5,7]"]))
