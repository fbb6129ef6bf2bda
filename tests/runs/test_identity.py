"""Which results are taken for those of a scenario: those of the same values, files and version, wherever they lie."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import onnx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from own_process import content, python
from small_run import SCENARIO, Killed, stop_after

from emulator.command_line import main
from emulator.results.reader import Results
from emulator.runs.check import check_plan
from emulator.runs.episode_runner import EpisodeRunner
from emulator.runs.identity import contradiction, difference, identity_of
from emulator.runs.run import load_plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("when", "changed", "told"),
    [
        ("stopped", ["--set", "delta_t=3"], "delta_t: [2, 5], now 3"),
        ("finished", ["--set", "buffer=4"], "buffer: 5, now 4"),
        ("finished", ["--seed", "2"], "seed: 1, now 2"),
        ("finished", ["--engine", "simpy"], "engine: auto, now simpy"),
    ],
)
def test_another_scenario_is_refused(folder, monkeypatch, capsys, when, changed, told):
    with monkeypatch.context() as patch:
        if when == "stopped":
            stop_after(patch, 3, Killed())
        with suppress(Killed):
            main(["s.yaml", "--quiet"])
    before = content(folder)
    capsys.readouterr()
    assert main(["s.yaml", "--quiet", *changed]) == 2
    error = capsys.readouterr().err
    assert f"output folder runs/s: it holds results of another scenario ({told})" in error
    assert "--fresh" in error
    assert error.count("\n") == 1
    assert content(folder) == before
    assert main(["s.yaml", "--quiet", "--fresh", *changed]) == 0
    assert set(content(folder / "runs/s")) >= {"episodes.parquet", "summary.parquet"}


def test_a_changed_class_is_another_scenario(folder, capsys):
    rule = "from dispatchers import Dispatcher\nclass Keep(Dispatcher):\n    def route(self, view): return view.{}()\n"
    (folder / "mine.py").write_text(rule.format("own"))
    (folder / "mine.yaml").write_text(SCENARIO.replace("RND", '{class: "mine:Keep"}'))
    assert main(["mine.yaml", "--quiet"]) == 0
    (folder / "mine.py").write_text(rule.format("uniform"))
    assert main(["mine.yaml", "--quiet"]) == 2
    assert "it holds results of another mine.py of Keep" in capsys.readouterr().err


def test_so_is_a_changed_module_that_the_class_imports(folder, capsys):
    rule = "from dispatchers import Dispatcher\nfrom aside import f\nclass Keep(Dispatcher):\n    route = f\n"
    (folder / "mine.py").write_text(rule)
    (folder / "aside.py").write_text("def f(self, view):\n    return view.own()\n")
    (folder / "mine.yaml").write_text(SCENARIO.replace("RND", '{class: "mine:Keep"}'))
    assert main(["mine.yaml", "--quiet"]) == 0
    assert main(["mine.yaml", "--quiet"]) == 0
    (folder / "aside.py").write_text("def f(self, view):\n    return view.uniform()\n")
    assert main(["mine.yaml", "--quiet"]) == 2
    assert "it holds results of another aside.py of Keep" in capsys.readouterr().err


def test_so_is_a_changed_policy_beside_another_of_the_same_name(folder, capsys):
    shipped = (ROOT / "policies/trained/torus_5.onnx").read_bytes()
    for name in "ab":
        (folder / name).mkdir()
        (folder / name / "p.onnx").write_bytes(shipped)
    two = "{name: MF-R, label: A, policy: a/p.onnx}, {name: MF-R, label: B, policy: b/p.onnx}"
    (folder / "two.yaml").write_text(SCENARIO.replace("RND", two))
    assert main(["two.yaml", "--quiet"]) == 0
    model = onnx.load_from_string(shipped)
    model.doc_string = "another"
    (folder / "a/p.onnx").write_bytes(model.SerializeToString())
    assert main(["two.yaml", "--quiet"]) == 2
    assert "it holds results of another policy of A" in capsys.readouterr().err


def test_five_is_five_point_zero(folder, counted):
    main(["s.yaml", "--quiet", "--set", "delta_t=5"])
    counted.clear()
    assert main(["s.yaml", "--quiet", "--set", "delta_t=5.0"]) == 0
    assert counted == []


KEEP = """
from pathlib import Path
from dispatchers import Dispatcher

class Keep(Dispatcher):
    def __init__(self):
        self.share = float(Path(__file__).with_name("weights.txt").read_text())

    def route(self, view):
        return view.offload(self.share * (view.own_lengths > 0))
"""


@pytest.fixture
def project(folder):
    """A project with a class, a file that it reads, and edges, whose results are finished."""
    place = folder / "alice" / "study"
    place.mkdir(parents=True)
    (place / "keep.py").write_text(KEEP)
    (place / "weights.txt").write_text("0.3")
    (place / "edges.csv").write_text("0,1\n1,2\n")
    text = SCENARIO.replace("RND", '{class: "keep:Keep"}, {name: MF-R, policy: trained/torus_5.onnx}')
    text = text.replace("{kind: cycle, nodes: 12}", "{kind: edge_list, path: edges.csv}").replace(": 6", ": 2")
    (place / "s.yaml").write_text(text)
    os.chdir(place)
    assert main(["s.yaml", "--quiet"]) == 0
    return place


def test_results_belong_to_no_place(project, folder, counted):
    counted.clear()
    (folder / "link").symlink_to(project)
    os.chdir(folder / "link")
    assert main(["s.yaml", "--quiet"]) == 0
    os.chdir(folder)
    assert main(["alice/study/s.yaml", "--quiet", "--out", "alice/study/runs/s"]) == 0
    (folder / "link").unlink()
    project.rename(folder / "moved")
    os.chdir(folder / "moved")
    assert main(["s.yaml", "--quiet"]) == 0
    shutil.copy("edges.csv", "the_same.csv")
    assert main(["s.yaml", "--quiet", "--set", "topology.path=the_same.csv"]) == 0
    assert main(["s.yaml", "--quiet"]) == 0
    assert counted == []
    for name, text in content(folder / "moved/runs").items():
        for part in ("alice", str(folder)):
            assert part.encode() not in text, name
    resolved = "runs/s/scenario.resolved.yaml"
    assert main([resolved, "--quiet", "--out", "again"]) == 0
    again, before = (pd.read_parquet(f"{place}/episodes.parquet") for place in ("again", "runs/s"))
    assert again.fingerprint.tolist() == before.fingerprint.tolist()


@pytest.mark.parametrize(
    ("file", "text"), [("weights.txt", "0.9"), ("edges.csv", "0,1\n0,2\n"), ("keep.py", KEEP + "#")]
)
def test_a_file_that_results_depend_on_counts_by_its_content(project, capsys, file, text):
    (project / file).write_text(text)
    assert main(["s.yaml", "--quiet"]) == 2
    told = "edges" if file == "edges.csv" else file
    assert f"it holds results of another {told} of " in capsys.readouterr().err


def test_the_script_that_runs_a_scenario_does_not_count(folder):
    (folder / "keep.py").write_text(KEEP)
    (folder / "weights.txt").write_text("0.3")
    (folder / "s.yaml").write_text(SCENARIO.replace("RND", '{class: "keep:Keep"}'))
    (folder / "study.py").write_text('import emulator\nprint(emulator.run("s.yaml").attrs["folder"])\n')
    done = python("study.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert main(["s.yaml", "--quiet"]) == 0


def test_a_rule_that_changes_while_it_runs_ends_the_run(folder, monkeypatch, capsys, counted):
    """Episodes of two rules must not stand in one mean: another point of the sweep makes its dispatchers anew."""
    (folder / "keep.py").write_text(KEEP)
    (folder / "weights.txt").write_text("0.3")
    (folder / "s.yaml").write_text(SCENARIO.replace("RND", '{class: "keep:Keep"}'))
    run = EpisodeRunner.run

    def changing(self, task, *rest):
        if task.cell.place[0] == 1:
            (folder / "weights.txt").write_text("0.9")
        return run(self, task, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeRunner, "run", changing)
        assert main(["s.yaml", "--quiet"]) == 2
    assert "weights.txt: has changed since the run began" in capsys.readouterr().err
    (folder / "weights.txt").write_text("0.3")
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert {task.cell.place[0] for task in counted} == {1}


def test_results_with_other_columns_are_of_another_version(folder, capsys):
    """Those of an earlier version, say, which have no column `information`."""
    main(["s.yaml", "--quiet"])
    table = pq.read_table("runs/s/episodes.parquet")
    metadata = dict(table.schema.metadata)
    identity = json.loads(metadata[b"identity"])
    del identity["columns"]
    metadata[b"identity"] = json.dumps(identity).encode()
    pq.write_table(table.drop("information").replace_schema_metadata(metadata), "runs/s/episodes.parquet")
    assert main(["s.yaml", "--quiet"]) == 2
    told = "it holds results of another version, whose files have other columns; choose another --out, or --fresh"
    assert told in capsys.readouterr().err


def test_nothing_of_an_identity_says_where_a_project_stands(project):
    os.chdir("/")
    plan = load_plan(project / "s.yaml")
    identity = identity_of(plan, check_plan(plan))
    assert {name for name in identity if name.startswith("file ")} >= {"file keep.py of Keep", "file policy of MF-R"}
    assert "alice" not in json.dumps(identity)


def test_a_difference_is_told_by_what_was_and_what_is():
    identity = {"buffer": "5", "file p of A": "1", "opened q of A": "2"}
    assert difference(identity, identity) is None
    assert difference(identity | {"buffer": "4"}, identity) == "results of another scenario (buffer: 4, now 5)"
    assert difference(identity | {"file p of A": "3"}, identity) == "results of another p of A"
    assert difference({"buffer": "5", "file p of A": "1"}, identity) is None
    assert difference(identity, identity | {"buffer": "[4, 5.0]", "file p of A": "2 1", "zip": "[]"}) is None
    assert difference(identity, identity | {"horizon": "9"}) == "results of another scenario (horizon: none, now 9)"


def test_a_dispatcher_that_differs_is_told_by_its_name_first():
    identity = {"dispatchers": '["JSQ", {"bonus": 0, "name": "JSQ-M", "weight": [1, 2]}]'}
    assert difference(identity, {"dispatchers": '[{"name": "JSQ-M", "weight": [2, 1, 3], "bonus": 0}, "JSQ"]'}) is None
    assert difference(identity, {"dispatchers": '["JSQ", {"bonus": 1, "name": "JSQ-M", "weight": [1, 2]}]'}) == (
        "results of {name: JSQ-M, bonus: 0, weight: [1, 2]}, now {name: JSQ-M, bonus: 1, weight: [1, 2]}"
    )
    assert difference(identity, {"dispatchers": '["JSQ", "RND"]'}) == (
        "results of {name: JSQ-M, bonus: 0, weight: [1, 2]}, which is not among its dispatchers now"
    )


def test_what_no_result_can_stand_beside_is_told():
    identity = {"columns": "a, b", "version": "1", "engine": '"auto"', "trace": '{"jobs": 2}', "opened q of A": "2"}
    assert contradiction(identity, identity) is None
    assert contradiction(identity, identity | {"trace": '{"jobs": 3, "epochs": 1}'}) is None
    told = {
        "results of another version, whose files have other columns": {"columns": "a"},
        "results of another scenario (version: 1, now 2)": {"version": "2"},
        "results of another scenario (engine: auto, now simpy)": {"engine": '"simpy"'},
        "results of another scenario (trace.jobs: 2, now 1); traces are not removed": {"trace": '{"jobs": 1}'},
        "results of another q of A": {"opened q of A": "3 4"},
    }
    for line, change in told.items():
        assert contradiction(identity, identity | change) == line
    del identity["opened q of A"]
    assert contradiction(identity | {"opened q of A": "2"}, identity) is None
    assert contradiction(identity | {"opened q of A": "2"}, identity | {"opened q of B": "2"}) is None
    assert contradiction(identity | {"opened q of A": "2"}, identity | {"opened q of B": "3"}) is not None


def test_paths_that_were_written_absolute_are_told_relative(project, folder, counted):
    counted.clear()
    told = (project / "s.yaml").read_text().replace("edges.csv", f"{project}/edges.csv")
    (project / "s.yaml").write_text(f"{told}folder: {project}\n")
    assert main(["s.yaml", "--quiet"]) == 0
    assert counted == []
    assert Results.open("runs/s").scenario["topology"]["path"] == "../../edges.csv"
    for name, text in content(project / "runs").items():
        assert str(folder).encode() not in text, name
