"""A run may end at any moment; the same command takes it up again and ends with the same bytes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import onnx
import pandas as pd
import pytest

from emulator.command_line import main
from emulator.results.statistics import mean_interval
from emulator.runs import run as running
from emulator.runs.episode_runner import EpisodeRunner
from emulator.runs.executors.here import Workers, run_tasks
from emulator.runs.run import load_plan
from emulator.runs.stopping import next_round
from emulator.runs.tasks import Task, tasks_of

ROOT = Path(__file__).resolve().parents[2]

SCENARIO = """
topology: {kind: cycle, nodes: 12}
delta_t: [2, 5]
horizon: 20
dispatchers: [JSQ, RND, {name: JSQ-M, weight: sharing}]
replications: 6
trace: {jobs: 2, epochs: 1, messages: 1}
"""


class Killed(BaseException):
    """What nothing in the software catches."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return tmp_path


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def counted(monkeypatch):
    """The episodes that were run in this process."""
    ran = []
    run = EpisodeRunner.run
    monkeypatch.setattr(EpisodeRunner, "run", lambda self, task, *rest: ran.append(task) or run(self, task, *rest))
    return ran


def stop_after(monkeypatch, episodes, error):
    """Let a run end with an error when it begins one episode more."""
    run, count = EpisodeRunner.run, iter(range(10**6))

    def stopping(self, task, *rest):
        if next(count) == episodes:
            raise error
        return run(self, task, *rest)

    monkeypatch.setattr(EpisodeRunner, "run", stopping)


@pytest.mark.parametrize("episodes", [0, 1, 7, 35])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), Killed()], ids=["interrupted", "killed"])
def test_a_run_that_was_stopped_is_taken_up_again(folder, monkeypatch, counted, episodes, error):
    main(["s.yaml", "--quiet", "--out", "undisturbed"])
    with monkeypatch.context() as patch:
        stop_after(patch, episodes, error)
        try:
            assert main(["s.yaml", "--quiet", "--out", "stopped"]) == 130
        except Killed:
            assert not (folder / "stopped/episodes.parquet").exists()
    counted.clear()
    assert main(["s.yaml", "--quiet", "--out", "stopped"]) == 0
    assert len(counted) == 36 - episodes
    assert content(folder / "stopped") == content(folder / "undisturbed")
    counted.clear()
    assert main(["s.yaml", "--quiet", "--out", "stopped"]) == 0
    assert counted == []
    assert content(folder / "stopped") == content(folder / "undisturbed")


def kill_and_resume(folder, out, wait, workers):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "emulator", "s.yaml", "--quiet", "--out", out, "--workers", workers]
    command += ["--replications", "400"]
    for _ in range(3):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(wait())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(folder, workers):
    generator = random.Random(os.getpid())
    main(["s.yaml", "--quiet", "--out", "undisturbed", "--replications", "400"])
    kill_and_resume(folder, "killed", lambda: generator.uniform(0.5, 5.0), workers)
    assert content(folder / "killed") == content(folder / "undisturbed")


def test_two_workers_finish_a_round_without_starting_anew(folder):
    """The tasks that are handed out come from one iterator, which must survive every look at it."""
    plan = load_plan("s.yaml")
    (folder / "staging").mkdir()
    for kind in ("jobs", "epochs", "messages"):
        (folder / "staging" / kind).mkdir()
    waiting = (task for task in tasks_of(plan))
    outcomes = dict(run_tasks(plan, waiting, folder / "staging", Workers(2, 1), lambda seconds: None))
    assert set(outcomes) == set(tasks_of(plan))
    assert all(isinstance(row, dict) for row in outcomes.values())


def test_more_replications_compute_only_the_new_ones(folder, counted):
    main(["s.yaml", "--quiet"])
    before = pd.read_parquet("runs/s/episodes.parquet")
    traces = {name: bytes_ for name, bytes_ in content(folder / "runs/s").items() if "/" in name}
    counted.clear()
    assert main(["s.yaml", "--quiet", "--replications", "9"]) == 0
    assert {task.replication for task in counted} == {6, 7, 8}
    after = pd.read_parquet("runs/s/episodes.parquet")
    kept = after[after.replication < 6].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before, check_exact=True)
    assert traces.items() <= content(folder / "runs/s").items()
    main(["s.yaml", "--quiet", "--replications", "9", "--out", "at_once"])
    pd.testing.assert_frame_equal(pd.read_parquet("at_once/episodes.parquet"), after, check_exact=True)


def test_a_journal_is_good_up_to_its_last_full_line(folder, monkeypatch, counted):
    with monkeypatch.context() as patch:
        stop_after(patch, 9, Killed())
        with pytest.raises(Killed):
            main(["s.yaml", "--quiet"])
    journal = folder / "runs/s/.partial/journal.jsonl"
    text = journal.read_text()
    assert len(text.splitlines()) == 10
    journal.write_text(text[:-20])
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert len(counted) == 36 - 8
    main(["s.yaml", "--quiet", "--out", "undisturbed"])
    assert content(folder / "runs/s") == content(folder / "undisturbed")


def test_an_episode_whose_trace_is_gone_is_run_again(folder, counted):
    main(["s.yaml", "--quiet"])
    before = content(folder / "runs/s")
    (folder / "runs/s/jobs/JSQ_delta_t=2_r001.parquet").unlink()
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert len(counted) == 1
    assert content(folder / "runs/s") == before


@pytest.mark.parametrize("when", ["finished", "stopped"])
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["--set", "delta_t=3"], "delta_t: [2, 5], now 3"),
        (["--set", "buffer=4"], "buffer: 5, now 4"),
        (["--seed", "2"], "seed: 1, now 2"),
        (["--engine", "simpy"], "engine: auto, now simpy"),
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


def run_in_a_new_process(*arguments):
    command = [sys.executable, "-m", "emulator", *arguments, "--quiet", "--workers", "1"]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_a_changed_class_is_another_scenario(folder):
    rule = "from dispatchers import Dispatcher\nclass Keep(Dispatcher):\n    def route(self, view): return view.{}()\n"
    (folder / "mine.py").write_text(rule.format("own"))
    (folder / "mine.yaml").write_text(SCENARIO.replace("RND", '{class: "mine:Keep"}'))
    assert run_in_a_new_process("mine.yaml").returncode == 0
    (folder / "mine.py").write_text(rule.format("uniform"))
    again = run_in_a_new_process("mine.yaml")
    assert again.returncode == 2
    assert "it holds results of another mine.py of Keep" in again.stderr


def test_so_is_a_changed_module_that_the_class_imports(folder):
    rule = "from dispatchers import Dispatcher\nfrom aside import f\nclass Keep(Dispatcher):\n    route = f\n"
    (folder / "mine.py").write_text(rule)
    (folder / "aside.py").write_text("def f(self, view):\n    return view.own()\n")
    (folder / "mine.yaml").write_text(SCENARIO.replace("RND", '{class: "mine:Keep"}'))
    assert run_in_a_new_process("mine.yaml").returncode == 0
    assert run_in_a_new_process("mine.yaml").returncode == 0
    (folder / "aside.py").write_text("def f(self, view):\n    return view.uniform()\n")
    again = run_in_a_new_process("mine.yaml")
    assert again.returncode == 2
    assert "it holds results of another aside.py of Keep" in again.stderr


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


@pytest.mark.parametrize("line", ["[1]", '{"identity": 3}', "{}", "no journal"])
def test_a_strange_journal_is_refused_or_left_alone(folder, capsys, line):
    staging = folder / "runs/s/.partial"
    staging.mkdir(parents=True)
    (staging / "journal.jsonl").write_text(f"{line}\n")
    status = main(["s.yaml", "--quiet"])
    assert status == (2 if line.startswith("{") else 0)
    assert capsys.readouterr().err.count("\n") == (1 if status else 0)


def test_a_journal_that_is_a_folder_is_refused(folder, capsys):
    (folder / "runs/s/.partial/journal.jsonl").mkdir(parents=True)
    assert main(["s.yaml", "--quiet"]) == 2
    assert "journal.jsonl cannot be read: Is a directory" in capsys.readouterr().err


def test_results_of_unknown_origin_are_refused(folder, capsys):
    (folder / "runs/s").mkdir(parents=True)
    pd.DataFrame({"x": [1]}).to_parquet("runs/s/episodes.parquet")
    assert main(["s.yaml", "--quiet"]) == 2
    assert "it holds results of unknown origin" in capsys.readouterr().err
    (folder / "runs/s/episodes.parquet").write_text("no table")
    assert main(["s.yaml", "--quiet"]) == 2
    assert "episodes.parquet cannot be read" in capsys.readouterr().err
    assert main(["s.yaml", "--quiet", "--fresh"]) == 0


def test_a_disk_that_is_full_loses_nothing(folder, monkeypatch, capsys, counted):
    main(["s.yaml", "--quiet", "--out", "undisturbed"])
    with monkeypatch.context() as patch:
        from emulator.errors import InputError
        from emulator.results import traces as trace_files

        write, count = trace_files.write_jobs, iter(range(100))

        def full(*arguments):
            if next(count) == 4:
                raise InputError("jobs: cannot be written: No space left on device")
            write(*arguments)

        patch.setattr(trace_files, "write_jobs", full)
        assert main(["s.yaml", "--quiet"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert len(counted) < 36
    assert content(folder / "runs/s") == content(folder / "undisturbed")


def half_widths(frame, column, low, high):
    return ((frame[high] - frame[low]) / 2 / frame[column].abs()).tolist()


class TestPrecision:
    def test_replications_stop_when_the_means_are_known_well_enough(self, folder):
        wanted = ["--replications", "5000", "--set", "precision=0.15", "--set", "trace.jobs=0"]
        assert main(["s.yaml", "--quiet", *wanted]) == 0
        summary = pd.read_parquet("runs/s/summary.parquet")
        assert max(half_widths(summary, "mean_drops", "ci_low", "ci_high")) <= 0.15
        assert summary.replications.max() < 5000
        assert summary.groupby("delta_t").replications.nunique().eq(1).all()
        episodes = pd.read_parquet("runs/s/episodes.parquet")
        for _, group in episodes.groupby(["dispatcher", "delta_t"]):
            assert group.replication.tolist() == list(range(len(group)))
        # One batch less would not have been enough.
        point = episodes[episodes.delta_t == 2]
        count = point.replication.max() + 1
        batches = [10]
        while batches[-1] < count:
            batches.append(batches[-1] + max(10, batches[-1] // 2))
        assert batches[-1] == count
        if len(batches) > 1:
            fewer = point[point.replication < batches[-2]].groupby("dispatcher").drops_per_queue
            intervals = [mean_interval(values) for _, values in fewer]
            assert any((high - mean) > 0.15 * mean for mean, _, high in intervals)

    def test_the_paired_difference_can_be_what_counts(self, folder):
        options = ["s.yaml", "--quiet", "--replications", "3000", "--set", "dispatchers=[JSQ, RND]"]
        options += ["--set", "delta_t=5", "--set", "trace.jobs=0"]
        main([*options, "--set", "paired_precision=0.1", "--out", "paired"])
        paired = pd.read_parquet("paired/summary.parquet")
        assert half_widths(paired[1:], "difference", "difference_low", "difference_high")[0] <= 0.1
        assert max(half_widths(paired, "mean_drops", "ci_low", "ci_high")) > 0.05
        assert paired.replications.max() < 3000

    def test_the_number_of_replications_is_the_most(self, folder):
        assert main(["s.yaml", "--quiet", "--replications", "12", "--set", "precision=1e-6"]) == 0
        assert set(pd.read_parquet("runs/s/summary.parquet").replications) == {12}

    def test_a_run_that_was_stopped_ends_with_the_same(self, folder, monkeypatch):
        options = ["s.yaml", "--quiet", "--replications", "500", "--set", "precision=0.3"]
        main([*options, "--out", "undisturbed"])
        with monkeypatch.context() as patch:
            stop_after(patch, 50, KeyboardInterrupt())
            assert main([*options, "--out", "stopped"]) == 130
        assert main([*options, "--out", "stopped"]) == 0
        assert content(folder / "stopped") == content(folder / "undisturbed")

    def test_precision_does_not_sweep(self, folder, capsys):
        assert main(["s.yaml", "--set", "precision=[0.1, 0.2]"]) == 2
        assert "precision takes one value and does not sweep" in capsys.readouterr().err

    @pytest.mark.parametrize("value", ["0", "1", "-0.1", "often"])
    def test_wrong_precision_is_refused(self, folder, capsys, value):
        assert main(["s.yaml", "--set", f"precision={value}"]) == 2
        assert "precision must be" in capsys.readouterr().err


def test_the_journal_says_what_it_is_of(folder, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2, Killed())
        with pytest.raises(Killed):
            main(["s.yaml", "--quiet"])
    first, *rows = (folder / "runs/s/.partial/journal.jsonl").read_text().splitlines()
    assert json.loads(first)["identity"]["seed"] == "1"
    assert [json.loads(row)["dispatcher"] for row in rows] == ["JSQ", "RND"]
    assert len(load_plan("s.yaml").points) == 2


def test_fewer_replications_keep_what_is_finished(folder, counted):
    main(["s.yaml", "--quiet"])
    before = content(folder / "runs/s")
    episodes = pd.read_parquet("runs/s/episodes.parquet")
    counted.clear()
    assert main(["s.yaml", "--quiet", "--replications", "2"]) == 0
    assert counted == []
    pd.testing.assert_frame_equal(pd.read_parquet("runs/s/episodes.parquet"), episodes, check_exact=True)
    few = pd.read_parquet("runs/s/summary.parquet")
    assert set(few.replications) == {2}
    first = episodes[episodes.replication < 2].groupby(["dispatcher", "delta_t"]).drops_per_queue.mean()
    for row in few.itertuples():
        assert row.mean_drops == pytest.approx(first[row.dispatcher, row.delta_t])
    assert {name for name in before if "/" in name} <= set(content(folder / "runs/s"))
    main(["s.yaml", "--quiet"])
    assert counted == []
    assert content(folder / "runs/s") == before


def test_precision_summarises_what_it_needs_and_keeps_the_rest(folder, counted):
    options = ["s.yaml", "--quiet", "--set", "delta_t=5", "--set", "trace.jobs=0"]
    main([*options, "--replications", "40"])
    counted.clear()
    assert main([*options, "--replications", "40", "--set", "precision=0.9"]) == 0
    assert counted == []
    assert set(pd.read_parquet("runs/s/summary.parquet").replications) == {10}
    assert len(pd.read_parquet("runs/s/episodes.parquet")) == 3 * 40


RARE = """
topology: {kind: cycle, nodes: 3}
delta_t: 5
arrivals: {high: 0.3, low: 0.3}
dispatchers: [OWN, RND]
replications: 2000
precision: 0.25
"""


def test_a_mean_of_zero_is_never_precise(folder):
    """The exact mean of OWN is 0.0225; ten episodes without a drop said 0, known to the last bit."""
    (folder / "rare.yaml").write_text(RARE)
    assert main(["rare.yaml", "--quiet"]) == 0
    own, rnd = pd.read_parquet("runs/rare/summary.parquet").to_dict("records")
    assert own["replications"] > 10
    for row in (own, rnd):  # both have that mean, on a graph where all degrees are alike
        assert abs(row["mean_drops"] - 0.0225) < 2.0 * (row["ci_high"] - row["mean_drops"])
    nothing = ["--set", "arrivals.high=0", "--set", "arrivals.low=0", "--replications", "40"]
    assert main(["rare.yaml", "--quiet", *nothing, "--out", "none"]) == 0
    none = pd.read_parquet("none/summary.parquet")
    assert set(none.replications) == {40}
    assert none[["ci_low", "ci_high", "difference_low", "difference_high"]].isna().all(axis=None)


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
    study = 'import emulator\nprint(emulator.run("s.yaml").attrs["folder"])\n'
    for text in (study, study + "# a comment\n"):
        (folder / "study.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "study.py"], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert run_in_a_new_process("s.yaml").returncode == 0


def test_a_rule_that_changes_while_it_runs_ends_the_run(folder, monkeypatch, capsys, counted):
    """Episodes of two rules must not stand in one mean: another point of the sweep makes its dispatchers anew."""
    (folder / "keep.py").write_text(KEEP)
    (folder / "weights.txt").write_text("0.3")
    (folder / "s.yaml").write_text(SCENARIO.replace("RND", '{class: "keep:Keep"}'))
    run = EpisodeRunner.run

    def changing(self, task, *rest):
        if task.point == 1:
            (folder / "weights.txt").write_text("0.9")
        return run(self, task, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeRunner, "run", changing)
        assert main(["s.yaml", "--quiet"]) == 2
    assert "weights.txt: has changed since the run began" in capsys.readouterr().err
    (folder / "weights.txt").write_text("0.3")
    counted.clear()
    assert main(["s.yaml", "--quiet"]) == 0
    assert {task.point for task in counted} == {1}


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
    run = running.run_tasks

    def later_ones_first(plan, tasks, *rest):
        yield from sorted(run(plan, list(tasks), *rest), key=lambda outcome: -outcome[0].replication)

    for out, tasks_run in (("1", run), ("2", later_ones_first)):
        monkeypatch.setattr(running, "run_tasks", tasks_run)
        assert main(["s.yaml", "--quiet", "--engine", "simpy", "--out", out]) == 1
    assert "Rarely at delta_t = 2 ms failed: Rarely: ValueError: too many jobs" in capsys.readouterr().err
    assert content(folder / "1") == content(folder / "2")
    episodes = pd.read_parquet("1/episodes.parquet")
    done = episodes[(episodes.dispatcher == "Rarely") & (episodes.delta_t == 2)].replication.tolist()
    assert done == list(range(len(done)))
    assert 0 < len(done) < 16


def test_a_precision_of_differences_needs_two_dispatchers(folder, capsys):
    assert main(["s.yaml", "--set", "dispatchers=[RND]", "--set", "paired_precision=0.1"]) == 2
    assert "paired_precision needs at least two dispatchers, got 1" in capsys.readouterr().err


def test_no_difference_from_a_first_dispatcher_that_failed_is_precise(folder):
    settings = ["delta_t=5", "dispatchers=[JSQ, RND]", "paired_precision=0.5", "replications=40"]
    plan = load_plan("s.yaml", settings=settings)
    rows = {Task(0, 1, number): {"drops_per_queue": float(number)} for number in range(10)}
    assert next_round(plan, rows, {(0, 0)}).replications == [20]
