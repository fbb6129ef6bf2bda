"""What a picture is to show is settled before anything runs: its title, its axis, the number to compare with."""

import math
from pathlib import Path

import onnx
import pandas as pd
import pytest

import emulator
from dispatchers.onnx_files.model import LARGEST_FILE
from emulator.command_line import main
from emulator.errors import InputError
from emulator.report.figure import Level, picture_of
from emulator.runs.episode_runner import EpisodeRunner
from emulator.scenario.plan import load
from emulator.text import to_text

SCENARIO = """\
topology: {kind: cycle, nodes: [5, 7]}
delta_t: 2
horizon: 4
dispatchers: [JSQ, RND]
replications: 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(plot, scenario=SCENARIO):
    """Write a scenario whose sixth line is the section `plot`."""
    Path("s.yaml").write_text(f"{scenario}plot: {plot}\n", encoding="utf-8")
    return "s.yaml"


def write_policy(name="p.onnx", **metadata):
    """Write an ONNX file with nothing but metadata."""
    model = onnx.ModelProto(ir_version=9)
    onnx.helper.set_model_props(model, metadata)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, name)


def picture(plot, *settings, shipped=None, scenario=SCENARIO):
    return picture_of(load(write(plot, scenario), settings), shipped)


def refused(plot, *settings, shipped=None):
    """Return the message that a picture is refused with."""
    with pytest.raises(InputError) as error:
        picture(plot, *settings, shipped=shipped)
    assert "\n" not in str(error.value)
    return str(error.value)


REFERENCE = "{reference: {policy: p.onnx, key: drops}}"


def test_the_title_is_the_name_or_the_one_asked_for(folder):
    assert picture("{}").title == "s"
    assert picture("{title: A title}").title == "A title"


def test_braces_in_the_title_are_filled_with_what_is_run(folder):
    title = '{title: "{topology.kind}, N = {nodes}, {delta_t} ms"}'
    assert picture(title, "topology.nodes=5").title == "cycle, N = 5, 2 ms"
    assert picture(title, "delta_t=[0.5,2]").title == "cycle, N = 5, 7, 0.5, 2 ms"
    message = refused('{title: "{x}"}')
    assert message.startswith("s.yaml:6:15: plot.title may hold in braces nodes, name, delta_t, horizon, ")


@pytest.mark.parametrize(("x", "settings"), [("delta_t", []), ("nodes", []), ("buffer", ["buffer=[3,5]"])])
def test_x_is_a_number_of_the_sweep(folder, x, settings):
    assert picture(f"{{x: {x}}}", *settings).plot.x == x


@pytest.mark.parametrize(
    ("x", "settings"), [("buffer", []), ("service.work", ["service.work=[exponential,deterministic]"]), ("side", [])]
)
def test_nothing_else_can_be_x(folder, x, settings):
    allowed = "delta_t, nodes, topology.nodes"
    assert refused(f"{{x: {x}}}", *settings) == f"s.yaml:6:11: plot.x must be one of {allowed} in this sweep, got {x}"


def test_a_seed_is_a_name_and_no_axis(folder):
    scenario = SCENARIO.replace("cycle, nodes: [5, 7]", "configuration_model, nodes: 6, degrees: [2], seed: [1, 2]")
    Path("s.yaml").write_text(f"{scenario}plot: {{x: topology.seed}}\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        picture_of(load("s.yaml"), None)
    message = "plot.x must be one of delta_t, nodes in this sweep, got topology.seed"
    assert str(error.value) == f"s.yaml:6:11: {message}"


def test_a_logarithm_of_zero_is_refused(folder):
    message = "s.yaml:6:40: plot.log_x must be false where arrivals.low takes the value 0, got true"
    assert refused("{x: arrivals.low, log_x:         true}", "arrivals.low=[0,0.5]") == message
    assert refused("{log_x: true}", "arrivals.low=[0,0.5]", "topology.nodes=5").startswith("s.yaml:6:15: plot.log_x")
    assert picture("{log_x: true}", "arrivals.low=[0,0.5]").plot.log_x  # not the axis


SEVERAL = SCENARIO.replace("[JSQ, RND]", "[JSQ, RND, {name: RND, label: RND 2}, {name: RND, label: RND 3}]")


def refused_group(plot):
    """Return the message that a picture of `SEVERAL` is refused with."""
    with pytest.raises(InputError) as error:
        picture(plot, scenario=SEVERAL)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("together", [{"RND": ["RND", "RND 2"]}, {"a. b": ["RND 2", "RND 3"], "c": ["JSQ", "RND"]}])
def test_groups_of_dispatchers_are_drawn_together(folder, together):
    assert picture(f"{{together: {to_text(together)}}}", scenario=SEVERAL).plot.together == together


@pytest.mark.parametrize(
    ("together", "message"),
    [
        ("{R: [RND, SED]}", "28: plot.together.R.1 must be one of JSQ, RND, RND 2, RND 3, got SED"),
        ('{"a. b": [RND, SED]}', "33: plot.together.a. b.1 must be one of JSQ, RND, RND 2, RND 3, got SED"),
        ("{R: [RND, RND]}", "28: plot.together.R.1 must stand in one group, and once, got RND again"),
        ("{R: [RND, JSQ], S: [JSQ, RND 2]}", "38: plot.together.S.0 must stand in one group, and once, got JSQ again"),
        ("{JSQ: [RND, RND 2]}", "24: plot.together.JSQ must be called otherwise than a dispatcher that is not in it"),
        ("{R: [RND]}", "22: plot.together.R must be a list of at least 2, got [RND]"),
        ("{R: []}", "22: plot.together.R must not be an empty list, got []"),
        ("{R: RND}", "22: plot.together.R must be a list, got RND"),
        ("{R: [RND, 5]}", "28: plot.together.R.1 must be text, got 5"),
        ("[RND, JSQ]", "18: plot.together must be a mapping, got [RND, JSQ]"),
        ('{" ": [RND, JSQ]}', '24: plot.together." " must be one line of 1 to 100 characters, got " "'),
    ],
)
def test_other_groups_are_refused_where_they_stand(folder, together, message):
    assert refused_group(f"{{together: {together}}}") == f"s.yaml:6:{message}"


KEYS_OF_LINES = ["together: {R: [JSQ, RND]}", "differences_within: 1"]


@pytest.mark.parametrize("line", KEYS_OF_LINES)
@pytest.mark.parametrize("kind", ["bars", "columns", "learning_curve", "training_time"])
def test_differences_and_groups_are_of_lines_alone(folder, line, kind):
    key = line.partition(":")[0]
    column = len(f"plot: {{kind: {kind}, {key}: ") + 1
    message = f"s.yaml:6:{column}: plot.{key} must stand beside kind: lines, got {kind}"
    assert refused(f"{{kind: {kind}, {line}}}") == message


@pytest.mark.parametrize("line", KEYS_OF_LINES)
def test_without_a_sweep_there_are_lines_only_if_asked_for(folder, line):
    key = line.partition(":")[0]
    column = len(f"plot: {{{key}: ") + 1
    message = f"s.yaml:6:{column}: plot.{key} must stand beside kind: lines where no number is swept"
    assert refused(f"{{{line}}}", "topology.nodes=5") == message
    assert picture(f"{{kind: lines, {line}}}", "topology.nodes=5")


@pytest.mark.parametrize("number", ["0", "-1"])
def test_differences_are_within_a_positive_number(folder, number):
    message = f"s.yaml:6:28: plot.differences_within must be > 0, got {number}"
    assert refused(f"{{differences_within: {number}}}") == message


def test_one_dispatcher_differs_from_no_other(folder):
    message = "s.yaml:6:28: plot.differences_within needs at least two dispatchers, got 1"
    assert refused("{differences_within: 1}", "dispatchers=[JSQ]") == message


def test_a_run_draws_differences_and_groups_and_its_resolved_scenario_asks_for_them(folder):
    section = '{differences_within: 0.5, together: {"R. s": [RND, RND 2, RND 3]}}'
    emulator.run(write(section, SEVERAL), out="out")
    resolved = load("out/scenario.resolved.yaml").points[0].scenario.plot
    assert resolved == load("s.yaml").points[0].scenario.plot
    assert set(pd.read_parquet("out/summary.parquet")["dispatcher"]) == {"JSQ", "RND", "RND 2", "RND 3"}
    drawn = Path("out/summary.png").read_bytes()
    emulator.run(write("{}", SEVERAL), out="out")
    assert Path("out/summary.png").read_bytes() != drawn


def test_the_reference_is_a_number_in_the_metadata(folder):
    write_policy(drops="2.5", drops_low="2.25")
    assert picture(REFERENCE).levels == {(5,): (2.5, math.nan, math.nan), (7,): (2.5, math.nan, math.nan)}
    write_policy(drops="2.5", drops_low="2.25", drops_high="3e0")
    assert picture(REFERENCE).levels == {(5,): Level(2.5, 2.25, 3.0), (7,): Level(2.5, 2.25, 3.0)}
    assert picture("{}").levels == {}


def test_braces_in_the_reference_take_each_points_file(folder):
    write_policy("p_5.onnx", drops="1")
    write_policy("p_7.onnx", drops="2")
    levels = picture('{reference: {policy: "p_{topology.nodes}.onnx", key: drops}}').levels
    assert {values: level.value for values, level in levels.items()} == {(5,): 1.0, (7,): 2.0}


def test_the_reference_is_beside_the_scenario_or_else_shipped(folder):
    write_policy("shipped/p.onnx", drops="1")
    assert {level.value for level in picture(REFERENCE, shipped=Path("shipped")).levels.values()} == {1.0}
    write_policy("p.onnx", drops="2")
    assert {level.value for level in picture(REFERENCE, shipped=Path("shipped")).levels.values()} == {2.0}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "s.yaml:6:41: plot.reference.key drops is not in the metadata of {path}, which has nothing"),
        (
            {"a": "1", "b": ""},
            "s.yaml:6:41: plot.reference.key drops is not in the metadata of {path}, which has a, b",
        ),
        ({"drops": "few"}, "s.yaml:6:41: plot.reference.key drops must be a number in the metadata of {path}, got few"),
        ({"drops": "nan"}, "s.yaml:6:41: plot.reference.key drops must be a number in the metadata of {path}, got nan"),
        (
            {"drops": "1", "drops_low": "few", "drops_high": "2"},
            "s.yaml:6:41: plot.reference.key drops_low must be a number in the metadata of {path}, got few",
        ),
    ],
    ids=str,
)
def test_metadata_without_the_number_are_refused(folder, metadata, message):
    write_policy(**metadata)
    assert refused(REFERENCE) == message.format(path=folder / "p.onnx")


def test_files_that_are_no_policies_are_refused(folder):
    place = "s.yaml:6:28: plot.reference.policy"
    missing = f"there is no file p.onnx, looked for {folder}/p.onnx and shipped/p.onnx"
    assert refused(REFERENCE, shipped=Path("shipped")) == f"{place} {missing}"
    Path("p.onnx").write_bytes(b"no model")
    assert refused(REFERENCE) == f"{place} {folder}/p.onnx: policy is not an ONNX file, or a damaged one"
    Path("p.onnx").write_bytes(b"\0" * (LARGEST_FILE + 1))
    assert f"Larger than {LARGEST_FILE} bytes, the most that is read" in refused(REFERENCE)
    assert refused('{reference: {policy: "{x}", key: drops}}').startswith(f"{place} may hold in braces name, ")


@pytest.mark.parametrize("kind", ["learning_curve", "training_time"])
def test_a_picture_of_trainings_is_not_one_of_an_emulation(folder, capsys, kind):
    told = "must be lines, bars or columns in an emulation"
    made = f"got {kind}, a picture of trainings, which python -m policies makes"
    assert refused(f"{{kind: {kind}}}") == f"s.yaml:6:14: plot.kind {told}, {made}"
    assert main(["s.yaml", "--dry-run"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_a_wrong_picture_is_told_before_anything_runs(folder, monkeypatch, capsys, option):
    monkeypatch.setattr(EpisodeRunner, "run", lambda *arguments: pytest.fail("an episode ran"))
    assert main([write(REFERENCE), *option]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "s.yaml:6:28: plot.reference.policy there is no file p.onnx" in told
    assert not Path("runs").exists()


def test_what_is_drawn_is_what_the_section_says(folder, monkeypatch):
    write_policy(drops="2.5")
    drawn = []
    monkeypatch.setattr("emulator.report.plots.summary_picture", lambda *arguments: drawn.append(arguments))
    emulator.run(write("{title: A title, reference: {policy: p.onnx, key: drops}}"))
    ((_, swept, _, title, plot, levels, first, options, zipped),) = drawn
    assert (swept, title, plot.reference.key, len(levels)) == (["topology.nodes"], "A title", "drops", 2)
    assert (first, options, zipped) == ("JSQ", {}, [])


def test_another_picture_runs_no_episode_again(folder, monkeypatch):
    write_policy(drops="0.01")
    emulator.run(write("{}"), out="out")
    before, picture = pd.read_parquet("out/episodes.parquet"), Path("out/summary.png").read_bytes()
    monkeypatch.setattr(EpisodeRunner, "run", lambda *arguments: pytest.fail("an episode ran"))
    emulator.run(write(REFERENCE), out="out")
    pd.testing.assert_frame_equal(pd.read_parquet("out/episodes.parquet"), before)
    assert Path("out/summary.png").read_bytes() != picture
    assert "plot: {reference: {policy: p.onnx, key: drops}" in Path("out/scenario.resolved.yaml").read_text("utf-8")
