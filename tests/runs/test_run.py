"""A run from end to end: what it returns, and cells that fail."""

from pathlib import Path

import pandas as pd
from own_process import content
from small_run import SCENARIO

import emulator
from emulator.command_line import main
from emulator.results.reader import Results
from emulator.runs.executors.here import Here
from emulator.runs.run import execute, load_plan

RARELY = """
from dispatchers import Dispatcher

class Rarely(Dispatcher):
    def route(self, view):
        lengths = view.queue_lengths[view.sharing[:, 0] == 3]  # of which the check on random views has few
        if view.delta_t == 2.0 and len(lengths) and lengths.sum(axis=1).max() >= {jobs}:
            raise ValueError("too many jobs")
        return view.own()
"""


def test_a_cell_that_fails_leaves_the_same_whatever_the_number_of_workers(folder, monkeypatch, capsys):
    """Its replications before the first that fails; what another process was quick to do comes after it."""
    (folder / "rarely.py").write_text(RARELY.format(jobs=9))
    text = SCENARIO.replace("{name: JSQ-M, weight: sharing}", '{class: "rarely:Rarely"}').replace(": 6", ": 16")
    (folder / "s.yaml").write_text(text.replace("nodes: 12", "nodes: 3"))
    run = Here.run

    def later_ones_first(self, study, tasks, *rest):
        yield from sorted(run(self, study, list(tasks), *rest), key=lambda outcome: -outcome[0].replication)

    for out, in_some_order in (("1", run), ("2", later_ones_first)):
        monkeypatch.setattr(Here, "run", in_some_order)
        assert main(["s.yaml", "--quiet", "--engine", "simpy", "--out", out, "--workers", "1"]) == 1
    assert "Rarely at delta_t = 2 ms failed: Rarely: ValueError: too many jobs" in capsys.readouterr().err
    assert content(folder / "1") == content(folder / "2")
    episodes = pd.read_parquet("1/episodes.parquet")
    done = episodes[(episodes.dispatcher == "Rarely") & (episodes.delta_t == 2)].replication.tolist()
    assert done == list(range(len(done)))
    assert 0 < len(done) < 16
    (failure,) = Results.open("1").failures
    assert failure == {"replication": len(done), "dispatcher": "Rarely", "delta_t": 2.0}


def test_a_run_returns_its_results_and_why_cells_failed(folder):
    (folder / "rarely.py").write_text(RARELY.format(jobs=9))
    settings = ['dispatchers=[RND, {class: "rarely:Rarely"}]', "topology.nodes=3", "replications=16", "engine=simpy"]
    results, failures = execute(load_plan("s.yaml", settings=settings), workers=1)
    assert len(results.summary) == 4
    assert results.path == Path("runs/s")
    assert results.engines == ["engine: SimPy emulated all"]
    (line,) = failures
    assert line.startswith("Rarely at delta_t = 2 ms failed: Rarely: ValueError: too many jobs")


def test_a_frame_echoes_the_folder_the_engines_and_the_failures(folder):
    summary = emulator.run("s.yaml", settings=["dispatchers=[RND]"])
    assert summary.attrs["folder"] == "runs/s"
    assert [line.partition(":")[0] for line in summary.attrs["engines"]] == ["engine"]
    assert summary.attrs["failures"] == []
