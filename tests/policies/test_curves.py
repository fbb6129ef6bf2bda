"""Pictures of trainings: what is drawn is what stands in the rows, and what cannot be drawn is told beforehand."""

import itertools
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from emulator.errors import InputError
from emulator.report.figure import picture_of_training
from emulator.report.style import LOOKS, looks_of
from emulator.scenario.plan import load
from emulator.scenario.plot import Plot
from policies.curves import draw, training_figure
from policies.table import seconds_without_compiling

LEARNING, TIME = Plot(kind="learning_curve"), Plot(kind="training_time")


def trainings(algorithms=("MF-R",), iterations=3, **swept):
    """Rows of trainings at every combination of swept values; dotted keys are written with two underscores."""
    generator = np.random.default_rng(1)
    rows = []
    keys = [key.replace("__", ".") for key in swept]
    for algorithm, *values in itertools.product(algorithms, *swept.values()):
        for iteration in range(1, iterations + 1):
            rows.append(
                {**dict(zip(keys, values, strict=True)), "training.algorithm": algorithm, "algorithm": algorithm}
                | {"iteration": iteration, "decisions": 4000 * iteration, "drops": generator.uniform(2.0, 3.0)}
                | {"seconds": 0.5 * iteration + len(rows)}
            )
    return pd.DataFrame(rows)


def drawn(figure):
    """The lines by their names."""
    return {line.get_label(): line for line in figure.axes[0].lines}


def legend_names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def points(line):
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_a_learning_curve_is_minus_the_drops_over_the_decisions():
    rows = trainings(["MF-R", "MF-RNN"])
    figure = training_figure(rows, LEARNING, "title")
    assert list(drawn(figure)) == ["MF-R", "MF-RNN"] == legend_names(figure)
    for name, line in drawn(figure).items():
        shown = rows[rows["algorithm"] == name]
        assert points(line) == list(zip([4000, 8000, 12000], -shown["drops"], strict=True))
    assert (figure.get_supxlabel(), figure.get_suptitle()) == ("decisions", "title")
    assert figure.get_supylabel() == "return (minus drops per queue and 50 ms)"


@pytest.mark.parametrize(("x", "label"), [("iteration", "iteration"), ("seconds", "training time (s)")])
def test_a_learning_curve_may_be_over_iterations_or_seconds(x, label):
    rows = trainings()
    figure = training_figure(rows.sample(frac=1.0, random_state=1), Plot(kind="learning_curve", x=x), "")
    assert points(drawn(figure)["MF-R"]) == list(zip(rows[x], -rows["drops"], strict=True))
    assert figure.get_supxlabel() == label


SIZES = ["[128,128]", "[128,128,128]", "[256,256]", "[256,256,256]"]


@pytest.mark.parametrize("written", [SIZES, [size.strip("[]").replace(",", ", ") for size in SIZES]], ids=str)
def test_each_size_of_network_has_a_curve_in_a_colour_of_its_own(written):
    rows = trainings(training__hidden=written)
    figure = training_figure(rows, LEARNING, "")
    names = ["hidden 128, 128", "hidden 128, 128, 128", "hidden 256, 256", "hidden 256, 256, 256"]
    assert legend_names(figure) == names
    looks = looks_of(names)
    for name, size in zip(names, written, strict=True):
        line = drawn(figure)[name]
        assert list(line.get_ydata()) == (-rows[rows["training.hidden"] == size]["drops"]).tolist()
        assert (line.get_color(), line.get_marker(), line.get_linestyle()) == looks[name]
    assert len({line.get_color() for line in figure.axes[0].lines}) == 4


def test_algorithms_look_as_where_their_drops_are_drawn():
    for name, line in drawn(training_figure(trainings(["SAC", "MF-RNN", "MF-R"]), LEARNING, "")).items():
        assert (line.get_color(), line.get_marker(), line.get_linestyle()) == LOOKS[name]


def test_a_curve_is_named_by_all_that_is_swept():
    rows = trainings(["MF-R", "STATIC"], delta_t=[1.0, 5.0], training__graphs=[1, 2], training__preset=["fast"])
    assert legend_names(training_figure(rows, LEARNING, ""))[:2] == [
        "MF-R; Δt = 1 ms; graphs 1",
        "MF-R; Δt = 1 ms; graphs 2",
    ]
    one = rows[(rows["algorithm"] == "STATIC") & (rows["training.graphs"] == 2)]
    assert legend_names(training_figure(one, LEARNING, "")) == ["Δt = 1 ms", "Δt = 5 ms"]


def test_a_long_training_is_marked_here_and_there_and_a_short_one_everywhere():
    for iterations, fewest, most in ((1, 1, 1), (3, 3, 3), (200, 10, 15)):
        line = drawn(training_figure(trainings(iterations=iterations), LEARNING, ""))["MF-R"]
        assert fewest <= len(range(0, iterations, line.get_markevery())) <= most


def test_trainings_of_an_interrupted_command_are_drawn_as_far_as_they_went():
    rows = trainings(["MF-R", "MF-RNN"]).iloc[:4]
    assert [len(line.get_xdata()) for line in drawn(training_figure(rows, LEARNING, "")).values()] == [3, 1]


def band(figure):
    """The least and the greatest height of the shaded band at each place, for each band."""
    vertices = [part.get_paths()[0].vertices for part in figure.axes[0].collections if isinstance(part, PolyCollection)]
    return [
        {x: (points[points[:, 0] == x, 1].min(), points[points[:, 0] == x, 1].max()) for x in set(points[:, 0])}
        for points in vertices
    ]


@pytest.mark.parametrize("x", ["decisions", "iteration", "seconds"])
def test_seeds_of_a_training_are_one_curve_with_mean_and_range(x):
    rows = trainings(["SAC", "MF-R"], training__seed=[1, 2, 3])
    figure = training_figure(rows, Plot(kind="learning_curve", x=x), "")
    assert legend_names(figure) == ["SAC", "MF-R"]
    assert figure.get_supylabel() == "return (minus drops per queue and 50 ms)\n(mean and range of 3 seeds)"
    for name, ends in zip(["SAC", "MF-R"], band(figure), strict=True):
        line = drawn(figure)[name]
        assert (line.get_color(), line.get_marker(), line.get_linestyle()) == LOOKS[name]
        alike = rows[rows["algorithm"] == name].groupby("iteration")
        expected = zip(alike[x].mean(), -alike["drops"].mean(), strict=True)
        assert points(line) == [pytest.approx(point) for point in expected]
        lowest, highest = -alike["drops"].max(), -alike["drops"].min()
        assert [ends[place] for place, _ in points(line)] == list(zip(lowest, highest, strict=True))


@pytest.mark.parametrize("x", ["decisions", "iteration", "seconds"])
def test_what_not_all_seeds_have_is_left_out(x):
    rows = trainings(training__seed=[1, 2]).iloc[:5]
    figure = training_figure(rows, Plot(kind="learning_curve", x=x), "")
    expected = (
        rows.iloc[:2][x] if x != "seconds" else (rows["seconds"].iloc[:2] + rows["seconds"].iloc[3:].to_list()) / 2
    )
    assert [place for place, _ in points(drawn(figure)["MF-R"])] == expected.tolist()
    nothing = rows.iloc[[0, 4]]
    assert points(drawn(training_figure(nothing, LEARNING, ""))["MF-R"]) == []


def test_trainings_with_one_seed_are_drawn_as_without_it_and_the_axis_tells_how_many_there_are():
    rows = trainings(["SAC", "MF-R"], training__seed=[1, 2])
    one = rows[(rows["algorithm"] == "SAC") | (rows["training.seed"] == 1)]
    figure = training_figure(one, LEARNING, "")
    alone = training_figure(one[one["algorithm"] == "MF-R"].drop(columns="training.seed"), LEARNING, "")
    assert points(drawn(figure)["MF-R"]) == points(drawn(alone)["MF-R"])
    assert len(band(figure)) == 1
    assert figure.get_supylabel().endswith("\n(mean and range of 1 to 2 seeds)")
    for plot, shown in (
        (LEARNING, rows[rows["training.seed"] == 1]),
        (LEARNING.model_copy(update={"y_label": "y"}), rows),
    ):
        assert "mean" not in training_figure(shown, plot, "").get_supylabel()


def test_other_swept_keys_tell_curves_of_several_seeds_apart():
    figure = training_figure(
        trainings(training__seed=[1, 2], training__graphs=[1, 2], topology__seed=[3, 4]), LEARNING, ""
    )
    graphs = itertools.product([1, 2], [3, 4])
    assert legend_names(figure) == [f"graphs {number}; topology.seed = {seed}" for number, seed in graphs]


@pytest.mark.parametrize("converged", [True, False])
def test_the_training_time_of_several_seeds_is_their_mean_and_range(converged):
    rows = trainings(["SAC"], training__seed=[1, 2, 3], topology__nodes=NODES)
    if converged:
        rows["converged_seconds"] = rows["topology.nodes"] * rows["training.seed"]
        rows.loc[(rows["training.seed"] == 1) & (rows["topology.nodes"] == 21), "converged_seconds"] = np.nan
    figure = training_figure(rows, TIME, "")
    last = rows[rows["iteration"] == 3].groupby("topology.nodes")["seconds"]
    expected = {5: (5, 10, 15), 11: (11, 22, 33)}
    if not converged:
        expected = dict(zip(NODES, zip(last.min(), last.mean(), last.max(), strict=True), strict=True))
    assert points(drawn(figure)["SAC"]) == [(nodes, mean) for nodes, (_, mean, _) in expected.items()]
    (ends,) = band(figure)
    assert {nodes: ends[nodes] for nodes in expected} == {
        nodes: (low, high) for nodes, (low, _, high) in expected.items()
    }
    assert figure.get_supylabel().endswith("\n(mean and range of 3 seeds)")


NODES = [5, 11, 21]


def test_compiling_does_not_count():
    assert seconds_without_compiling([7.0, 7.1, 7.2, 9.2, 9.3], 4) == pytest.approx(0.4)
    assert seconds_without_compiling([0.5], 1) == 0.5


def test_the_training_time_is_that_until_convergence():
    rows = trainings(["SAC"], topology__nodes=NODES)
    rows["converged_seconds"] = rows["topology.nodes"] / 10
    figure = training_figure(rows, TIME, "title")
    (line,) = drawn(figure).values()
    assert points(line) == [(5, 0.5), (11, 1.1), (21, 2.1)]
    assert (line.get_color(), line.get_marker()) == LOOKS["SAC"][:2]
    assert legend_names(figure) == ["SAC"]
    assert (figure.get_supxlabel(), figure.get_suptitle()) == ("number of agents N", "title")
    assert figure.get_supylabel() == "training time until convergence (s)"
    assert figure.axes[0].get_xticks().tolist() == NODES
    assert figure.axes[0].get_ylim()[0] == 0.0


def test_without_convergence_it_is_that_of_the_whole_training():
    rows = trainings(["MF-R", "NA-PS"], delta_t=[1.0, 5.0])
    figure = training_figure(rows, TIME, "")
    last = rows[rows["iteration"] == 3].set_index(["algorithm", "delta_t"])["seconds"]
    for name in ("MF-R", "NA-PS"):
        assert points(drawn(figure)[name]) == list(last[name].items())
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("Δt (ms)", "training time (s)")
    rows["converged_seconds"] = np.nan
    assert training_figure(rows, TIME, "").get_supylabel() == "training time (s)"


def test_what_has_not_converged_is_left_out_or_named():
    rows = trainings(["SAC", "MF-R"], topology__nodes=NODES)
    converges = (rows["algorithm"] == "SAC") & (rows["topology.nodes"] != 11)
    rows["converged_seconds"] = np.where(converges, 0.25, np.nan)
    figure = training_figure(rows, TIME, "")
    assert legend_names(figure) == ["SAC", "MF-R (whole training)"]
    assert points(drawn(figure)["SAC"]) == [(5, 0.25), (21, 0.25)]
    line = drawn(figure)["MF-R (whole training)"]
    assert [x for x, _ in points(line)] == NODES
    assert line.get_color() == LOOKS["MF-R"].colour


def test_nodes_may_be_the_axis_whatever_they_follow_from():
    rows = trainings(["SAC"], topology__side=[3, 5])
    rows["nodes"] = rows["topology.side"] ** 2
    assert training_figure(rows, TIME, "").get_supxlabel() == "topology.side"
    figure = training_figure(rows, Plot(kind="training_time", x="nodes"), "")
    assert [x for x, _ in points(drawn(figure)["SAC"])] == [9, 25]
    assert figure.get_supxlabel() == "number of agents N"
    assert legend_names(training_figure(rows, LEARNING, "")) == ["side = 3", "side = 5"]


@pytest.mark.parametrize("kind", ["learning_curve", "training_time"])
def test_texts_and_limits_are_those_asked_for(kind):
    plot = Plot(kind=kind, y_min=-4, y_max=-1.5, x_label="steps", y_label="value", log_x=True)
    figure = training_figure(trainings(topology__nodes=NODES), plot, "")
    (axes,) = figure.axes
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("steps", "value")
    assert (axes.get_ylim(), axes.get_xscale()) == ((-4.0, -1.5), "log")


def test_a_learning_curve_begins_below_its_lowest_return():
    rows = trainings(iterations=200)
    (axes,) = training_figure(rows, LEARNING, "").axes
    low, high = axes.get_ylim()
    assert low < -rows["drops"].max() < -rows["drops"].min() < high < 0.0
    assert axes.get_xscale() == "linear"


@pytest.mark.parametrize("log_x", [True, False])
@pytest.mark.parametrize("iterations", [2, 10, 1000])
def test_nothing_overlaps(iterations, log_x):
    rows = trainings(["MF-R", "MF-RNN", "NA-PS"], iterations, training__hidden=SIZES)
    figure = training_figure(rows, Plot(kind="learning_curve", log_x=log_x), "a title")
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    ticks = figure.axes[0].xaxis.get_major_ticks()
    boxes = [tick.label1.get_window_extent() for tick in ticks if low <= tick.get_loc() <= high]
    boxes += [part.get_window_extent() for part in (*figure.legends, *figure.texts, *figure.axes)]
    assert len(boxes) > 6
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert all(0 <= box.x0 <= box.x1 <= figure.bbox.width for box in boxes)


def test_the_picture_is_a_png_of_stable_bytes_there_whole_or_not_at_all(tmp_path):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, trainings(), LEARNING, r"dollars: $\frac$")
    assert matplotlib.image.imread(tmp_path / "a.png").shape[:2] == (675, 1200)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(InputError, match=r"missing/c\.png: cannot be written"):
        draw(tmp_path / "missing" / "c.png", trainings(), LEARNING, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


SCENARIO = """\
topology: {kind: cycle, nodes: [5, 7]}
delta_t: 2
dispatchers: [RND]
training: {algorithm: [MF-R, NA-PS]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(plot, scenario=SCENARIO, settings=()):
    """The picture of a scenario whose last line is the section `plot`."""
    Path("s.yaml").write_text(f"{scenario}plot: {plot}\n", encoding="utf-8")
    return picture_of_training(load("s.yaml", settings))


def refused(plot, *, scenario=SCENARIO, settings=()):
    with pytest.raises(InputError) as error:
        picture(plot, scenario, settings)
    return str(error.value)


@pytest.mark.parametrize("plot", ["{}", "{kind: lines}", "{kind: bars}"])
def test_other_kinds_are_no_pictures_of_trainings(folder, plot):
    assert picture(plot) is None


def test_the_title_is_filled_with_what_is_learned(folder):
    title = '{kind: learning_curve, title: "{training.algorithm} on {nodes} nodes"}'
    told = picture(title)
    assert (told.title, told.plot.kind, told.levels) == ("MF-R, NA-PS on 5, 7 nodes", "learning_curve", {})
    assert picture("{kind: training_time}").title == "s"
    assert refused('{kind: learning_curve, title: "{x}"}').startswith("s.yaml:5:37: plot.title may hold in braces ")


@pytest.mark.parametrize(
    ("kind", "allowed", "where"),
    [
        ("learning_curve", ["decisions", "iteration", "seconds"], "beside kind: learning_curve"),
        ("training_time", ["delta_t", "nodes", "topology.nodes"], "in this sweep"),
    ],
)
def test_each_kind_has_its_axes(folder, kind, allowed, where):
    for x in allowed:
        assert picture(f"{{kind: {kind}, x: {x}}}").plot.x == x
    for x in ("buffer", "training.algorithm"):
        message = refused(f"{{kind: {kind}, x: {x}}}")
        column = len(f"plot: {{kind: {kind}, x: ") + 1
        assert message == f"s.yaml:5:{column}: plot.x must be one of {', '.join(allowed)} {where}, got {x}"


def test_a_logarithm_of_zero_is_refused(folder):
    message = refused("{kind: training_time, log_x: true, x: arrivals.low}", settings=["arrivals.low=[0,0.5]"])
    assert message == "s.yaml:5:36: plot.log_x must be false where arrivals.low takes the value 0, got true"


@pytest.mark.parametrize("kind", ["learning_curve", "training_time"])
def test_there_must_be_something_to_learn(folder, kind):
    scenario = SCENARIO.partition("training:")[0]
    message = refused(f"{{kind: {kind}}}", scenario=scenario)
    assert message == f"s.yaml:4:14: plot.kind must stand beside the section training, got {kind}"


@pytest.mark.parametrize("kind", ["learning_curve", "training_time"])
def test_drops_are_no_reference_for_a_training(folder, kind):
    message = refused(f"{{reference: {{policy: p.onnx, key: drops}}, kind: {kind}}}")
    assert message == f"s.yaml:5:19: plot.reference must stand beside kind: lines, bars or columns, got {kind}"


def test_the_axis_ends_above_where_it_begins(folder):
    assert picture("{kind: learning_curve, y_max: -1}").plot.bottom is None
    message = refused("{kind: learning_curve, y_min: -1, y_max: -2}")
    assert message == "s.yaml:5:48: plot.y_max must be > y_min -1, got -2"
    assert refused("{kind: training_time, y_max: 0}") == "s.yaml:5:36: plot.y_max must be > y_min 0, got 0"
