"""Runs on a real Ray cluster of several nodes on this machine, one of which dies on the way."""

import sys
import threading
import time

import pytest
from own_process import ROOT, content

from emulator.command_line import main
from emulator.machine import interruption

SCENARIO = """
topology: {kind: torus, side: 8}
delta_t: [2, 5]
horizon: 20
dispatchers: [JSQ, RND, {class: "mine:Keep"}]
replications: 60
trace: {jobs: 2, epochs: 1, messages: 1}
"""

MINE = """
from dispatchers import Dispatcher

class Keep(Dispatcher):
    def route(self, view):
        return view.own()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "mine.py").write_text(MINE)
    with interruption.kept():  # Ray looks after SIGTERM for itself
        yield tmp_path


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:port", "127.0.0.1:99999999"])
def test_a_cluster_that_is_not_there_is_refused(folder, capsys, address):
    pytest.importorskip("ray")
    assert main(["s.yaml", "--quiet", "--cluster", address]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"--cluster must be local or the host:port of a Ray cluster, got {address}: ")
    assert error.count("\n") == 1
    assert not (folder / "runs").exists()


def test_ray_is_an_extra(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["s.yaml", "--quiet", "--cluster", "local"]) == 2
    assert capsys.readouterr().err == "--cluster needs Ray, which the extra `cluster` installs\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_started_here_leaves_the_same_files(folder):
    pytest.importorskip("ray")
    assert main(["s.yaml", "--quiet", "--out", "alone"]) == 0
    assert main(["s.yaml", "--quiet", "--out", "cluster", "--cluster", "local", "--workers", "2"]) == 0
    assert content(folder / "cluster") == content(folder / "alone")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_that_dies_loses_nothing(folder):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    assert main(["s.yaml", "--quiet", "--out", "alone", "--replications", "400"]) == 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        doomed = [cluster.add_node(num_cpus=1) for _ in range(2)]

        def kill() -> None:
            journal = folder / "cluster/.partial/journal.jsonl"
            for node in doomed:
                while not journal.exists() or len(journal.read_text().splitlines()) < 20:
                    time.sleep(0.05)
                cluster.remove_node(node, allow_graceful=False)
                time.sleep(1.0)

        killer = threading.Thread(target=kill)
        killer.start()
        arguments = ["s.yaml", "--quiet", "--out", "cluster", "--replications", "400"]
        assert main([*arguments, "--cluster", cluster.address]) == 0
        killer.join()
    finally:
        cluster.shutdown()
    assert content(folder / "cluster") == content(folder / "alone")
