"""Schedulers and servers as two sets, and graphs of replications, from a scenario to its tables."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import emulator
from dispatchers.rules.memory import JoinShortestQueueWithMemory
from dispatchers.view import random_view
from emulator.command_line import main
from emulator.errors import InputError
from emulator.results.columns import EPISODES, SUMMARY
from emulator.results.measures import discounted_drops, drops_per_queue, mean_queue_length
from emulator.results.reader import Results
from emulator.runs.check import check_plan, make_dispatcher
from emulator.runs.tasks import cells_of
from emulator.scenario.plan import load

LISTS = """
topology: {kind: bipartite, schedulers: 10, servers: 15, choices: 3}
delta_t: 5
dispatchers: [RND, JSQ, SED, RR, JSQ-M]
arrivals: {high: 0.9, low: 0.9}
"""

DRAWN = """
topology: {kind: random_regular, nodes: 12, degree: 3, per: replication}
delta_t: 5
horizon: 10
dispatchers: [RND, JSQ]
replications: 3
trace: {jobs: 2}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists.yaml").write_text(LISTS)
    (tmp_path / "drawn.yaml").write_text(DRAWN)
    return tmp_path


def test_rules_that_name_no_own_server_pass_the_check(folder):
    plan = load("lists.yaml")
    assert check_plan(plan).remarks == []
    point = plan.points[0]
    assert (point.node_count(), point.scheduler_count(), point.server_count()) == (15, 10, 15)
    assert point.size() == "10 schedulers and 15 servers"
    assert cells_of(plan)[0][0].jobs == 0.9 * 50 * 10  # jobs arrive at schedulers
    system = point.system()
    assert (system.schedulers, system.servers, len(system.service_rates)) == (10, 15, 15)
    with pytest.raises(InputError, match="needs a graph of nodes, each a scheduler and a server, got bipartite"):
        _ = system.nodes


@pytest.mark.parametrize(
    ("dispatcher", "what"),
    [
        ("OWN", "OWN: keeps jobs at the own server"),
        ("{name: MF-R, rule: [0, 0, 0.1, 0.2, 0.3, 0.4]}", "MF-R: reads view.own_lengths"),
        ("{name: MF-R, rule: [0, 0, 0.1, 0.2, 0.3, 0.4], label: mine}", "MF-R: reads view.own_lengths"),
        ('{class: "mine:Away"}', "Away: sends jobs to any but the own server"),
        ('{class: "mine:Half"}', "Half: offloads from the own server"),
    ],
)
def test_a_rule_that_names_the_own_server_is_refused_before_the_run(folder, dispatcher, what, capsys):
    (folder / "mine.py").write_text(
        "from dispatchers import Dispatcher\n"
        "class Away(Dispatcher):\n    def route(self, view):\n        return view.any_neighbour()\n"
        "class Half(Dispatcher):\n    def route(self, view):\n        return view.offload(0.5 + 0 * view.degrees)\n"
    )
    (folder / "lists.yaml").write_text(LISTS.replace("[RND, JSQ, SED, RR, JSQ-M]", f"[RND, {dispatcher}]"))
    assert main(["lists.yaml", "--quiet"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"lists.yaml:4:20: {what}, but schedulers have no own server here")
    assert told.count("\n") == 1
    assert not (folder / "runs").exists()
    check_plan(load("lists.yaml", ["topology.home=first"]))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("messages.latency=[1, {edges: latency}]", "messages.latency needs a topology whose edges have lengths"),
        ("dispatch.latency=[1, {edges: latency}]", "dispatch.latency needs a topology whose edges have lengths"),
        ("messages.period=[1, {each: [1, 2]}]", "messages.period must hold one time for each of 15, got 2"),
        ("messages.phase=[even, [0, 1]]", "messages.phase must hold one time for each of 15, got 2"),
        ("decide=[on_delivery, {every: 1, phase: [0]}]", "decide.phase must hold one time for each of 10, got 1"),
        ("messages.period=[1, 1.0e-9]", "messages.period must make at most 1,000,000,000 instants of all 15 in"),
        ("decide.every=[1, 1.0e-9]", "decide.every must make at most 1,000,000,000 instants of all 10 in"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_at_any_point_before_the_run(folder, setting, told, capsys):
    assert main(["lists.yaml", "--set", setting, "--quiet"]) == 2
    assert capsys.readouterr().err.startswith(f"--set {setting}: {told}")
    assert not (folder / "runs").exists()


def test_the_bonus_of_the_own_server_counts_for_nothing_without_one(folder):
    """Whatever it is, then, the plan is the same; where there is an own server it is not."""
    for has_own in (True, False):
        view = random_view(np.random.default_rng(1), has_own=has_own)
        plans = [JoinShortestQueueWithMemory(bonus=bonus).plan(view) for bonus in (0.0, 0.9)]
        assert np.array_equal(*plans) == (not has_own)


def test_measures_of_queues_divide_by_servers(folder):
    account = SimpleNamespace(drops=30, drops_by_epoch=[30], presence_time=1500.0, span=50.0)
    episode = SimpleNamespace(account=account)
    system = load("lists.yaml").points[0].system()
    assert drops_per_queue(episode, system) == 30 / 15
    assert discounted_drops(episode, system) == 30 / 15
    assert mean_queue_length(episode, system) == 1500.0 / 50.0 / 15


def test_a_dry_run_tells_both_numbers(folder, capsys):
    assert main(["lists.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "lists: bipartite of 10 schedulers and 15 servers, delta_t 5 ms" in out
    assert "  10 schedulers and 15 servers, 10 epochs, about 450 jobs" in out


def test_each_replication_has_its_graph_and_all_files_say_which(folder):
    emulator.run("drawn.yaml", out="out", workers=1)
    episodes = pd.read_parquet("out/episodes.parquet")
    names = [column.name for column in EPISODES]
    assert names.index("schedulers") == names.index("nodes") + 1 == names.index("servers") - 1
    assert {"schedulers", "servers"} <= {column.name for column in SUMMARY}
    assert (episodes[["nodes", "schedulers", "servers"]] == 12).all().all()
    hashes = episodes.groupby("replication")["topology_hash"].agg(set)
    assert all(len(each) == 1 for each in hashes)  # that of both dispatchers
    assert len(set.union(*hashes)) == 3
    kind = load("drawn.yaml").points[0].scenario.topology
    for replication, each in hashes.items():
        assert each == {kind.build_for(1, replication).graph_hash}
    for path in (folder / "out" / "jobs").iterdir():
        told = pq.read_metadata(path).metadata[b"topology_hash"].decode()
        replication = pd.read_parquet(path)["replication"].iloc[0]
        assert {told} == hashes[replication]
    alone = emulator.run("drawn.yaml", out="two", workers=1, engine="simpy", settings=["dispatchers=[RND]"])
    assert len(alone) == 1
    kept = episodes[episodes.dispatcher == "RND"].fingerprint.tolist()
    assert pd.read_parquet("two/episodes.parquet").fingerprint.tolist() == kept  # whatever ran before


def test_one_graph_stands_for_all_unless_asked(folder):
    (folder / "drawn.yaml").write_text(DRAWN.replace(", per: replication", ""))
    emulator.run("drawn.yaml", out="out", workers=1)
    assert pd.read_parquet("out/episodes.parquet")["topology_hash"].nunique() == 1


def test_a_rule_for_one_graph_does_not_fit_graphs_of_replications(folder):
    (folder / "mine.py").write_text(
        "from dispatchers import Dispatcher\n"
        f"class One(Dispatcher):\n    graph_hash = '{load('drawn.yaml').points[0].system().topology.graph_hash}'\n"
        "    def route(self, view):\n        return view.own()\n"
    )
    plan = load("drawn.yaml", ['dispatchers=[{class: "mine:One"}]'])
    with pytest.raises(InputError, match="One: was made for one graph, but each replication has one of its own"):
        make_dispatcher(plan.points[0], 0)


def test_what_was_simplified_is_said_by_the_run_and_kept(folder, capsys):
    (folder / "g.txt").write_text("# a list\n5\t3\n3\t5\n3\t3\n5\t8\n")
    (folder / "s.yaml").write_text(
        "topology: {kind: file, path: g.txt}\ndelta_t: 5\nhorizon: 5\ndispatchers: [RND]\nreplications: 2\n"
    )
    assert main(["s.yaml", "--quiet"]) == 2
    told = "1 loop, 1 link told in both directions, ids with holes, 3 to 8 instead of 0 to 2"
    assert capsys.readouterr().err.startswith(f"s.yaml:1:11: topology g.txt has {told}; simplify: true drops")
    remark = "topology: g.txt was simplified to 3 nodes and 2 links: dropped 1 loop, merged 1 link told in both direct"
    for options in (["--dry-run"], ["--quiet", "--workers", "1"]):
        assert main(["s.yaml", "--set", "topology.simplify=true", *options]) == 0
        assert sum(line.startswith(remark) for line in capsys.readouterr().out.splitlines()) == 1
    (line,) = Results.open("runs/s").remarks
    assert line.startswith(remark)


def test_another_content_of_the_file_is_another_study(folder):
    (folder / "g.txt").write_text("0 1\n")
    (folder / "s.yaml").write_text(
        "topology: {kind: file, path: g.txt}\ndelta_t: 5\nhorizon: 5\ndispatchers: [RND]\nreplications: 1\n"
    )
    emulator.run("s.yaml", workers=1)
    (folder / "g.txt").write_text("0 1\n1 2\n")
    with pytest.raises(InputError, match="results of another edges of the topology"):
        emulator.run("s.yaml", workers=1)
