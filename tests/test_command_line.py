"""The command line as a user meets it: results, errors of one line, exit statuses, interruption."""

import json
import re
import shutil
import signal
import textwrap
import time
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from own_process import ROOT, content, ended, python, started

import emulator
from dispatchers.errors import LONGEST_LINE
from emulator import InputError
from emulator.command_line import main
from emulator.machine import interruption
from emulator.scenario.scenario import Scenario

SMALL = """\
topology: {kind: cycle, nodes: 5}
delta_t: [2, 5]
horizon: 12
dispatchers: [JSQ, RND, {name: JSQ-M, weight: sharing}]
replications: 3
trace: {jobs: 1, epochs: 2, messages: 1}
"""

MINE = """\
from dispatchers import Dispatcher

class Keep(Dispatcher):
    def route(self, view):
        return view.own()

class Leaky(Dispatcher):
    def route(self, view):
        return 0.9 * view.own()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_leaves_a_table_and_all_its_files(folder, capsys):
    assert main(["small.yaml"]) == 0
    captured = capsys.readouterr()
    for word in ("JSQ-M", "delta_t = 2 ms", "delta_t = 5 ms", "95 % interval", "runs/small"):
        assert word in captured.out
    cells = [f"{name}_delta_t={delta_t}" for name in ("JSQ", "JSQ-M", "RND") for delta_t in (2, 5)]
    expected = ["episodes.parquet", "scenario.resolved.yaml", "summary.parquet", "summary.png"]
    expected += [f"jobs/{cell}_r000.parquet" for cell in cells]
    expected += [f"messages/{cell}_r000.parquet" for cell in cells]
    expected += [f"epochs/{cell}_r{number:03d}.parquet" for cell in cells for number in (0, 1)]
    assert files(folder / "runs/small") == sorted(expected)


def test_traces_and_episodes_tell_the_same(folder):
    main(["small.yaml", "--quiet"])
    run = folder / "runs/small"
    episodes = pd.read_parquet(run / "episodes.parquet").set_index(["dispatcher", "delta_t", "replication"])
    assert (episodes.arrivals >= episodes.completions + episodes.drops).all()
    assert len(episodes) == 3 * 2 * 3
    jobs = pd.read_parquet(run / "jobs")
    epochs = pd.read_parquet(run / "epochs")
    messages = pd.read_parquet(run / "messages")
    for key, trace in jobs.groupby(["dispatcher", "delta_t", "replication"]):
        episode = episodes.loc[key]
        outcomes = trace.outcome.value_counts()
        assert len(trace) == episode.arrivals
        assert outcomes.get("completed", 0) == episode.completions
        assert outcomes.get("dropped", 0) == episode.drops
        sojourns = (trace.departure_time - trace.arrival_time).mean()
        assert sojourns == pytest.approx(episode.mean_sojourn_time)
        present = (trace.departure_time.fillna(12.0) - trace.arrival_time)[trace.outcome != "dropped"].sum()
        assert present / 12.0 / 5 == pytest.approx(episode.mean_queue_length)
        assert trace.job.tolist() == list(range(len(trace)))
    for key, trace in epochs.groupby(["dispatcher", "delta_t", "replication"]):
        by_epoch = trace.groupby("epoch").drops.sum()
        assert trace.arrivals.sum() == episodes.loc[key].arrivals
        assert by_epoch.sum() == episodes.loc[key].drops
        discounted = (0.99**by_epoch.index * by_epoch).sum() / 5
        assert discounted == pytest.approx(episodes.loc[key].discounted_drops)
    received = messages.groupby(["dispatcher", "delta_t", "replication"]).size()
    assert len(received) == 6
    assert (received == episodes.messages[received.index]).all()


def test_summary_is_that_of_the_episodes(folder):
    summary = emulator.run("small.yaml")
    assert summary.attrs["folder"] == "runs/small"
    episodes = pd.read_parquet("runs/small/episodes.parquet")
    first = episodes[episodes.dispatcher == "JSQ"].set_index(["delta_t", "replication"]).drops_per_queue
    for row in summary.itertuples():
        mine = episodes[(episodes.dispatcher == row.dispatcher) & (episodes.delta_t == row.delta_t)]
        assert row.mean_drops == pytest.approx(mine.drops_per_queue.mean())
        assert (mine.drops_per_queue == mine.drops * 50 / 12 / 5).all()
        paired = mine.set_index(["delta_t", "replication"]).drops_per_queue - first
        assert row.difference == pytest.approx(paired.dropna().mean(), abs=1e-12)
    assert summary.equals(pd.read_parquet("runs/small/summary.parquet").astype(summary.dtypes.to_dict()))


def test_every_file_says_where_it_comes_from(folder):
    main(["small.yaml", "--quiet"])
    run = folder / "runs/small"
    for path in run.rglob("*.parquet"):
        metadata = pq.read_schema(path).metadata
        assert metadata[b"resolved_scenario"].decode() == (run / "scenario.resolved.yaml").read_text()
        assert metadata[b"version"].decode() == emulator.__version__
        assert metadata[b"seed"] == b"1"
        assert len(metadata[b"fingerprint"]) == 16


@pytest.mark.parametrize("options", [["--workers", "2"], ["--seed", "1"], ["--replications", "3"]])
def test_the_same_run_gives_the_same_bytes(folder, options):
    main(["small.yaml", "--quiet"])
    main(["small.yaml", "--quiet", "--out", "again", *options])
    ours, theirs = content(folder / "runs/small"), content(folder / "again")
    if "--workers" not in options:  # the resolved scenario, which stands in every file, says what was chosen
        names = ("jobs/JSQ_delta_t=2_r000.parquet", "episodes.parquet")
        assert all(pd.read_parquet(f"runs/small/{name}").equals(pd.read_parquet(f"again/{name}")) for name in names)
    else:
        assert ours == theirs


def test_the_resolved_scenario_runs_again_to_the_same_result(folder):
    main(["small.yaml", "--quiet"])
    shutil.copy("runs/small/scenario.resolved.yaml", "again.yaml")
    main(["again.yaml", "--quiet", "--out", "again"])
    assert content(folder / "runs/small") == content(folder / "again")


def test_more_replications_change_none_that_exist(folder):
    main(["small.yaml", "--quiet", "--out", "few"])
    main(["small.yaml", "--quiet", "--out", "many", "--replications", "5"])
    few, many = (pd.read_parquet(f"{name}/episodes.parquet") for name in ("few", "many"))
    assert few.equals(many[many.replication < 3].reset_index(drop=True))
    assert not many.fingerprint.duplicated().any()


def test_a_fresh_run_in_the_same_folder_replaces_the_first(folder):
    main(["small.yaml", "--quiet"])
    other = ["--set", "delta_t=3", "--set", "trace.messages=0", "--set", "dispatchers=[OWN]"]
    assert main(["small.yaml", "--quiet", "--fresh", *other]) == 0
    assert files(folder / "runs/small") == [
        "episodes.parquet",
        "epochs/OWN_delta_t=3_r000.parquet",
        "epochs/OWN_delta_t=3_r001.parquet",
        "jobs/OWN_delta_t=3_r000.parquet",
        "scenario.resolved.yaml",
        "summary.parquet",
        "summary.png",
    ]


def test_quiet_says_nothing_on_standard_error(folder, capsys):
    main(["small.yaml", "--quiet"])
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "JSQ-M" in captured.out


def test_dry_run_tells_the_plan_and_writes_nothing(folder, capsys):
    assert main(["small.yaml", "--dry-run"]) == 0
    text = capsys.readouterr().out
    for word in ("delta_t = 2", "6 epochs", "3 x 3 episodes", "18 episodes", "runs/small"):
        assert word in text
    assert files(folder) == ["mine.py", "small.yaml"]


def test_a_dry_run_of_a_million_replications_is_quick(folder, capsys):
    assert main(["small.yaml", "--dry-run"]) == 0  # which imports what both need
    begun = time.process_time()
    assert main(["small.yaml", "--dry-run", "--replications", "1000000"]) == 0
    assert time.process_time() - begun < 6.0
    assert "6,000,000 episodes" in capsys.readouterr().out


MANY = """\
topology: {kind: edge_list, nodes: 3, edges: []}
delta_t: [1.23456789012345]
horizon: [2.23456789012345]
buffer: [1]
arrivals: {high: [0.987654321012345], low: [1.0e-300], high_to_low: [0.123456789012345], low_to_high: [0.5]}
service: {rate: [1.23456789012345], work: [deterministic]}
trace: {jobs: 1, epochs: 1, messages: 1}
engine: simpy
replications: 1
"""


def test_no_line_and_no_file_name_is_too_long_however_much_is_swept(folder, capsys):
    names = ", ".join(f"{{name: OWN, label: {letter * 100}}}" for letter in "abcdé")
    (folder / "many.yaml").write_text(f"{MANY}dispatchers: [{names}]\n", encoding="utf-8")
    for options in (["--dry-run"], ["--quiet"]):
        assert main(["many.yaml", *options, "--out", "long/" * 80]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= LONGEST_LINE
        assert any(line.startswith("  dispatchers: aaa") and "... ééé" in line for line in lines)
    assert {name.rpartition("/")[0][-8:].rpartition("/")[2] for name in files(folder)} >= {"jobs", "epochs", "messages"}


def test_a_dispatcher_that_fails_is_told_in_one_line_whatever_it_says(folder, capsys):
    shout = "assert job.total_sent or job.elapsed < 0.5, '\\x1b[31m' + 'x' * 1000\n        return 0"
    (folder / "late.py").write_text(re.sub("return 7.*", lambda _: shout, LATE))
    (folder / "late.yaml").write_text(SMALL.replace("JSQ,", 'JSQ, {class: "late:Late"},'))
    assert main(["late.yaml", "--workers", "1", "--quiet"]) == 1
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("Late at delta_t = ")
        assert line.isprintable()
        assert len(line) <= LONGEST_LINE


def test_a_users_class_runs_beside_the_scenario(folder):
    (folder / "deep").mkdir()
    shutil.move("mine.py", "deep/mine.py")
    text = SMALL.replace("[JSQ,", '[{class: "mine:Keep"}, {class: "mine:Keep", label: twin}, OWN,')
    (folder / "deep/own.yaml").write_text(text)
    main(["deep/own.yaml", "--quiet", "--workers", "2"])
    episodes = pd.read_parquet("runs/own/episodes.parquet")
    prints = episodes.pivot(index=["delta_t", "replication"], columns="dispatcher", values="fingerprint")
    assert (prints["Keep"] == prints["twin"]).all()
    assert (prints["Keep"] == prints["OWN"]).all()
    assert (prints["Keep"] != prints["RND"]).all()


def test_swept_keys_are_columns(folder):
    summary = emulator.run("small.yaml", settings=["topology.nodes=[5,7]", "delta_t=3", "buffer=[2,4]"])
    assert list(summary.columns[:10]) == [
        "scenario",
        "topology",
        "nodes",
        "schedulers",
        "servers",
        "dispatcher",
        "information",
        "delta_t",
        "topology.nodes",
        "buffer",
    ]
    assert len(summary) == 2 * 2 * 3
    jobs = pd.read_parquet("runs/small/jobs")
    assert set(zip(jobs["topology.nodes"], jobs["buffer"], strict=True)) == {(5, 2), (5, 4), (7, 2), (7, 4)}
    assert (jobs.queue_length_at_arrival <= jobs["buffer"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.yaml"], "missing.yaml"),
        (["small.yaml", "--set", "delta_t=-1"], "delta_t must be > 0, got -1"),
        (["small.yaml", "--set", "topology={kind: torus, side: 0}"], "topology.side must be >= 3, got 0"),
        (["small.yaml", "--set", "dispatchers=[JSK]"], "did you mean JSQ?"),
        (["small.yaml", "--set", "dispatchers=[{name: JSQ, tie: job}]"], "unknown option tie, allowed are ties"),
        (["small.yaml", "--set", 'dispatchers=[{class: "mine:Leaky"}]'], "sum to 0.9, must be 1"),
        (["small.yaml", "--set", 'dispatchers=[{class: "mine:Nobody"}]'], "its dispatchers are Keep, Leaky"),
        (["small.yaml", "--set", 'dispatchers=[{class: "yours:Keep"}]'], "there is no module yours"),
        (["small.yaml", "--set", 'dispatchers=[{name: MF-R, policy: "none.onnx"}]'], "there is no policy none.onnx"),
        (["small.yaml", "--set", 'dispatchers=[{name: MF-R, policy: "mine.py"}]'], "is not an ONNX file"),
        (
            ["small.yaml", "--set", "buffer=7", "--set", 'dispatchers=[{name: MF-R, policy: "trained/torus_5.onnx"}]'],
            "MF-R: was made for buffer 5, the scenario has buffer 7",
        ),
        (["small.yaml", "--set", "topology={kind: edge_list, edges: [[0, 0]]}"], "is a loop"),
        (["small.yaml", "--set", "topology={kind: edge_list, edges: [[0, 1], [1, 0]]}"], "stands twice"),
        (["small.yaml", "--set", "topology={kind: edge_list, edges: [[0, 2]]}"], "a hole"),
        (["small.yaml", "--set", "topology={kind: configuration_model, nodes: 3, degrees: [5]}"], "no simple graph"),
        (["small.yaml", "--out", "small.yaml"], "small.yaml: it is a file"),
        (["small.yaml", "--workers", "0"], "--workers must be >= 1, got 0"),
        (["small.yaml", "--seed", "-1"], "--seed -1: seed must be >= 0, got -1"),
        (["small.yaml", "--replications", "0"], "--replications 0: replications must be >= 1, got 0"),
        (["small.yaml", "--set", f"dispatchers=[{{name: MF-R, policy: {'p' * 300}}}]"], "there is no policy ppp"),
        (["small.yaml", "--set", f"plot.reference={{policy: {'p' * 300}, key: k}}"], "there is no file ppp"),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_bad_input_gets_one_line_and_status_2(folder, capsys, arguments, message, dry):
    if dry and "--out" in arguments:
        return
    before = content(folder)
    assert main([*arguments, *(["--dry-run"] if dry else [])]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert len(captured.err) <= LONGEST_LINE + 1
    assert message in captured.err
    assert content(folder) == before


def test_errors_of_dispatchers_name_the_place_in_the_file(folder, capsys):
    (folder / "bad.yaml").write_text(SMALL.replace("RND", "RNDD"))
    assert main(["bad.yaml"]) == 2
    assert capsys.readouterr().err.startswith("bad.yaml:4:20: there is no dispatcher 'RNDD'")


LATE = """
import numpy as np
from dispatchers import PerJobDispatcher

class Late(PerJobDispatcher):
    def plan(self, view):
        return np.zeros((*view.accessible.shape, 1))

    @staticmethod
    def choose(job):  # what is tried before a run has its first job at once
        return 7 if job.total_sent == 0 and job.elapsed > 0.5 else 0
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_dispatcher_that_fails_in_the_middle_does_not_stop_the_others(folder, capsys, workers):
    (folder / "late.yaml").write_text(SMALL.replace("JSQ,", 'JSQ, {class: "late:Late"},'))
    (folder / "late.py").write_text(LATE)
    assert main(["late.yaml", "--workers", workers, "--quiet"]) == 1
    lines = capsys.readouterr().err.splitlines()
    for delta_t, line in zip((2, 5), sorted(lines), strict=True):
        # Of two processes the one with the compiled engine, which cannot say the range, may be the first to meet it.
        which = "from 0 to 2" if workers == "1" else "(from 0 to 2|of an accessible server)"
        assert re.match(rf"Late at delta_t = {delta_t} ms failed: Late: choose must return a column {which}", line)
    episodes = pd.read_parquet("runs/late/episodes.parquet")
    assert episodes.groupby("dispatcher").size().to_dict() == {"JSQ": 6, "JSQ-M": 6, "RND": 6}
    assert not (folder / "runs/late/.partial").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_where_all_fails_nothing_is_written(folder, capsys, workers):
    (folder / "late.yaml").write_text(
        SMALL.replace("[JSQ, RND, {name: JSQ-M, weight: sharing}]", '[{class: "late:Late"}]')
    )
    (folder / "late.py").write_text(LATE)
    assert main(["late.yaml", "--workers", workers, "--quiet"]) == 2
    which = "from 0 to 2, got 7" if workers == "1" else "(from 0 to 2, got 7|of an accessible server)"
    assert re.search(f"must return a column {which}", capsys.readouterr().err)
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(folder):
    (folder / "doomed.yaml").write_text(SMALL.replace("RND", '{class: "doomed:Doomed"}'))
    doomed = """
        from pathlib import Path
        import multiprocessing, os, signal
        from dispatchers import Dispatcher

        class Doomed(Dispatcher):
            def route(self, view):
                if multiprocessing.parent_process() and not Path("died").exists():
                    Path("died").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return view.uniform()
    """
    (folder / "doomed.py").write_text(textwrap.dedent(doomed))
    assert main(["doomed.yaml", "--workers", "2", "--quiet", "--out", "killed"]) == 0
    assert (folder / "died").exists()
    assert main(["doomed.yaml", "--workers", "2", "--quiet", "--out", "undisturbed"]) == 0
    assert content(folder / "killed") == content(folder / "undisturbed")


@pytest.mark.parametrize("arguments", [[], ["small.yaml", "--engine", "fast"], ["small.yaml", "--replications", "x"]])
def test_a_wrong_command_line_gets_one_line_and_status_2(folder, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_engine_of_a_scenario_can_be_asked_for(folder, capsys):
    for engine in get_args(Scenario.model_fields["engine"].annotation):
        assert main(["small.yaml", "--engine", engine, "--set", "trace.messages=0", "--dry-run"]) == 0
        assert f"engine {engine}" in capsys.readouterr().out


def test_schema_is_printed_and_current(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((ROOT / "scenarios/scenario.schema.json").read_text())


def test_from_python_errors_are_value_errors_with_the_same_line(folder):
    with pytest.raises(InputError, match="delta_t must be > 0"):
        emulator.run("small.yaml", settings=["delta_t=0"])
    summary = emulator.run("small.yaml", replications=2, seed=9, out="elsewhere")
    assert (summary.replications == 2).all()
    assert set(pd.read_parquet("elsewhere/episodes.parquet").seed) == {9}


def test_help_does_not_wait_for_the_libraries():
    code = "import sys; from emulator.command_line import parser; parser(); print(sorted(sys.modules))"
    modules = python("-c", code).stdout
    assert "'emulator.command_line'" in modules
    for library in ("numpy", "numba", "pandas", "simpy", "pydantic", "matplotlib", "onnxruntime", "networkx"):
        assert f"'{library}'" not in modules


def test_an_early_interrupt_says_that_nothing_was_written(folder, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("emulator.runs.run.load_plan", interrupted)
    with interruption.kept():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
        assert main(["small.yaml"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert "interrupted: nothing was written" in capsys.readouterr().err


def test_standard_output_that_cannot_be_written(folder):
    with open("/dev/full", "w") as full:
        process = python("-m", "emulator", "small.yaml", "--quiet", stdout=full)
    assert process.returncode == 1
    assert process.stderr == "standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGINT), ("2", signal.SIGTERM)])
def test_an_interrupted_run_keeps_what_was_finished_in_whole_files(folder, workers, number):
    process = started("-m", "emulator", "small.yaml", "--replications", "100000", "--workers", workers)
    while not list(folder.glob("runs/small/.partial/jobs/*.parquet")) and process.poll() is None:
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(number)
    done = ended(process)
    assert done.returncode == 130
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    episodes = pd.read_parquet("runs/small/episodes.parquet")
    assert 0 < len(episodes) < 6 * 100000
    assert f"{len(episodes)} of 600000 episodes are kept" in done.stderr
    assert not list(folder.glob("runs/small/.partial"))
    assert "JSQ" in done.stdout
    assert np.isfinite(pd.read_parquet("runs/small/summary.parquet").mean_drops).all()
