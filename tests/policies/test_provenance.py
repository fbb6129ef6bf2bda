"""What trainings leave tells nobody's folders, is known again wherever it is moved to, and is refused if damaged."""

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from policies import card  # noqa: E402
from policies.algorithms.actor_critic import ScalableActorCritic  # noqa: E402
from policies.card import main as card_main  # noqa: E402
from policies.command_line import main  # noqa: E402
from policies.export import fixed_to_onnx, write  # noqa: E402
from policies.learned import is_learned  # noqa: E402
from policies.presets import PRESETS  # noqa: E402
from policies.provenance import is_same, metadata_of, without_folders  # noqa: E402
from policies.training import Trainings  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

SCENARIO = """\
topology: {kind: edge_list, path: ../graphs/ring.csv}
delta_t: 2.5
horizon: 12
dispatchers: [RND]
training: {algorithm: [STATIC, MF-R], score: ../tests/ring.yaml}
plot: {kind: learning_curve}
"""

RING = "0,1\n1,2\n2,3\n0,3\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a training on a graph from a file, scored on another scenario of such a graph."""
    fast = PRESETS["fast"] | {
        "MF-R": replace(PRESETS["fast"]["MF-R"], batch=100, networks=1, iterations=2),
        "STATIC": replace(PRESETS["fast"]["STATIC"], nodes=180, iterations=2),
        "SAC": ScalableActorCritic(iterations=100),
    }
    monkeypatch.setitem(PRESETS, "fast", fast)
    folder = tmp_path / "project"
    for name in ("graphs", "scenarios", "tests"):
        (folder / name).mkdir(parents=True)
    (folder / "graphs/ring.csv").write_text(RING)
    (folder / "graphs/test.csv").write_text(RING + "4,5\n")
    (folder / "scenarios/ring.yaml").write_text(SCENARIO)
    test = "topology: {kind: edge_list, path: ../graphs/test.csv}\ndelta_t: 2.5\ndispatchers: [RND]\n"
    (folder / "tests/ring.yaml").write_text(test)
    monkeypatch.chdir(folder)
    return folder


def call(capsys, *arguments):
    """Return status, standard output and standard error."""
    try:
        status = main([*arguments, "--quiet", "--workers", "1"])
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


def places(folder):
    """Return the arguments that say with absolute paths what is read and written."""
    return (
        *(str(folder / "scenarios/ring.yaml"), "--out", f"{folder}/shelf/", f"--logs={folder}/runs"),
        *("--evaluate", str(folder / "tests/ring.yaml")),
        *("--set", f"topology={{kind: edge_list, path: {folder}/graphs/ring.csv}}"),
        *("--set", f"training.score={folder}/tests/ring.yaml"),
    )


def texts(folder):
    """Return all that stands in the files below a folder, tables unpacked."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.name, str(path.relative_to(folder)).encode()
        yield path.name, path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield path.name, repr((table.schema.metadata, table.to_pydict())).encode()


def test_nothing_that_is_left_tells_the_folders(project, capsys):
    graphs = ("--set", f"topology.path=[{project}/graphs/ring.csv, {project}/graphs/test.csv]")
    assert call(capsys, *places(project), *graphs)[0] == 0
    left = [*texts(project / "shelf"), *texts(project / "runs")]
    assert len({name for name, _ in left}) >= 8
    for name, text in left:
        assert bytes(project.parent) not in text, name
        assert str(project.parent).strip("/").replace("/", "-").encode() not in text, name
    told = metadata_of(project / "shelf/ring_2.5_ring.csv.onnx")
    assert "--out shelf/ --logs=runs --evaluate ring.yaml" in told["command"]
    assert json.loads(told["training_scenario"])["topology"] == {"kind": "edge_list", "path": "ring.csv"}


def again(capsys, *arguments):
    """Return how many lines there are, and how many say that a policy is there already."""
    status, out, err = call(capsys, *arguments)
    assert (status, err) == (0, "")
    return len(out.splitlines()), out.count("is there already")


def test_a_project_is_known_again_wherever_it_is(project, capsys, monkeypatch):
    arguments = ("scenarios/ring.yaml", "--out", "shelf", "--logs", "runs")
    assert again(capsys, *arguments) == (3, 0)
    assert again(capsys, *places(project)[:4]) == (3, 2)
    link = project.parent / "link"
    link.symlink_to(project)
    assert again(capsys, *places(link)) == (3, 2)
    moved = project.parent / "elsewhere"
    project.rename(moved)
    monkeypatch.chdir(moved)
    assert again(capsys, *arguments) == (3, 2)
    (moved / "tests/ring.yaml").rename(moved / "scenarios/test.yaml")
    (moved / "graphs/ring.csv").rename(moved / "graphs/cycle.csv")
    text = SCENARIO.replace("ring.csv", "cycle.csv").replace("../tests/ring.yaml", "test.yaml")
    (moved / "scenarios/ring.yaml").write_text(text)
    shutil.rmtree(moved / "shelf")
    assert again(capsys, *arguments) == (3, 0)  # on from the logs, which are not refused
    assert again(capsys, *arguments) == (3, 2)


def test_another_graph_by_the_same_name_is_another_training(project, capsys):
    arguments = ("scenarios/ring.yaml", "--out", "shelf", "--logs", "runs")
    assert again(capsys, *arguments) == (3, 0)
    test = project / "graphs/test.csv"
    test.write_text(RING + "4,5\n5,6\n")
    assert again(capsys, *arguments) == (3, 0)  # scored anew
    (project / "graphs/ring.csv").write_text(RING + "1,3\n")
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (2, "")
    assert "runs/ring_static_2.5: holds the training of another scenario" in err


UNSHIPPED = "cube_connected_cycle_mf_g"
"""How the names of policies begin that are not shipped for actions that hold for an epoch."""


def test_what_is_shipped_is_known_again(monkeypatch):
    libraries = metadata_of(ROOT / "policies/trained/torus_5.onnx")["libraries"]
    monkeypatch.setattr("policies.tasks.libraries", lambda: libraries)
    monkeypatch.chdir(ROOT)
    files = sorted(map(str, Path("scenarios/training").glob("*.yaml")))
    tasks = Trainings(files, out="policies/trained").tasks
    shipped = [each for each in tasks if each.draws == "job" or not each.out.name.startswith(UNSHIPPED)]
    assert {task.out.name for task in shipped} == {path.name for path in Path("policies/trained").glob("*.onnx")}
    assert len(shipped) > 300
    assert all(is_learned(task, Path("nowhere")) for task in shipped)


@pytest.mark.parametrize(
    ("text", "shortened"),
    [
        ("/home/me/my work/torus.yaml", "torus.yaml"),
        ("--out=/home/me/shelf/", "--out=shelf/"),
        ("topology.path=[/a/b.csv, /c/d.csv]", "topology.path=[b.csv, d.csv]"),
        ('topology={kind: edge_list, path: "/a/b c/d.csv"}', 'topology={kind: edge_list, path: "d.csv"}'),
        ("edge_list(path=/a/b.csv)", "edge_list(path=b.csv)"),
        ("../paper/figure_08.yaml", "../paper/figure_08.yaml"),
        ("scenarios/training/torus.yaml", "scenarios/training/torus.yaml"),
        ("drops 1/ms", "drops 1/ms"),
    ],
)
def test_of_an_absolute_path_the_name_is_left(text, shortened):
    assert without_folders(text) == shortened


@pytest.mark.parametrize("told", ["3", "[]", '{"topology": 3}', "{", "[" * 5000, None, 7])
def test_what_is_no_scenario_is_another_one(told):
    assert not is_same({"score_on": told}, {"score_on": '{"topology": {}}'})


# What cannot be used


def fifo(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def damaged(text):
    return lambda path: path.write_bytes(text)


def large(path):
    with path.open("wb") as file:
        file.truncate(2**33)


LOST = [
    ("training.json", damaged(b"{"), "is damaged"),
    ("training.json", damaged(b"[1]"), "is damaged"),
    ("training.json", damaged(b"\xff"), "is damaged"),
    ("training.json", fifo, "cannot be read: Not a regular file"),
    ("training.json", large, "cannot be read: Larger than"),
    ("iterations.csv", damaged(b"iteration\n1\n"), "is damaged"),
    ("iterations.csv", damaged(b"iteration,decisions,drops,seconds\n1,2,nan,4\n"), "is damaged"),
    ("iterations.csv", damaged(b"\xff\x00"), "is damaged"),
    ("iterations.csv", fifo, "cannot be read: Not a regular file"),
    ("checkpoint.pt", damaged(b"PK"), "is damaged"),
    ("checkpoint.pt", lambda path: torch.save([1], path), "is damaged"),
    ("checkpoint.pt", lambda path: torch.save({"decisions": 3}, path), "is damaged"),
    ("checkpoint.pt", fifo, "cannot be read: Not a regular file"),
    ("checkpoint.pt", large, "cannot be read: Larger than"),
]


@pytest.mark.parametrize("algorithm", ["MF-R", "SAC"])
def test_a_log_that_cannot_be_used_is_told_in_one_line_and_begun_anew(project, capsys, algorithm):
    (project / "plain.yaml").write_text(SCENARIO[: SCENARIO.index("training")].replace("../", ""))
    settings = ("--set", f"training.algorithm={algorithm}", "--evaluate", "plain.yaml")
    arguments = ("scenarios/ring.yaml", "--out", "a.onnx", "--logs", "runs", *settings)
    assert call(capsys, *arguments)[0] == 0
    (project / "a.onnx").unlink()
    (project / "runs").rename(project / "whole")
    for name, lose, why in LOST:
        shutil.rmtree(project / "runs", ignore_errors=True)
        shutil.copytree(project / "whole", project / "runs")
        lose(project / "runs/a" / name)
        status, out, err = call(capsys, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"runs/a/{name}: {why}")
        assert err.endswith("; --fresh starts anew\n")
    for name in ("training.json", "iterations.csv", "checkpoint.pt"):
        fifo(project / "runs/a" / name)
    assert call(capsys, *arguments, "--fresh")[0] == 0


def test_a_log_that_is_a_file_is_told_in_one_line(project, capsys):
    (project / "runs").mkdir()
    (project / "runs/a").write_text("")
    for fresh in ([], ["--fresh"]):
        arguments = ("--set", "training.algorithm=STATIC", "--out", "a.onnx", "--logs", "runs", *fresh)
        status, out, err = call(capsys, "scenarios/ring.yaml", *arguments)
        assert (status, out, err) == (2, "", "--logs must lead to folders, got runs/a\n")


def test_a_log_that_is_a_link_is_begun_anew_without_what_it_leads_to(project, capsys):
    (project / "other").mkdir()
    (project / "other/kept").write_text("")
    (project / "runs").mkdir()
    (project / "runs/a").symlink_to("../other")
    arguments = ("--set", "training.algorithm=STATIC", "--out", "a.onnx", "--logs", "runs", "--fresh")
    assert call(capsys, "scenarios/ring.yaml", *arguments)[0] == 0
    assert [path.name for path in (project / "other").iterdir()] == ["kept"]


def test_a_policy_that_is_a_pipe_is_told_in_one_line(project, capsys):
    os.mkfifo(project / "a.onnx")
    status, out, err = call(capsys, "scenarios/ring.yaml", "--set", "training.algorithm=STATIC", "--out", "a.onnx")
    assert (status, out, err) == (2, "", "--out must lead to files, got what is none, a.onnx\n")


@pytest.mark.parametrize(
    ("score", "why"),
    [
        ("nowhere.yaml", "must be the name of a file, but there is no "),
        ("x" * 5000, "must be the name of a file, but there is no "),
        ("pipe", "must be the name of a file, but there is no "),
        (".", "must be the name of a file, but there is no "),
        ("wrong.yaml", "wrong.yaml:1:1: "),
        ("slow.yaml", "slow.yaml: delta_t must be 2.5 as in training, got 5"),
    ],
)
def test_a_scenario_to_be_scored_on_is_refused_where_it_is_named(project, capsys, score, why):
    os.mkfifo(project / "scenarios/pipe")
    (project / "scenarios/wrong.yaml").write_text("[1]\n")
    (project / "scenarios/slow.yaml").write_text("extends: ../tests/ring.yaml\ndelta_t: 5\n")
    (project / "scenarios/named.yaml").write_text(f"extends: ring.yaml\ntraining: {{score: {score}}}\n")
    for arguments, place in (
        (("scenarios/named.yaml",), "scenarios/named.yaml: training.score"),
        (("scenarios/ring.yaml", "--evaluate", f"scenarios/{score}"), "--evaluate"),
    ):
        status, out, err = call(capsys, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(place)
        assert why in err
        assert len(err) <= 301


def test_a_graph_that_is_not_there_is_told_with_its_place(project, capsys):
    (project / "graphs/ring.csv").unlink()
    status, out, err = call(capsys, "scenarios/ring.yaml")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("scenarios/ring.yaml:1:11: topology ")


# The card


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "SHELF", tmp_path)
    return tmp_path


def put(shelf, name, **told):
    """Put a shipped policy on another shelf, with other metadata."""
    wanted = metadata_of(ROOT / "policies/trained" / name) | told
    write(shelf / name, fixed_to_onnx(np.full(6, 0.5), {key: text for key, text in wanted.items() if text}))


def card_of(capsys):
    return card_main([]), *capsys.readouterr()


def test_a_card_tells_a_difference_that_no_episode_shows(shelf, capsys):
    drops = " ".join(["1.5"] * 100)
    put(shelf, "torus_static_5.onnx", score_episodes=drops)
    put(shelf, "torus_5.onnx", score_episodes=drops)
    put(shelf, "torus_mf_n_5.onnx", score_episodes=" ".join(["1.2"] * 100))
    status, out, _ = card_of(capsys)
    assert status == 0
    assert "nan" not in out
    assert "| equal in all 100 episodes |" in out
    assert "| -20.00 in all 100 episodes |" in out or "| -20.00 [-20.00, -20.00] |" in out
    put(shelf, "torus_static_5.onnx", score_episodes=" ".join(["0"] * 100))
    assert "nan" not in card_of(capsys)[1]


def test_a_shelf_that_cannot_be_told_of_is_refused_in_one_line(shelf, capsys):
    assert card_of(capsys) == (2, "", f"{shelf}: holds no policies\n")
    fifo(shelf / "a.onnx")
    assert card_of(capsys) == (2, "", f"{shelf}/a.onnx: policy cannot be read: Not a regular file\n")
    (shelf / "a.onnx").unlink()
    for text in (b"damaged", b""):
        (shelf / "a.onnx").write_bytes(text)
        status, out, err = card_of(capsys)
        assert (status, out) == (2, "")
        assert err.startswith(f"{shelf}/a.onnx: ")
    (shelf / "a.onnx").unlink()
    for told in (
        {"score": ""},
        {"score_RND": "many"},
        {"score_episodes": "1 2"},
        {"score_on": "{}"},
        {"score_on": "3"},
    ):
        put(shelf, "torus_5.onnx", **told)
        why = "its metadata are not those that python -m policies writes"
        assert card_of(capsys) == (2, "", f"{shelf}/torus_5.onnx: {why}\n")


def test_a_score_that_all_episodes_share_has_no_interval(project, capsys, monkeypatch):
    monkeypatch.setattr("policies.learned.mean_interval", lambda values: (float(np.mean(values)), math.nan, math.nan))
    arguments = ("scenarios/ring.yaml", "--set", "training.algorithm=STATIC", "--out", "a.onnx")
    status, out, err = call(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "as MF-R, equal in all episodes, RND" in out
    told = metadata_of(project / "a.onnx")
    assert float(told["score"]) > 0.0
    assert not {"score_low", "score_high", "training_drops_low", "training_drops_high"} & set(told)
    assert not any("nan" in text for key, text in told.items() if key.startswith(("score", "training_drops")))
