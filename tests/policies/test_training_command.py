"""The command that trains policies: what it writes, what it says, and that it goes on where it was."""

import json
import re
import shlex
import shutil
import signal
import sys
import time
from dataclasses import replace
from glob import glob
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from own_process import PATIENCE, ended, started

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")


import policies  # noqa: E402
from dispatchers.onnx_files.kinds import AgentPolicy, Policy  # noqa: E402
from dispatchers.rules.mean_field import MeanFieldOwn  # noqa: E402
from emulator.errors import InputError  # noqa: E402
from emulator.scenario.plan import load  # noqa: E402
from emulator.version import __version__  # noqa: E402
from policies.algorithms import direct_search  # noqa: E402
from policies.algorithms import stable_baselines as training  # noqa: E402
from policies.algorithms.actor_critic import ScalableActorCritic  # noqa: E402
from policies.command_line import EXAMPLES, main, parser  # noqa: E402
from policies.export import rules_of, to_onnx  # noqa: E402
from policies.log import TrainingLog, lines_of  # noqa: E402
from policies.presets import PRESETS  # noqa: E402
from policies.tasks import Overrides, systems_of, tasks_of  # noqa: E402
from policies.training import Trainings  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


SCENARIO = """\
topology: {kind: torus, side: 3}
delta_t: 2.5
horizon: 12
dispatchers: [RND]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    fast = {
        "MF-R": replace(PRESETS["fast"]["MF-R"], batch=100, networks=1, iterations=2),
        "NA-PS": replace(PRESETS["fast"]["NA-PS"], batch=450, minibatch=450, copies_per_path=1, iterations=2),
        "MF-RNN": replace(PRESETS["fast"]["MF-RNN"], batch=100, networks=5, iterations=2, recurrent=4),
        "SAC": ScalableActorCritic(iterations=150),
        **{name: replace(PRESETS["fast"][name], nodes=180, iterations=2) for name in ("STATIC", "MF-N", "MF-G")},
    }
    monkeypatch.setitem(PRESETS, "fast", fast)
    monkeypatch.setattr(direct_search, "STATIC", fast["STATIC"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SCENARIO)
    return tmp_path


def call(capsys, *arguments):
    """Return status, standard output and standard error; one process does it unless another number is asked for."""
    try:
        status = main(["--workers", "1", *arguments])
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


def ordered(*arguments):
    """Return the trainings that arguments ask for."""
    options = parser().parse_args(arguments)
    overrides = Overrides(iterations=options.iterations, observation=options.observation, score_on=options.evaluate)
    return Trainings(options.scenarios, overrides, out=options.out, settings=options.settings)


def test_the_command_trains_scores_and_writes_a_policy(folder, capsys):
    status, out, err = call(capsys, "small.yaml", "--quiet", "--seed", "7")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"torus_2\.5\.onnx: \d\.\d+ drops per server and 50 ms as MF-R, .*, RND .* small\)\n", out)
    assert {path.name for path in folder.iterdir()} == {"small.yaml", "torus_2.5.onnx", "runs"}
    logs = {path.name.partition(".1")[0] for path in (folder / "runs/training/torus_2.5").iterdir()}
    assert logs == {"iterations.csv", "checkpoint.pt", "training.json", "events.out.tfevents"}
    metadata = Policy("torus_2.5.onnx").metadata
    expected = {
        "buffer": "5",
        "delta_t": "2.5",
        "topology": "torus",
        "executed_as": "MF-R",
        "preset": "fast",
        "seed": "7",
        "version": __version__,
        "command": "python -m policies --workers 1 small.yaml --quiet --seed 7",
    }
    assert expected.items() <= metadata.items()
    assert "iterations=2" in metadata["hyperparameters"]
    assert np.mean([float(drops) for drops in metadata["score_episodes"].split()]) == pytest.approx(
        float(metadata["score"]), abs=1e-4
    )
    assert float(metadata["score_low"]) < float(metadata["score"]) < float(metadata["score_high"])
    told = json.loads(metadata["training_scenario"])
    assert told["topology"] == {"kind": "torus", "side": 3}
    assert str(folder) not in str(metadata)


def test_the_function_trains_what_the_command_does(folder, capsys):
    settings, lines, seconds = ["training.algorithm=STATIC"], [], []
    files = policies.train(
        "small.yaml", out="a.onnx", settings=settings, seed=7, tell=lines.append, progress=seconds.append
    )
    assert files == [Path("a.onnx")]
    assert [line.split(":")[0] for line in lines] == ["a.onnx"]
    expected = Trainings("small.yaml", out="b.onnx", settings=settings).seconds
    assert sum(seconds) == pytest.approx(expected)
    call(capsys, "small.yaml", "--quiet", "--out", "b.onnx", "--seed", "7", "--set", *settings)
    one, other = (Policy(name).metadata for name in ("a.onnx", "b.onnx"))
    assert one.pop("command") == "policies.train"
    assert other.pop("command").startswith("python -m policies --workers 1 small.yaml")
    assert one == other
    scores = policies.score(MeanFieldOwn("a.onnx"), load("small.yaml").points[0].system())
    assert " ".join(f"{drops:.4f}" for drops in scores) == one["score_episodes"]
    with pytest.raises(InputError, match=r"^--seed must be between 0 and 4294967294, got -1$"):
        policies.train("small.yaml", seed=-1)


def test_options_reach_the_training(folder, capsys):
    (folder / "larger.yaml").write_text("extends: small.yaml\ntopology: {kind: cycle, nodes: 12}\ndelta_t: 3\n")
    call(capsys, "small.yaml", "--quiet", "--out", "a.onnx")
    status, out, _ = call(
        capsys,
        *("small.yaml", "--out", "b.onnx", "--iterations", "1", "--observation", "all", "--seed", "3"),
        *("--evaluate", "larger.yaml", "--set", "delta_t=3", "--quiet"),
    )
    assert status == 0
    assert "as MF-G" in out
    assert "of larger" in out
    first, second = Policy("a.onnx").metadata, Policy("b.onnx").metadata
    told = ("executed_as", "seed", "delta_t")
    assert [first[key] for key in told] == ["MF-R", "1", "2.5"]
    assert [second[key] for key in told] == ["MF-G", "3", "3"]
    assert "iterations=1, observation='all'" in second["hyperparameters"]
    assert json.loads(second["score_on"])["topology"]["kind"] == "cycle"


def test_a_policy_that_was_told_nothing_of_the_network_becomes_one_rule(folder, capsys):
    call(capsys, "small.yaml", "--quiet", "--out", "one.onnx")
    (task,) = ordered("small.yaml").tasks
    learned = training.train(systems_of(task), task.algorithm, seed=task.seed)
    answers = rules_of(to_onnx(learned, task.identity))(np.eye(6))
    assert np.ptp(answers, axis=0).max() > 1e-3
    rules = Policy("one.onnx").rules(np.random.default_rng(1).dirichlet(np.ones(6), 5))
    np.testing.assert_allclose(rules, np.tile(answers.mean(axis=0), (5, 1)), atol=1e-6)


ALGORITHMS = {"STATIC": "MF-R", "MF-R": "MF-R", "MF-N": "MF-N", "MF-G": "MF-G", "MF-RNN": "MF-RNN", "NA-PS": "NA-PS"}
"""What each algorithm's policy is executed as; SAC's is executed as SAC."""


def test_every_algorithm_of_a_sweep_gets_its_policy(folder, capsys):
    algorithms = ",".join([*ALGORITHMS, "SAC"])
    small = ("--set", "topology={kind: cycle, nodes: 4}")  # SAC's tables grow with the degree
    arguments = ("small.yaml", "--quiet", "--out", ".", *small, "--set", f"training.algorithm=[{algorithms}]")
    status, out, _ = call(capsys, *arguments)
    assert status == 0
    names = [f"small{middle}_2.5.onnx" for middle in ("_static", "", "_mf_n", "_mf_g", "_mf_rnn", "_na_ps", "_sac")]
    assert [line.split(":")[0] for line in out.splitlines()] == names
    executed = [re.search(r" as ([^ ,]+),", line)[1] for line in out.splitlines()]
    assert executed == [*ALGORITHMS.values(), "SAC"]
    static = Policy("small_static_2.5.onnx").rules(np.random.default_rng(1).dirichlet(np.ones(6), 5))
    np.testing.assert_allclose(static, static[:1] * np.ones((5, 1)), rtol=1e-5)
    assert AgentPolicy("small_sac_2.5.onnx").nodes == 4
    first = {name: (folder / name).read_bytes() for name in names}
    call(capsys, *arguments, "--fresh")
    for name in names:
        assert onnx.load(name).graph == onnx.load_from_string(first[name]).graph


def test_what_is_there_is_not_trained_again(folder, capsys):
    arguments = ("small.yaml", "--quiet", "--out", ".", "--set", "training.algorithm=[STATIC,MF-R]")
    assert call(capsys, *arguments)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.onnx")}
    (folder / "small_2.5.onnx").write_bytes(b"damaged")
    status, out, _ = call(capsys, *arguments)
    assert status == 0
    told = [line for line in out.splitlines() if line.endswith("is there already (--fresh trains it anew)")]
    assert [line.split(":")[0] for line in told] == ["small_static_2.5.onnx"]
    assert len(out.splitlines()) == 2
    static = folder / "small_static_2.5.onnx"
    assert static.stat().st_mtime_ns == before[static]
    assert Policy("small_2.5.onnx").metadata["algorithm"] == "MF-R"
    assert call(capsys, *arguments, "--seed", "5", "--logs", "others")[0] == 0
    assert static.stat().st_mtime_ns > before[static]


def test_a_log_of_another_training_is_told_before_any_begins(folder, capsys):
    assert call(capsys, "small.yaml", "--quiet", "--set", "training.algorithm=STATIC", "--out", ".")[0] == 0
    before = sorted(folder.rglob("*"))
    settings = ("--set", "training.algorithm=[MF-G,STATIC]", "--set", "buffer=3")
    status, out, err = call(capsys, "small.yaml", "--quiet", "--out", ".", *settings)
    told = (
        "runs/training/small_static_2.5: holds the training of another scenario, seed or version; --fresh starts anew, "
        "--logs names another folder"
    )
    assert (status, out, err) == (2, "", f"{told}\n")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_processes_learn_what_one_would(folder, capsys):
    def graphs(out, *more):
        settings = ("--set", "training.algorithm=STATIC", "--set", "delta_t=[1,2,3]", "--iterations", "2")
        arguments = ("small.yaml", "--out", out, "--logs", f"logs_{out}", "--quiet", *settings, *more)
        assert call(capsys, *arguments)[0] == 0
        return {path.name: onnx.load(str(path)).graph.SerializeToString() for path in (folder / out).iterdir()}

    one = graphs("one")
    assert sorted(one) == ["small_static_1.onnx", "small_static_2.onnx", "small_static_3.onnx"]
    assert graphs("two", "--workers", "2") == one


def test_other_swept_values_are_in_the_names(folder, capsys):
    settings = ("--set", "training.algorithm=STATIC", "--set", "topology.side=[3,4]", "--set", "buffer=[1,2]")
    assert call(capsys, "small.yaml", "--out", ".", "--quiet", *settings)[0] == 0
    names = sorted(path.name for path in folder.glob("*.onnx"))
    assert names == [f"small_static_2.5_{side}_{buffer}.onnx" for side in (3, 4) for buffer in (1, 2)]
    assert Policy("small_static_2.5_4_1.onnx").buffer == 1


def test_a_training_has_a_seed_of_its_own_which_can_be_swept(folder, capsys):
    sweep = ["--set", "training.seed=[1, 2, 3]", "--set", "training.algorithm=STATIC", "--set", "seed=2"]
    assert call(capsys, "small.yaml", "--out", ".", "--quiet", *sweep)[0] == 0
    files = [Path(f"small_static_2.5_{seed}.onnx") for seed in (1, 2, 3)]
    assert [Policy(file).metadata["seed"] for file in files] == ["1", "2", "3"]
    rules = [tuple(Policy(file).rules(np.eye(6))[:, 0]) for file in files]
    assert len(set(rules)) == 3
    plain = ["--set", "seed=2", "--set", "training.algorithm=STATIC"]
    call(capsys, "small.yaml", "--out", "same.onnx", "--quiet", *plain)
    same = Policy("same.onnx")
    assert tuple(same.rules(np.eye(6))[:, 0]) == rules[1]
    assert same.metadata["training_scenario"] == Policy(files[1]).metadata["training_scenario"]
    _, out, _ = call(capsys, "small.yaml", "--out", ".", "--quiet", *sweep)
    assert out.count("is there already") == 3


def test_actions_that_hold_for_an_epoch_are_learned_from_two_starts(folder, capsys):
    drawn = ["--out", "epoch.onnx", "--quiet", "--set", "training.draws=epoch"]
    call(capsys, "small.yaml", *drawn)
    (log,) = Path("runs/training").glob("epoch*")
    assert lines_of(log)["iteration"] == lines_of(log / "start_2")["iteration"] == [1, 2]
    assert lines_of(log)["drops"] != lines_of(log / "start_2")["drops"]
    assert "is there already" in call(capsys, "small.yaml", *drawn)[1]


def test_rewards_can_be_centred_over_more_rows(folder, capsys):
    call(capsys, "small.yaml", "--out", "plain.onnx", "--quiet", "--set", "training.copies_per_path=1")
    assert "copies_per_path=1," in Policy("plain.onnx").metadata["hyperparameters"]
    searched = ["--set", "training.algorithm=STATIC", "--set", "training.copies_per_path=2"]
    status, _, err = call(capsys, "small.yaml", *searched)
    assert status == 2
    assert err.endswith("training.copies_per_path must be left out for STATIC, which has no batches\n")


def test_a_picture_of_trainings_comes_with_its_table(folder, capsys):
    (folder / "curves.yaml").write_text(
        "extends: small.yaml\ntraining: {algorithm: MF-R, hidden: [[4], [5, 6]]}\nplot: {kind: learning_curve}\n"
    )
    assert call(capsys, "curves.yaml", "--out", ".", "--quiet")[0] == 0
    rows = pd.read_parquet(folder / "training.parquet")
    assert rows["training.hidden"].nunique() == 2
    assert rows.iteration.tolist() == [1, 2, 1, 2]
    assert (rows.drops > 0).all()
    assert (folder / "summary.png").read_bytes().startswith(b"\x89PNG")
    shutil.rmtree(folder / "runs")  # then the lines are not there, so they are made again
    status, out, _ = call(capsys, "curves.yaml", "--out", ".", "--quiet")
    assert status == 0
    assert "is there already" not in out


def test_two_trainings_do_not_write_one_file(folder, capsys):
    (folder / "else").mkdir()
    (folder / "else/small.yaml").write_text("extends: ../small.yaml\nbuffer: 3\n")
    status, _, err = call(capsys, "small.yaml", "else/small.yaml", "--out", ".", "--quiet")
    assert (status, err) == (2, "several trainings would write small_2.5.onnx: take one of the scenarios at a time\n")


def test_a_scenario_says_how_its_policies_are_trained(folder, capsys):
    (folder / "larger.yaml").write_text("extends: small.yaml\ntopology: {kind: cycle, nodes: 12}\n")
    section = "training: {observation: all, iterations: 1, hidden: [7], graphs: 1, score: larger.yaml}\n"
    (folder / "said.yaml").write_text("extends: small.yaml\n" + section)
    status, out, _ = call(capsys, "said.yaml", "--quiet")
    assert status == 0
    assert "as MF-G" in out
    assert "of larger" in out
    metadata = Policy("torus_2.5.onnx").metadata
    assert (metadata["executed_as"], metadata["algorithm"]) == ("MF-G", "MF-R")
    assert "iterations=1, observation='all'" in metadata["hyperparameters"]
    assert "hidden=(7,)" in metadata["hyperparameters"]
    assert float(metadata["training_drops_low"]) < float(metadata["training_drops"])


def test_an_interrupted_command_goes_on_where_it_was(folder, capsys, monkeypatch):
    call(capsys, "small.yaml", "--quiet", "--out", "whole.onnx", "--logs", "logs")
    real = TrainingLog.note

    def interrupted(log, **line):
        real(log, **line)
        if len(log.rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "note", interrupted)
        assert call(capsys, "small.yaml", "--quiet", "--out", "part.onnx")[0] == 130
    assert not (folder / "part.onnx").exists()
    assert call(capsys, "small.yaml", "--quiet", "--out", "part.onnx")[0] == 0
    np.testing.assert_array_equal(Policy("part.onnx").rules(np.eye(6)), Policy("whole.onnx").rules(np.eye(6)))


def test_each_delta_t_gets_its_policy(folder, capsys):
    (folder / "shelf").mkdir()
    (folder / "test.yaml").write_text("extends: small.yaml\ndelta_t: [1, 2, 3]\n")
    arguments = ("small.yaml", "--iterations", "1", "--set", "delta_t=[1,3]", "--evaluate", "test.yaml")
    status, out, _ = call(capsys, *arguments, "--out", "shelf", "--quiet")
    assert status == 0
    assert sorted(line.split(":")[0] for line in out.splitlines()) == ["shelf/small_1.onnx", "shelf/small_3.onnx"]
    for delta_t in ("1", "3"):
        metadata = Policy(f"shelf/small_{delta_t}.onnx").metadata
        assert metadata["delta_t"] == delta_t
        assert json.loads(metadata["training_scenario"])["delta_t"] == float(delta_t)
        assert json.loads(metadata["score_on"])["delta_t"] == float(delta_t)


def test_progress_goes_to_standard_error(folder, capsys):
    status, out, err = call(capsys, "small.yaml", "--iterations", "1")
    assert status == 0
    assert out.count("\n") == 1
    assert "torus_2.5.onnx" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (
            ["small.yaml", "--set", "training.algorithm=SAC", "--set", "training.graphs=2"],
            "small.yaml: training.graphs must be 1 for SAC, whose policies fit one graph, got 2",
        ),
        (
            ["small.yaml", "--set", "training.algorithm=[MF-R,MF-RNN]", "--set", "training.graphs=2"],
            "small.yaml: training.graphs must divide 5, got 2",
        ),
        (
            ["small.yaml", "--evaluate", "slow.yaml"],
            "slow.yaml: delta_t must be 2.5 as in training, got 5",
        ),
        (
            ["small.yaml", "--set", "training.algorithm=SAC", "--evaluate", "ring.yaml"],
            "ring.yaml: topology must give the graph of the training, which alone SAC's policies fit",
        ),
        (["small.yaml", "--out", "folder.onnx"], "--out must lead to files, got the folder folder.onnx"),
        (["small.yaml", "--out", f"{'x' * 300}.onnx"], "xxx.onnx: File name too long"),
        (["small.yaml", "--logs", "x" * 5000], "--out and --logs must lead to files and folders, got xxx"),
        (["small.yaml", "--logs", "small.yaml"], "--logs must lead to a folder that can be written to, got small.yaml"),
        (["small.yaml", "--workers", "0"], "argument --workers: must be a whole number from 1 to 10,000, got 0"),
        (
            ["small.yaml", "--set", "delta_t=[1,2]", "--out", "a.onnx"],
            "--out must be a folder where there are several policies, got a.onnx",
        ),
        (
            ["small.yaml", "--set", "delta_t=[1,2]", "--evaluate", "other.yaml"],
            "other.yaml: delta_t must take the value 1 too",
        ),
        (
            ["small.yaml", "--set", "service.work=deterministic"],
            "small.yaml: service.work must be exponential here, got deterministic",
        ),
        (
            ["small.yaml", "--set", "messages.latency=1"],
            "small.yaml: messages, decide and dispatch must be left out to train, and to score, by epochs",
        ),
        *[
            (
                ["small.yaml", "--set", f"arrivals={arrivals}"],
                "small.yaml: arrivals must be high and low, without a kind, weights or batch, to train",
            )
            for arrivals in ("{kind: poisson, rate: 0.9}", "{batch: 2}", "{weights: {kind: zipf}}")
        ],
        (["small.yaml", "--evaluate", "deep.yaml"], "deep.yaml: buffer must be 5 as in training, got 7"),
        (["small.yaml", "--iterations", "0"], "must be a whole number from 1 to 10,000,000, got 0"),
        (["small.yaml", "--iterations", "10000001"], "must be a whole number from 1 to 10,000,000, got 10000001"),
        (
            ["small.yaml", "--set", "seed=4294967295"],
            "small.yaml: seed must be between 0 and 4294967294, got 429496729",
        ),
        (
            ["small.yaml", "--observation", "all", "--set", "training.algorithm=STATIC"],
            "--observation must stand beside training.algorithm MF-R, got STATIC",
        ),
        (["small.yaml", "--set", "training={algorithm: SAT}"], "training.algorithm"),
        (
            ["small.yaml", "--set", "training={algorithm: MF-N, hidden: [8]}"],
            "training.hidden must be left out for MF-N, which has no hidden layers",
        ),
        (
            ["small.yaml", "--set", "training={algorithm: MF-G, observation: all}"],
            "training.observation must stand beside algorithm: MF-R, got MF-G",
        ),
        (["small.yaml", "--seed", "-1"], "--seed must be between 0 and 4294967294, got -1"),
        (["small.yaml", "--seed", "4294967295"], "--seed must be between 0 and 4294967294, got 4294967295"),
        (
            ["small.yaml", "--out", "small.yaml/b.onnx"],
            "--out must lead to a folder that can be written to, got small.yaml",
        ),
        (["small.yaml", "--preset", "slow"], "invalid choice: 'slow'"),
        ([], "SCENARIO"),
    ],
)
def test_bad_input_is_told_in_one_line(folder, capsys, arguments, message):
    (folder / "deep.yaml").write_text("extends: small.yaml\nbuffer: 7\n")
    (folder / "other.yaml").write_text("extends: small.yaml\ndelta_t: [3, 7]\n")
    (folder / "folder.onnx").mkdir()
    (folder / "slow.yaml").write_text("extends: small.yaml\ndelta_t: 5\n")
    (folder / "ring.yaml").write_text("extends: small.yaml\ntopology: {kind: cycle, nodes: 9}\n")
    status, out, err = call(capsys, *arguments, "--quiet")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in folder.glob("**/*.onnx")] == ["folder.onnx"]


def test_a_refused_training_leaves_nothing_that_another_is_refused_for(folder, capsys):
    few = ("small.yaml", "--quiet", "--preset", "paper", "--iterations", "1")
    status, _, err = call(capsys, *few, "--set", "training.graphs=999")
    assert (status, err) == (2, "training.graphs must be at most 80, the networks, got 999\n")
    assert call(capsys, *few, "--set", "training.graphs=2")[0] == 0


@pytest.mark.parametrize("algorithm", ["STATIC", "MF-R", "SAC"])
def test_tensorboard_is_told_the_drops_of_the_lines(folder, capsys, algorithm):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = ("--set", f"training.algorithm={algorithm}", "--set", "topology={kind: cycle, nodes: 5}")
    assert call(capsys, "small.yaml", "--quiet", *settings, "--out", "a.onnx")[0] == 0
    events = EventAccumulator(str(folder / "runs/training/a")).Reload().Scalars("rollout/drops")
    lines = lines_of(folder / "runs/training/a")
    assert [event.step for event in events] == lines["decisions"]
    np.testing.assert_allclose([event.value for event in events], lines["drops"], rtol=1e-6)


def test_a_damaged_checkpoint_is_told_in_one_line(folder, capsys):
    assert call(capsys, "small.yaml", "--quiet")[0] == 0
    (folder / "torus_2.5.onnx").unlink()
    path = folder / "runs/training/torus_2.5/checkpoint.pt"
    path.write_bytes(path.read_bytes()[:500])
    status, out, err = call(capsys, "small.yaml", "--quiet")
    assert (status, out, err) == (2, "", "runs/training/torus_2.5/checkpoint.pt: is damaged; --fresh starts anew\n")


def test_without_torch_the_extra_is_named(folder, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "policies.algorithms.stable_baselines")
    monkeypatch.delattr("policies.algorithms.stable_baselines", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    status, _, err = call(capsys, "small.yaml", "--quiet")
    assert status == 2
    assert err == "training needs torch, which is not installed: pip install 'load-balancing-emulator[train]'\n"


def test_ctrl_c_leaves_what_was_there(folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    (folder / "torus_2.5.onnx").write_bytes(b"older")
    monkeypatch.setattr(training, "train", interrupted)
    status, out, err = call(capsys, "small.yaml")
    assert (status, out) == (130, "")
    assert err == "interrupted: the same command goes on from here\n"
    assert (folder / "torus_2.5.onnx").read_bytes() == b"older"
    assert {path.name for path in folder.iterdir()} == {"small.yaml", "torus_2.5.onnx", "runs"}


@pytest.mark.slow
def test_a_running_command_can_be_interrupted(tmp_path):
    command = ["-m", "policies", ROOT / "scenarios/training/torus.yaml"]
    command += ["--set", "delta_t=5", "--set", "training.algorithm=MF-R", "--set", "training.draws=job"]
    command += ["--logs", tmp_path / "logs"]
    out = tmp_path / "policy.onnx"
    process = started(*command, "--iterations", "1000", "--out", out)
    until = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("logs/*/iterations.csv")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    err = done.stderr
    assert done.returncode == 130
    assert "Traceback" not in err
    assert err.endswith("interrupted: the same command goes on from here\n")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def documented_commands():
    """Return the arguments of every call of the command that README, docs and its own help show."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "policies/trained/README.md"]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    texts += [page.read_text(encoding="utf-8") for page in sorted((ROOT / "scenarios/training").glob("*.yaml"))]
    lines = [line.strip("$# ") for text in [*texts, EXAMPLES] for line in text.splitlines()]
    return sorted({line for line in lines if line.startswith("python -m policies scenarios/")})


@pytest.mark.parametrize("line", documented_commands())
def test_a_documented_command_is_one(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments = [word for each in shlex.split(line, comments=True)[3:] for word in sorted(glob(each)) or [each]]
    tasks = ordered(*arguments).tasks
    assert all((ROOT / task.out).parent.is_dir() for task in tasks)


def test_commands_are_documented():
    assert len(documented_commands()) >= 8


def test_larger_networks_are_expected_to_take_longer(folder):
    def seconds(*settings):
        return ordered("small.yaml", *(word for text in settings for word in ("--set", text))).seconds

    plain = seconds()
    wide = seconds("training.hidden=[256, 256]")
    assert seconds("training.draws=epoch") == 2.0 * plain
    # Two iterations of 100 decisions by 10 passes; without hidden layers there are 6 x 6 weights.
    assert wide - plain == pytest.approx(2 * 12.0 * (68_608 - 36) * 100 * 10 / 2e10)


def test_a_scenario_to_score_on_is_read_once(folder, monkeypatch):
    """However many points a sweep has: a large one took longer to be refused than a user waits."""
    text = Path("small.yaml").read_text()
    Path("swept.yaml").write_text(text + "training: {seed: [1, 2, 3], score: small.yaml}\n")
    read = []
    plan = load("swept.yaml")
    monkeypatch.setattr("emulator.scenario.plan.load", lambda path: read.append(path) or load(path))
    assert len(tasks_of([plan], Overrides(), None)) == 3
    assert [Path(path).name for path in read] == ["small.yaml"]
