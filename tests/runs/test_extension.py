"""A finished folder is extended by a scenario that asks for more: only what is new is run, and nothing is mixed."""

import os
import random
import signal
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from own_process import content, ended, started
from small_run import Killed, stop_after

import emulator
from emulator.command_line import main
from emulator.results.reader import Results
from emulator.runs import earlier

SCENARIO = """
topology: {kind: cycle, nodes: 12}
delta_t: 2
horizon: 10
dispatchers: [JSQ, {name: JSQ-M, weight: 1}]
replications: 3
trace: {jobs: 2, epochs: 1, messages: 1}
"""

TABLES = ("episodes.parquet", "summary.parquet")


def tables(folder):
    """Return all tables of a run, with the types of their columns; traces by the names of their files."""
    names = [*TABLES, *sorted(str(path.relative_to(folder)) for path in Path(folder).glob("*/*.parquet"))]
    return {name: pq.read_table(Path(folder) / name).replace_schema_metadata() for name in names}


def assert_same(folder, other):
    """Compare two runs: tables to the last bit, and all that is written, but for the scenario that traces carry."""
    mine, others = tables(folder), tables(other)
    assert list(mine) == list(others)
    for name, table in mine.items():
        assert table.schema.equals(others[name].schema), name
        assert table.equals(others[name]) or table.to_pandas().equals(others[name].to_pandas()), name
    files, expected = content(Path(folder)), content(Path(other))
    assert files.keys() == expected.keys()
    for name in ("scenario.resolved.yaml", *TABLES, "summary.png"):
        assert files[name] == expected[name], name


MORE = {
    "points": {"delta_t": "[2, 5]"},
    "points before": {"delta_t": "[0.5, 2]"},
    "points of a key that was not swept": {"buffer": "[5, 3]"},
    "a topology": {"topology": "[{kind: torus, side: 3}, {kind: cycle, nodes: 12}]"},
    "keys that move together": {"delta_t": "[2, 4]", "horizon": "[10, 20]", "zip": "[delta_t, horizon]"},
    "seeds": {"seed": "[1, 2]"},
    "dispatchers": {"dispatchers": "[RND, JSQ, {name: JSQ-M, weight: 1}, {name: JSQ, ties: job, label: x}]"},
    "values of an option": {"dispatchers": "[JSQ, {name: JSQ-M, weight: [0.5, 1]}]"},
    "values of two options": {"dispatchers": "[JSQ, {name: JSQ-M, weight: [sharing, 1], bonus: [0.9, 0]}]"},
    "a dispatcher's other name": {"dispatchers": "[{name: JSQ, label: shortest}, {name: JSQ-M, weight: 1}, RND]"},
    "replications": {"replications": "5"},
    "traces": {"trace": "{jobs: 3, epochs: 2, messages: 2}"},
    "a name and a picture": {"name": "other", "plot": "{title: Other}"},
    "all of it": {
        "delta_t": "{from: 1, to: 3, step: 1}",
        "buffer": "[4, 5]",
        "seed": "[1, 2]",
        "dispatchers": "[JSQ, RND, {name: JSQ-M, weight: [1, 2]}]",
        "replications": "4",
        "trace": "{jobs: 3, epochs: 1, messages: 1}",
    },
}


def written(**changes):
    """Write a scenario with other keys, and return the name of its file."""
    lines = [line for line in SCENARIO.strip().split("\n") if line.partition(":")[0] not in changes]
    Path("more.yaml").write_text("\n".join([*lines, *(f"{key}: {value}" for key, value in changes.items())]) + "\n")
    return "more.yaml"


@pytest.fixture
def finished(folder):
    """A folder with a finished run, `out`."""
    (folder / "s.yaml").write_text(SCENARIO)
    assert main(["s.yaml", "--quiet", "--out", "out"]) == 0
    return folder


@pytest.mark.parametrize("changes", MORE.values(), ids=MORE)
def test_what_is_added_is_run_and_the_results_are_those_of_a_run_from_nothing(finished, counted, capsys, changes):
    before = pd.read_parquet("out/episodes.parquet")
    more = written(**changes)
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    asked_for = len(pd.read_parquet("nothing/episodes.parquet"))
    counted.clear()
    capsys.readouterr()
    assert main([more, "--quiet", "--out", "out"]) == 0
    told = capsys.readouterr().err
    assert_same("out", "nothing")
    again = {"traces": 2 * 2, "all of it": 2}  # those that are traced now
    (name,) = (name for name, some in MORE.items() if some is changes)
    assert len(counted) == asked_for - len(before) + again.get(name, 0)
    assert told.count("\n") == (1 if counted else 0)
    assert (f"{len(counted)} episodes" in told) == bool(counted)
    counted.clear()
    assert main([more, "--quiet", "--out", "out"]) == 0
    assert counted == []
    assert capsys.readouterr().err == ""
    assert_same("out", "nothing")


@pytest.mark.parametrize("weights", ["[1, 1.5, 2]", "[1, 2, sharing]", "[sharing, 2, 1]"])
def test_numbers_that_stand_beside_others_now_have_another_type_everywhere(finished, counted, weights):
    two = written(dispatchers="[JSQ, {name: JSQ-M, weight: [1, 2]}]")
    assert main([two, "--quiet", "--out", "out", "--fresh"]) == 0
    assert str(pq.read_schema("out/jobs/JSQ_delta_t=2_r000.parquet").field("dispatchers.weight").type) == "int64"
    more = written(dispatchers=f"[JSQ, {{name: JSQ-M, weight: {weights}}}]")
    counted.clear()
    assert main([more, "--quiet", "--out", "out"]) == 0
    assert len(counted) == 3
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    assert_same("out", "nothing")


def test_an_episode_that_engines_are_no_longer_compared_in_is_run_again(finished, counted):
    some = {"delta_t": "[2]", "trace": "{jobs: 1}", "compared_points": "2"}
    assert main([written(**some), "--quiet", "--out", "out", "--fresh"]) == 0
    counted.clear()
    assert main([written(**some | {"delta_t": "[1, 2, 3]"}), "--quiet", "--out", "out"]) == 0
    assert len(counted) == 12 + 2
    assert main(["more.yaml", "--quiet", "--out", "nothing"]) == 0
    assert_same("out", "nothing")
    assert pd.read_parquet("out/episodes.parquet").query("delta_t == 2").engine.unique().tolist() == ["compiled"]


def test_a_dispatcher_that_is_added_may_need_more_replications_of_all(finished, counted):
    some = {"precision": "0.4", "replications": "60", "trace": "{}", "horizon": "50"}
    one = written(**some, dispatchers="[JSQ]")
    assert main([one, "--quiet", "--out", "out", "--fresh"]) == 0
    few = pd.read_parquet("out/summary.parquet").replications.tolist()
    more = written(**some, dispatchers="[{name: JSQ-M, weight: [0.5, 1]}, JSQ]", delta_t="[2, 4]")
    counted.clear()
    assert main([more, "--quiet", "--out", "out"]) == 0
    again = [task for task in counted if task.cell.spec.display == "JSQ" and task.cell.scenario.delta_t == 2]
    assert min(task.replication for task in again) == few[0]
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    assert_same("out", "nothing")


REFUSED = {
    "no longer this value": ({"delta_t": "[3, 5]"}, "results of another scenario (delta_t: 2, now [3, 5])"),
    "a value less": ({"delta_t": "[2, 4]", "buffer": "4"}, "results of another scenario (buffer: 5, now 4)"),
    "another seed": ({"seed": "2"}, "results of another scenario (seed: 1, now 2)"),
    "another engine": ({"engine": "simpy"}, "results of another scenario (engine: auto, now simpy)"),
    "a dispatcher less": (
        {"dispatchers": "[JSQ, RND]"},
        "results of {name: JSQ-M, weight: 1}, which is not among its dispatchers now",
    ),
    "another option": (
        {"dispatchers": "[JSQ, {name: JSQ-M, weight: [2, 3]}]"},
        "results of {name: JSQ-M, weight: 1}, now {name: JSQ-M, weight: [2, 3]}",
    ),
    "a name for something else": (
        {"dispatchers": "[{name: RND, label: JSQ}, {name: JSQ, label: x}, {name: JSQ-M, weight: 1}]"},
        "results of JSQ, now {name: RND, label: JSQ}",
    ),
    "fewer traces": (
        {"trace": "{jobs: 2, epochs: 1}"},
        "results of another scenario (trace.messages: 1, now 0); traces are not removed",
    ),
    "other pairs of values": (
        {"delta_t": "[2, 4]", "horizon": "[20, 10]", "zip": "[delta_t, horizon]"},
        "results of JSQ at delta_t = 2 ms, which the scenario does not ask for",
    ),
}


@pytest.mark.parametrize(("changes", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_part_of_the_scenario_is_refused_and_left_as_it_is(finished, counted, capsys, changes, told):
    before = content(finished / "out")
    counted.clear()
    capsys.readouterr()
    assert main([written(**changes), "--quiet", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error == f"output folder out: it holds {told}; choose another --out, or --fresh to start over\n"
    assert counted == []
    assert content(finished / "out") == before


def test_an_extension_that_was_stopped_is_taken_up_again(finished, counted, monkeypatch):
    more = written(**MORE["all of it"])
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    before = content(finished / "out")
    for episodes, error in ((0, Killed()), (5, Killed()), (9, KeyboardInterrupt()), (3, Killed())):
        with monkeypatch.context() as patch:
            stop_after(patch, episodes, error)
            try:
                assert main([more, "--quiet", "--out", "out"]) == 130
                before = content(finished / "out")
            except Killed:
                left = content(finished / "out")
                assert {name: left[name] for name in before} == before
                assert {name.split("/")[0] for name in left.keys() - before.keys()} <= {".partial"}
        Results.open("out")
        pd.read_parquet("out/episodes.parquet")
    counted.clear()
    assert main([more, "--quiet", "--out", "out"]) == 0
    assert len(counted) == 2 * 3 * 2 * 4 * 4 - 6 + 2 - 5 - 9 - 3
    assert_same("out", "nothing")


@pytest.mark.parametrize("moved", range(0, 24, 3))
def test_an_extension_that_was_killed_while_files_were_moved_is_whole_after_the_next_run(finished, monkeypatch, moved):
    more = written(**MORE["points of a key that was not swept"])
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    count, replace, unlink = iter(range(1000)), Path.replace, Path.unlink

    def killed_at(act):
        def acting(self, *arguments, **keys):
            is_moved = "out" in self.parts and self.suffix == ".parquet" and not self.name.startswith(".")
            if is_moved and next(count) == moved:
                raise Killed
            return act(self, *arguments, **keys)

        return acting

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed_at(replace))
        patch.setattr(Path, "unlink", killed_at(unlink))
        try:
            main([more, "--quiet", "--out", "out"])
            assert next(count) <= moved
        except Killed:
            pass
    assert main([more, "--quiet", "--out", "out"]) == 0
    assert_same("out", "nothing")


@pytest.mark.parametrize("written_anew", [0, 3, 6])
def test_traces_that_a_killed_extension_has_written_anew_do_not_stay(finished, monkeypatch, written_anew):
    before, two = content(finished / "out"), written(**MORE["values of an option"])
    assert main([two, "--quiet", "--out", "nothing"]) == 0
    with monkeypatch.context() as patch:
        count, rewrite = iter(range(1000)), earlier.rewrite

        def rewriting(*arguments):
            if next(count) == written_anew:
                raise Killed
            return rewrite(*arguments)

        patch.setattr(earlier, "rewrite", rewriting)
        if written_anew == 6:
            stop_after(patch, 0, Killed())
        with pytest.raises(Killed):
            main([two, "--quiet", "--out", "out"])
    assert main(["s.yaml", "--quiet", "--out", "out"]) == 0
    assert content(finished / "out") == before
    assert main([two, "--quiet", "--out", "out"]) == 0
    assert_same("out", "nothing")


def test_the_old_scenario_is_refused_once_there_is_more(finished, capsys):
    assert main([written(**MORE["points"]), "--quiet", "--out", "out"]) == 0
    assert main(["s.yaml", "--quiet", "--out", "out"]) == 2
    assert "results of another scenario (delta_t: [2, 5], now 2)" in capsys.readouterr().err


def test_a_script_hears_what_was_added(finished):
    assert emulator.run("s.yaml", out="out").attrs["added"] == []
    (line,) = emulator.run(written(**MORE["all of it"]), out="out").attrs["added"]
    assert line == (
        "out: adds 11 points (delta_t = 1, 3 ms; buffer = 4 jobs; seed = 2), dispatchers RND, JSQ-M weight=2, "
        "1 replication, traces: 188 episodes; 4 finished ones are kept"
    )


@pytest.mark.slow
def test_an_extension_killed_at_random_moments_ends_with_the_same(finished):
    generator = random.Random(os.getpid())
    more = written(**MORE["all of it"], compared_points="2")
    command = ["-m", "emulator", more, "--quiet", "--out", "out", "--workers", "2"]
    for _ in range(3):
        process = started(*command, start_new_session=True)
        time.sleep(generator.uniform(0.5, 6.0))
        os.killpg(process.pid, signal.SIGKILL)
        ended(process)
    assert ended(started(*command)).returncode == 0
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    assert_same("out", "nothing")


def test_a_trace_of_another_episode_is_not_taken_for_its_own(finished, counted):
    traces = finished / "out" / "jobs"
    (traces / "JSQ_delta_t=2_r000.parquet").write_bytes((traces / "JSQ_delta_t=2_r001.parquet").read_bytes())
    more = written(**MORE["points of a key that was not swept"])
    counted.clear()
    assert main([more, "--quiet", "--out", "out"]) == 0
    assert len(counted) == 6 + 1
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    assert_same("out", "nothing")


def test_a_staged_trace_of_another_episode_does_not_take_the_place_of_its_own(finished):
    before, staged = content(finished / "out"), finished / "out" / ".partial" / "jobs"
    staged.mkdir(parents=True)
    (staged / "JSQ_delta_t=2_r000.parquet").write_bytes(before["jobs/JSQ_delta_t=2_r001.parquet"])
    assert main(["s.yaml", "--quiet", "--out", "out"]) == 0
    assert content(finished / "out") == before


def test_points_of_files_with_the_same_content_are_told_apart(finished, counted):
    Path("aside").mkdir()
    for name in ("a.csv", "b.csv", "aside/a.csv"):
        Path(name).write_text("0,1\n1,2\n")
    two = written(topology="{kind: edge_list, path: [a.csv, b.csv]}")
    for _ in range(2):
        counted.clear()
        assert main([two, "--quiet", "--out", "two"]) == 0
    assert counted == []
    episodes = pd.read_parquet("two/episodes.parquet")
    assert episodes.groupby("topology.path").fingerprint.apply(tuple).nunique() == 1
    assert episodes["topology.path"].value_counts().to_dict() == {"a.csv": 6, "b.csv": 6}
    three = written(
        topology="{kind: edge_list, path: [a.csv, b.csv, aside/a.csv]}"
    )  # now called a.csv #1, b.csv and a.csv #2
    counted.clear()
    assert main([three, "--quiet", "--out", "two"]) == 0
    assert len(counted) == 6
    assert main([three, "--quiet", "--out", "nothing"]) == 0
    assert_same("two", "nothing")


KEEP = """
from pathlib import Path
from dispatchers import Dispatcher

class Keep(Dispatcher):
    def __init__(self, threshold=1):
        self.threshold = threshold
        self.share = float(Path(__file__).with_name("share.txt").read_text())

    def route(self, view):
        return view.offload(self.share * (view.own_lengths >= self.threshold))
"""


def test_options_of_a_users_class_are_added_as_long_as_its_files_are_the_same(finished, counted, capsys):
    Path("mine.py").write_text(KEEP)
    Path("share.txt").write_text("0.5")
    one = written(dispatchers="[JSQ, {class: 'mine:Keep'}]")
    assert main([one, "--quiet", "--out", "out", "--fresh"]) == 0
    more = written(dispatchers="[JSQ, {class: 'mine:Keep', threshold: [0, 1, 2]}]")
    counted.clear()
    assert main([more, "--quiet", "--out", "out"]) == 0
    assert {task.cell.spec.display for task in counted} == {"Keep threshold=0", "Keep threshold=2"}
    assert main([more, "--quiet", "--out", "nothing"]) == 0
    assert_same("out", "nothing")
    for file, text in (("share.txt", "0.25"), ("mine.py", KEEP + "#")):
        before = Path(file).read_text()
        Path(file).write_text(text)
        capsys.readouterr()
        much = written(dispatchers="[JSQ, {class: 'mine:Keep', label: other, threshold: [0, 1, 2, 3]}]")
        assert main([much, "--quiet", "--out", "out"]) == 2
        assert f"it holds results of another {file} of Keep" in capsys.readouterr().err
        Path(file).write_text(before)
