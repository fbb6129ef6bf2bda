"""The picture: what is drawn is counted in the figure, and nothing overlaps."""

import itertools
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP
from own_process import python

from emulator.errors import InputError
from emulator.report.figure import Level
from emulator.report.plots import DROPS, summary_figure, summary_picture
from emulator.report.style import LOOKS, REFERENCE_COLOUR, looks_of
from emulator.scenario.plot import Plot, Reference
from policies.curves import training_figure

ROOT = Path(__file__).parents[2]
TEN = ["JSQ", "RND", "OWN", "SED", "MF-R", "MF-N", "MF-G", "RR", "JSQ-M", "JSQ-M with sharing"]


def summary(dispatchers, **swept):
    """A summary over every combination of swept values; dotted keys are written with two underscores."""
    rows = []
    keys = [key.replace("__", ".") for key in swept]
    for values in itertools.product(*swept.values()):
        for number, dispatcher in enumerate(dispatchers):
            mean = 1.0 + number + 0.1 * len(rows)
            rows.append(
                {"dispatcher": dispatcher, "delta_t": 5.0, **dict(zip(keys, values, strict=True))}
                | {"mean_drops": mean, "ci_low": mean - 0.5, "ci_high": mean + 0.25}
                | {"replications": 10}
            )
    return pd.DataFrame(rows), keys


def legend_names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_line_and_a_band_for_each_dispatcher_over_delta_t():
    frame, swept = summary(["JSQ", "RND"], delta_t=[1.0, 5.0, 10.0])
    figure = summary_figure(frame, swept, "title")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["JSQ", "RND"] == legend_names(figure)
    for line, dispatcher in zip(axes.lines, ["JSQ", "RND"], strict=True):
        shown = frame[frame["dispatcher"] == dispatcher]
        assert line.get_xdata().tolist() == [1.0, 5.0, 10.0]
        assert line.get_ydata().tolist() == shown["mean_drops"].tolist()
    bands = [band for band in axes.collections if isinstance(band, PolyCollection)]
    assert len(bands) == 2
    first = frame[frame["dispatcher"] == "JSQ"]
    heights = bands[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (first["ci_low"].min(), first["ci_high"].max())
    assert axes.get_ylim()[0] == 0.0
    assert figure.get_supxlabel() == "Δt (ms)"
    assert "dropped jobs per queue and 50 ms" in figure.get_supylabel()
    assert figure.get_suptitle() == "title"


def test_delta_t_is_the_axis_before_other_numbers():
    frame, swept = summary(["JSQ"], buffer=[5, 9], delta_t=[1.0, 5.0])
    assert summary_figure(frame, swept, "").get_supxlabel() == "Δt (ms)"


def test_the_first_swept_number_is_the_axis_if_delta_t_is_not_swept():
    frame, swept = summary(["JSQ"], topology__kind=["torus"], topology__side=[3, 5], buffer=[5, 9])
    figure = summary_figure(frame, swept, "")
    assert figure.get_supxlabel() == "topology.side"
    assert [axes.get_title() for axes in figure.axes] == ["buffer = 5 jobs", "buffer = 9 jobs"]


def test_other_swept_keys_have_panels():
    frame, swept = summary(TEN[:3], topology__kind=["torus", "cycle", "bethe"], delta_t=[1.0, 5.0])
    figure = summary_figure(frame, swept, "")
    assert [axes.get_title() for axes in figure.axes] == [
        "topology.kind = torus",
        "topology.kind = cycle",
        "topology.kind = bethe",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [3, 3, 3]
    assert legend_names(figure) == TEN[:3]


def test_there_are_at_most_twelve_panels_and_the_title_says_so():
    frame, swept = summary(["JSQ"], delta_t=[1.0, 5.0], buffer=list(range(1, 15)))
    figure = summary_figure(frame, swept, "title")
    assert len(figure.axes) == 12
    assert "first 12 of 14 combinations of buffer" in figure.get_suptitle().replace("\n", " ")


def test_values_far_apart_are_on_a_logarithmic_axis():
    frame, swept = summary(["JSQ"], topology__side=[3, 30, 1000])
    assert summary_figure(frame, swept, "").axes[0].get_xscale() == "log"


def test_a_bar_with_its_interval_for_each_dispatcher_without_a_sweep():
    frame, swept = summary(TEN)
    (axes,) = summary_figure(frame, swept, "").axes
    assert [bar.get_width() for bar in axes.patches] == frame["mean_drops"].tolist()
    assert [label.get_text() for label in axes.get_yticklabels()] == TEN
    containers = [container for container in axes.containers if isinstance(container, BarContainer)]
    (ends,) = containers[0].errorbar.lines[2][0].get_segments()
    assert ends[:, 0].tolist() == [frame["ci_low"][0], frame["ci_high"][0]]
    assert not axes.figure.legends


def test_swept_names_are_groups_of_bars():
    frame, swept = summary(["JSQ", "RND"], topology__kind=["torus", "cycle", "bethe"])
    figure = summary_figure(frame, swept, "")
    (axes,) = figure.axes
    assert len(axes.patches) == 6
    places = sorted(round(bar.get_y() + bar.get_height() / 2) for bar in axes.patches)
    assert places == [0, 1, 3, 4, 6, 7]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "topology.kind = torus",
        "topology.kind = cycle",
        "topology.kind = bethe",
    ]
    assert legend_names(figure) == ["JSQ", "RND"]


def test_dispatchers_missing_in_an_interrupted_run_are_left_out():
    frame, swept = summary(["JSQ", "RND"], topology__kind=["torus", "cycle"])
    (axes,) = summary_figure(frame.iloc[:3], swept, "").axes
    assert len(axes.patches) == 3
    frame, swept = summary(["JSQ", "RND"], buffer=[5, 9], delta_t=[1.0, 5.0])
    figure = summary_figure(frame.iloc[[0, 2, 4, 5, 6]], swept, "")
    points = [{name: len(line.get_xdata()) for name, line in drawn(figure, panel).items()} for panel in (0, 1)]
    assert points == [{"JSQ": 2, "RND": 0}, {"JSQ": 2, "RND": 1}]
    assert legend_names(figure) == ["JSQ", "RND"]


SOME_PLOTS = [{}, {"interval": "bars"}, {"kind": "columns"}, {"kind": "bars"}]
REPLICATED = "(mean and 95 % interval)"


@pytest.mark.parametrize(
    ("replications", "known", "told"),
    [(1, [], None), (9, [], "(mean)"), (9, [0], REPLICATED), (9, [0, 1, 2, 3], REPLICATED)],
)
@pytest.mark.parametrize("plot", SOME_PLOTS, ids=str)
@pytest.mark.parametrize("swept", [{}, {"delta_t": [1.0, 5.0]}], ids=str)
def test_only_intervals_that_are_known_are_drawn_and_promised(swept, plot, replications, known, told):
    frame, swept = summary(["JSQ", "RND"], **swept)
    frame["replications"] = replications
    frame.loc[~frame.index.isin(known), ["ci_low", "ci_high"]] = np.nan
    figure = summary_figure(frame, swept, "", Plot(**plot))
    labels = [figure.get_supylabel(), figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()]
    assert [label for label in labels if "(" in label] == ([f"{DROPS}\n{told}"] if told else [])


@pytest.mark.parametrize("plot", SOME_PLOTS, ids=str)
def test_a_picture_without_most_of_its_intervals_is_drawn(tmp_path, plot):
    frame, swept = summary(["JSQ", "RND"], delta_t=[1.0, 5.0])
    frame.loc[1:, ["ci_low", "ci_high"]] = np.nan
    summary_picture(frame, swept, tmp_path / "summary.png", "", Plot(**plot))
    assert matplotlib.image.imread(tmp_path / "summary.png").min() < 1.0


def test_an_interval_alone_is_an_error_bar_for_a_band_would_have_no_width():
    frame, swept = summary(["JSQ"], delta_t=[1.0, 2.0, 3.0, 4.0, 5.0])
    frame.loc[[1], ["ci_low", "ci_high"]] = np.nan
    (axes,) = summary_figure(frame, swept, "").axes
    (bars,) = [part.get_segments() for part in axes.collections if isinstance(part, LineCollection)]
    assert [bar.tolist() for bar in bars] == [[[1.0, frame["ci_low"][0]], [1.0, frame["ci_high"][0]]]]


def drawn(figure, panel=0):
    """The lines of a panel by their names."""
    return {line.get_label(): line for line in figure.axes[panel].lines if not line.get_label().startswith("_")}


def test_panels_are_named_shortly():
    frame, swept = summary(["JSQ"], topology__nodes=[9, 21], delta_t=[1.0, 5.0])
    assert [axes.get_title() for axes in summary_figure(frame, swept, "").axes] == ["N = 9", "N = 21"]
    figure = summary_figure(frame, swept, "", Plot(x="topology.nodes"))
    assert [axes.get_title() for axes in figure.axes] == ["Δt = 1 ms", "Δt = 5 ms"]
    assert figure.get_supxlabel() == "number of nodes N"


def test_x_says_which_swept_number_is_the_horizontal_axis():
    frame, swept = summary(["JSQ"], delta_t=[1.0, 5.0], buffer=[3, 9])
    figure = summary_figure(frame, swept, "", Plot(x="buffer"))
    assert [drawn(figure, panel)["JSQ"].get_xdata().tolist() for panel in (0, 1)] == [[3, 9], [3, 9]]


def test_nodes_may_be_the_axis_whatever_they_follow_from():
    frame, swept = summary(["JSQ"], topology__side=[3, 5], buffer=[3, 9])
    frame["nodes"] = frame["topology.side"] ** 2
    figure = summary_figure(frame, swept, "", Plot(x="nodes"))
    assert [axes.get_title() for axes in figure.axes] == ["buffer = 3 jobs", "buffer = 9 jobs"]
    assert drawn(figure)["JSQ"].get_xdata().tolist() == [9, 25]
    assert figure.get_supxlabel() == "number of nodes N"


def test_lines_without_a_sweep_are_over_delta_t():
    frame, swept = summary(["JSQ"])
    assert drawn(summary_figure(frame, swept, "", Plot(kind="lines")))["JSQ"].get_xdata().tolist() == [5.0]


def test_an_interval_may_be_an_error_bar():
    frame, swept = summary(["JSQ", "RND"], delta_t=[1.0, 5.0])
    (axes,) = summary_figure(frame, swept, "", Plot(interval="bars")).axes
    assert not [band for band in axes.collections if isinstance(band, PolyCollection)]
    bars = [part.get_segments() for part in axes.collections if isinstance(part, LineCollection)]
    rows = frame[frame["dispatcher"] == "JSQ"]
    assert [bar[:, 1].tolist() for bar in bars[0]] == rows[["ci_low", "ci_high"]].to_numpy().tolist()
    assert len(bars) == 2


@pytest.mark.parametrize("kind", ["bars", "columns"])
def test_bars_may_stand_and_may_be_of_a_swept_number(kind):
    frame, swept = summary(["JSQ", "RND"], delta_t=[1.0, 5.0])
    plot = Plot(kind=kind, y_min=0.5, y_max=9, x_label="rules", y_label="drops")
    (axes,) = summary_figure(frame, swept, "", plot).axes
    lengths = [bar.get_height() if kind == "columns" else bar.get_width() for bar in axes.patches]
    assert lengths == frame.sort_values("dispatcher")["mean_drops"].tolist()
    along, across = (axes.xaxis, axes.yaxis) if kind == "columns" else (axes.yaxis, axes.xaxis)
    assert [label.get_text() for label in along.get_ticklabels()] == ["Δt = 1 ms", "Δt = 5 ms"]
    assert (along.get_label().get_text(), across.get_label().get_text()) == ("rules", "drops\n(axis begins at 0.5)")
    assert tuple(across.get_view_interval()) == (0.5, 9)


@pytest.mark.parametrize("kind", ["bars", "columns"])
@pytest.mark.parametrize(("y_min", "is_broken"), [(None, False), (-1.0, False), (0.0, False), (2.0, True)])
def test_bars_without_their_foot_stand_on_an_axis_that_is_marked_as_broken(kind, y_min, is_broken):
    (axes,) = summary_figure(*summary(["JSQ", "RND"]), "", Plot(kind=kind, y_min=y_min)).axes
    label = axes.get_xlabel() if kind == "bars" else axes.get_ylabel()
    assert label.endswith("(mean and 95 % interval; axis begins at 2)" if is_broken else REPLICATED)
    assert [text.get_text() for text in axes.texts] == (["//"] if is_broken else [])


def arrows(axes):
    """The points that the arrows at the ends of an axis stand for, with the colours of the arrows."""
    marks = [line for line in axes.lines if line.get_marker() in (CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP)]
    assert not any(mark.get_clip_on() for mark in marks)
    return {(mark.get_color(), mark.get_marker(), *map(float, point)) for mark in marks for point in mark.get_xydata()}


def test_points_outside_the_picture_are_arrows_at_its_edge():
    frame, swept = summary(["JSQ", "RND", "OWN"], delta_t=[1.0, 5.0])
    frame["mean_drops"] = [1.0, 2.0, 5.0, 4.0, 2.0, 3.0]
    levels = {(1.0,): Level(9.0, np.nan, np.nan), (5.0,): Level(3.0, np.nan, np.nan)}
    figure = summary_figure(frame, swept, "", Plot(y_min=2, y_max=4, reference=REFERENCE), levels)
    assert arrows(figure.axes[0]) == {
        (LOOKS["JSQ"].colour, CARETDOWN, 1.0, 2.0),
        (LOOKS["OWN"].colour, CARETUP, 1.0, 4.0),
        (REFERENCE_COLOUR, CARETUP, 1.0, 4.0),
    }
    assert legend_names(figure) == ["JSQ", "RND", "OWN", "MF-MFC"]
    assert figure.get_supylabel() == f"{DROPS}\n{REPLICATED}"  # lines have no foot to lose


@pytest.mark.parametrize(("kind", "low", "high"), [("bars", CARETLEFT, CARETRIGHT), ("columns", CARETDOWN, CARETUP)])
def test_bars_and_references_outside_the_picture_are_arrows_at_its_edge(kind, low, high):
    plot = Plot(kind=kind, y_min=1.5, y_max=2.5, reference=REFERENCE)
    (axes,) = summary_figure(*summary(["JSQ", "RND", "OWN"]), "", plot, {(): Level(9.0, 8.0, 10.0)}).axes
    points = [
        (LOOKS["JSQ"].colour, low, 0.0, 1.5),
        (LOOKS["OWN"].colour, high, 2.0, 2.5),
        (REFERENCE_COLOUR, high, -0.75, 2.5),
        (REFERENCE_COLOUR, high, 2.75, 2.5),
    ]
    assert arrows(axes) == {
        (*look, *(place if kind == "columns" else place[::-1])) for *look, x, y in points for place in [(x, y)]
    }


@pytest.mark.parametrize("kind", ["lines", "bars", "columns"])
def test_an_axis_is_never_upside_down(kind):
    frame, swept = summary(["JSQ", "RND"], delta_t=[1.0, 5.0])
    (axes,) = summary_figure(frame, swept, "", Plot(kind=kind, y_min=100)).axes
    low, high = axes.get_xlim() if kind == "bars" else axes.get_ylim()
    assert low == 100 < high


def test_what_trainings_leave_outside_the_picture_is_an_arrow_too():
    rows = pd.DataFrame(
        {"algorithm": "SAC", "iteration": [1, 2], "decisions": [5, 9], "drops": [8.0, 2.0], "seconds": 1.0}
    )
    (axes,) = training_figure(rows, Plot(kind="learning_curve", y_min=-4), "").axes
    assert arrows(axes) == {(LOOKS["SAC"].colour, CARETDOWN, 5.0, -4.0)}


def test_swept_seeds_are_names_and_no_axis():
    frame, swept = summary(["JSQ"], topology__seed=[1, 2, 3])
    (axes,) = summary_figure(frame, swept, "").axes
    names = [f"topology.seed = {seed}" for seed in (1, 2, 3)]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    for keys in (["topology.seed", "buffer"], ["buffer", "topology.seed"]):
        frame, swept = summary(["JSQ"], **{key.replace(".", "__"): [1, 2, 3] for key in keys})
        figure = summary_figure(frame, swept, "")
        assert figure.get_supxlabel() == "buffer (jobs)"
        assert [axes.get_title() for axes in figure.axes] == names


def test_trainings_with_swept_seeds_have_curves():
    rows = pd.DataFrame({"algorithm": "SAC", "delta_t": 5.0, "topology.seed": [1, 2], "iteration": 1, "drops": 1.0})
    figure = training_figure(rows.assign(seconds=1.0), Plot(kind="training_time"), "")
    assert figure.get_supxlabel() == "Δt (ms)"
    assert legend_names(figure) == ["topology.seed = 1", "topology.seed = 2"]


def test_names_that_begin_with_an_underscore_are_in_the_legend():
    for swept in ({"delta_t": [1.0, 5.0]}, {"topology__kind": ["torus", "cycle"]}):
        assert legend_names(summary_figure(*summary(["_mine", "JSQ"], **swept), "")) == ["_mine", "JSQ"]


def test_texts_and_limits_are_those_asked_for():
    frame, swept = summary(["JSQ"], delta_t=[1.0, 5.0])
    figure = summary_figure(frame, swept, "title", Plot(x_label="delay", y_label="lost", y_min=0.5, y_max=3))
    assert (figure.get_supxlabel(), figure.get_supylabel(), figure.get_suptitle()) == ("delay", "lost", "title")
    assert figure.axes[0].get_ylim() == (0.5, 3)


def test_the_axis_may_be_logarithmic_or_not():
    near, far = summary(["JSQ"], delta_t=[1.0, 5.0]), summary(["JSQ"], delta_t=[1.0, 500.0])
    assert summary_figure(*near, "", Plot(log_x=True)).axes[0].get_xscale() == "log"
    assert summary_figure(*far, "", Plot(log_x=False)).axes[0].get_xscale() == "linear"


@pytest.mark.parametrize("log_x", [True, False])
def test_ticks_are_at_the_values_drawn(log_x):
    frame, swept = summary(["JSQ"], delta_t=[1.0, 3.0, 7.0, 10.0])
    axes = summary_figure(frame, swept, "", Plot(log_x=log_x)).axes[0]
    assert axes.get_xticks().tolist() == [1.0, 3.0, 7.0, 10.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "7", "10"]


REFERENCE = Reference(policy="p.onnx", key="k", label="MF-MFC")


def test_the_reference_is_a_line_across_each_panel_with_its_interval():
    frame, swept = summary(["JSQ"], topology__nodes=[9, 21], delta_t=[1.0, 5.0])
    levels = {(nodes, delta_t): Level(nodes / 9, 0.5, 3.0) for nodes in (9, 21) for delta_t in (1.0, 5.0)}
    figure = summary_figure(frame, swept, "", Plot(reference=REFERENCE), levels)
    assert legend_names(figure) == ["JSQ", "MF-MFC"]
    for panel, value in enumerate([1.0, 21 / 9]):
        line = drawn(figure, panel)["MF-MFC"]
        assert list(line.get_ydata()) == [value, value]
        ends = figure.axes[panel].transAxes.inverted().transform(line.get_transform().transform(line.get_xydata()))
        assert ends[:, 0].tolist() == pytest.approx([0.0, 1.0])
        assert line.get_color() == REFERENCE_COLOUR
        band = figure.axes[panel].collections[-1].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (0.5, 3.0)


def test_a_reference_that_changes_along_the_axis_is_a_curve():
    frame, swept = summary(["JSQ"], delta_t=[5.0, 1.0])
    levels = {(1.0,): Level(1.5, np.nan, np.nan), (5.0,): Level(2.5, np.nan, np.nan)}
    line = drawn(summary_figure(frame, swept, "", Plot(reference=REFERENCE), levels))["MF-MFC"]
    assert line.get_xydata().tolist() == [[1.0, 1.5], [5.0, 2.5]]


@pytest.mark.parametrize("kind", ["bars", "columns"])
def test_each_group_of_bars_has_its_reference(kind):
    frame, swept = summary(["JSQ", "RND"], topology__kind=["torus", "cycle"])
    levels = {("torus",): Level(1.5, 1.0, 2.0), ("cycle",): Level(2.5, 2.0, 3.0)}
    figure = summary_figure(frame, swept, "", Plot(kind=kind, reference=REFERENCE), levels)
    places = [line.get_ydata() if kind == "columns" else line.get_xdata() for line in figure.axes[0].lines]
    assert [list(place) for place in places if len(place) == 2][-2:] == [[1.5, 1.5], [2.5, 2.5]]
    assert legend_names(figure) == ["MF-MFC", "JSQ", "RND"]
    frame, swept = summary(["JSQ", "RND"])
    figure = summary_figure(frame, swept, "", Plot(kind=kind, reference=REFERENCE), {(): Level(1.5, 1.0, 2.0)})
    assert legend_names(figure) == ["MF-MFC"]


def test_a_dispatcher_looks_the_same_in_every_picture():
    one, other = looks_of(["JSQ", "Mine", "MF-R", "OWN"]), looks_of(["OWN", "MF-R", "RND", "Yours", "JSQ"])
    for name in ("JSQ", "MF-R", "OWN"):
        assert one[name] == other[name] == LOOKS[name]
    assert LOOKS["MF-R"].colour == "#000000"
    frame, swept = summary(["OWN", "MF-R"], delta_t=[1.0, 5.0])
    line = drawn(summary_figure(frame, swept, ""))["MF-R"]
    assert (line.get_color(), line.get_marker(), line.get_linestyle()) == LOOKS["MF-R"]
    frame, swept = summary(["OWN", "MF-R"])
    handles, _ = summary_figure(frame, swept, "").axes[0].get_legend_handles_labels()
    assert handles[1][0].get_facecolor() == to_rgba("#000000")


def test_all_well_known_dispatchers_and_many_others_look_different():
    looks = looks_of([*LOOKS, *(f"mine {number}" for number in range(15))])
    assert len({(look.colour, look.dash) for look in looks.values()}) == len(looks) == len(LOOKS) + 15
    assert REFERENCE_COLOUR not in {look.colour for look in looks.values()}


@pytest.mark.parametrize("known", LOOKS)
def test_a_family_has_one_colour_and_its_members_differ_in_marker_and_dash(known):
    members = [f"{known} {more}" for more in ("per epoch", "2", "with sharing")]
    looks = looks_of([members[0], known, *members[1:]])
    assert looks[known] == LOOKS[known]
    assert {look.colour for look in looks.values()} == {LOOKS[known].colour}
    assert len({look.marker for look in looks.values()}) == len({look.dash for look in looks.values()}) == 4


def test_dashes_of_others_in_a_familys_colour_come_last():
    looks = looks_of(["SAC 1", "SAC 2", "SAC 3", "MF-G"])
    assert [looks[f"SAC {number}"].dash == looks["MF-G"].dash for number in (1, 2, 3)] == [False, False, True]
    assert len({look.marker for look in looks.values()}) == 4


def test_only_a_well_known_name_and_a_space_make_a_family():
    names = ["MF-RX", "MF-R; Δt = 1 ms", "mf-r 2", "MF-R "]
    assert looks_of(names) == dict(zip(names, looks_of(["a", "b", "c", "d"]).values(), strict=True))


def test_a_family_changes_no_other_look():
    assert looks_of(["JSQ per job", "Mine"])["Mine"] == looks_of(["Yours", "Mine"])["Mine"]


SWEEPS = {
    "bars": {},
    "lines": {"delta_t": [float(value) for value in range(1, 11)]},
    "panels": {"topology__kind": ["torus", "cube_connected_cycle", "bethe"], "delta_t": [1.0, 10.0]},
    "groups": {
        "topology__kind": ["torus", "cube_connected_cycle"],
        "service__work": ["exponential", "deterministic"],
    },
}


PLOTS = {
    "as usual": {},
    "columns": {"kind": "columns"},
    "error bars": {"interval": "bars", "log_x": True},
    "labels": {"x_label": "x" * 40, "y_label": "y" * 40},
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())
@pytest.mark.parametrize("swept", SWEEPS.values(), ids=SWEEPS.keys())
def test_with_ten_dispatchers_nothing_overlaps(swept, plot):
    frame, swept = summary(TEN, **swept)
    levels = {values: Level(5.0, 4.0, 6.0) for values in itertools.product(*(frame[key].unique() for key in swept))}
    title = "a scenario of 4,900 nodes on a torus with a horizon of 50 ms and 100 replications, and a long title"
    assert_nothing_overlaps(summary_figure(frame, swept, title, Plot(reference=REFERENCE, **plot), levels))


def assert_nothing_overlaps(figure):
    """Draw a figure and compare where its axes and texts are, and its edges."""
    figure.canvas.draw()
    boxes = [legend.get_window_extent() for legend in figure.legends]
    boxes += [text.get_window_extent() for text in figure.texts]
    boxes += [axes.get_window_extent() for axes in figure.axes]
    for axes in figure.axes:
        around = (axes.title, axes.xaxis.label, axes.yaxis.label)
        boxes += [text.get_window_extent() for text in around if text.get_text()]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes += [label.get_window_extent() for label in shown if label.get_visible()]
    lows, highs = np.array([box.min for box in boxes]), np.array([box.max for box in boxes])
    meets = ((lows[:, None] <= highs) & (lows <= highs[:, None])).all(axis=2)
    assert meets.sum() == len(boxes)  # each meets itself alone
    assert (lows >= 0).all()
    assert (highs <= figure.bbox.size).all()


LONG = "a rule with weight sharing, and a bonus for the own server, whose ties are broken anew for each job"
TOPOLOGIES = ["configuration_model(nodes=30, degrees=[2,3])", "cube_connected_cycle(order=3)", "torus(side=5)"]
LONG_SWEEPS = {
    "nothing": {},
    "numbers": {"buffer": [10**exponent for exponent in range(7)]},
    "topologies and delta_t": {"topology": TOPOLOGIES, "delta_t": [1.0, 3.0, 5.0]},
    "twelve panels": {"topology": [f"{number}_{'x' * 58}" for number in range(12)], "buffer": [1, 10000]},
    "twelve panels of three keys": {
        "topology": TOPOLOGIES,
        "service__work": ["exponential", "hyperexponential"],
        "dispatchers__0__policy": [f"a_policy_that_was_trained_on_a_graph_of_{size}.onnx" for size in (9, 25)],
        "delta_t": [1.0, 3.0],
    },
}
LONG_TEXTS = {"x_label": "X" * 100, "y_label": "many words " * 9}
LONG_PLOTS = {
    "as usual": (["JSQ"], {}),
    "long texts": ([LONG, "W" * 100], LONG_TEXTS),
    "columns": ([LONG, "W" * 100], {"kind": "columns", **LONG_TEXTS}),
    "bars": (["JSQ"], {"kind": "bars", **LONG_TEXTS}),
}


@pytest.mark.parametrize(("dispatchers", "plot"), LONG_PLOTS.values(), ids=LONG_PLOTS.keys())
@pytest.mark.parametrize(
    "swept",
    [
        pytest.param(swept, id=name, marks=[pytest.mark.slow] * name.startswith("twelve"))
        for name, swept in LONG_SWEEPS.items()
    ],
)
def test_long_names_and_texts_are_broken_into_lines_that_have_room(swept, dispatchers, plot):
    frame, swept = summary(dispatchers, **swept)
    levels = {values: Level(5.0, 4.0, 6.0) for values in itertools.product(*(frame[key].unique() for key in swept))}
    reference = REFERENCE.model_copy(update={"label": LONG})
    figure = summary_figure(frame, swept, LONG * 3, Plot(y_min=1.05, reference=reference, **plot), levels)
    assert_nothing_overlaps(figure)
    room = figure.axes[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    assert room.width > 2.0  # inches
    assert room.height > (2.0 if plot.get("kind") == "columns" else 1.4)


def differing(dispatchers, **swept):
    """A summary whose differences are from the first dispatcher: 1 / 10, 2 / 10 ... at every point."""
    frame, swept = summary(dispatchers, **swept)
    numbers = frame["dispatcher"].map(dispatchers.index) / 10
    known = numbers.where(numbers > 0)
    return frame.assign(difference=numbers, difference_low=known - 0.05, difference_high=known + 0.02), swept


@pytest.mark.parametrize("interval", ["band", "bars"])
def test_differences_from_the_first_dispatcher_are_below_each_panel(interval):
    frame, swept = differing(["MF-R", "JSQ", "RND"], buffer=[3, 9], delta_t=[1.0, 5.0])
    figure = summary_figure(frame, swept, "", Plot(differences_within=0.4, interval=interval))
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in figure.axes] == ["buffer = 3 jobs", "buffer = 9 jobs", "", ""]
    assert legend_names(figure) == ["MF-R", "JSQ", "RND"]
    for upper, lower in zip(above, below, strict=True):
        zero, lines = lower.lines[0], drawn_in(lower)
        assert set(zero.get_ydata()) == {0.0}
        assert [line.get_label() for line in lines] == ["JSQ", "RND"]
        assert [line.get_xydata().tolist() for line in lines] == [[[1.0, 0.1], [5.0, 0.1]], [[1.0, 0.2], [5.0, 0.2]]]
        assert [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines] == [
            LOOKS["JSQ"],
            LOOKS["RND"],
        ]
        kind = PolyCollection if interval == "band" else LineCollection
        heights = [np.vstack([path.vertices for path in part.get_paths()])[:, 1] for part in lower.collections]
        assert all(isinstance(part, kind) for part in lower.collections)
        ends = [(height.min(), height.max()) for height in heights]
        assert ends == [pytest.approx((0.05, 0.12)), pytest.approx((0.15, 0.22))]
        assert lower.get_ylim() == (-0.4, 0.4)
        assert lower.get_xlim() == upper.get_xlim()
        upper, lower = upper.get_position(), lower.get_position()
        assert lower.height == pytest.approx(0.4 * upper.height)
        assert (lower.x0, lower.x1) == pytest.approx((upper.x0, upper.x1))
        assert lower.y1 < upper.y0
    assert [axes.get_ylabel() for axes in figure.axes] == ["", "", "less MF-R", ""]
    assert [label.get_text() for label in below[0].get_yticklabels()] == ["−0.4", "0", "0.4"]


def drawn_in(axes):
    """The lines of a panel that have a name."""
    return [line for line in axes.lines if not line.get_label().startswith("_")]


def test_differences_outside_are_arrows_in_the_lower_panel():
    frame, swept = differing(["MF-R", "JSQ", "RND"], delta_t=[1.0, 5.0])
    frame["difference"] *= np.where(frame["delta_t"] == 1.0, 1.0, -1.0)
    upper, lower = summary_figure(frame, swept, "", Plot(differences_within=0.15)).axes
    assert arrows(upper) == set()
    colour = LOOKS["RND"].colour
    assert arrows(lower) == {(colour, CARETUP, 1.0, 0.15), (colour, CARETDOWN, 5.0, -0.15)}


def test_differences_are_from_the_dispatcher_that_is_first_in_the_scenario():
    frame, swept = differing(["MF-R", "JSQ", "RND"], delta_t=[1.0, 5.0])
    shuffled = frame.iloc[[1, 0, 2, 3, 4, 5]]
    lower = summary_figure(shuffled, swept, "", Plot(differences_within=1), first="MF-R").axes[1]
    assert [line.get_label() for line in drawn_in(lower)] == ["JSQ", "RND"]
    assert lower.get_ylabel() == "less MF-R"


SEEDS = {"SAC": ["SAC 1", "SAC 2", "SAC 3"]}


def test_dispatchers_drawn_together_are_one_line_with_mean_and_range():
    frame, swept = differing(["JSQ", "SAC 1", "RND", "SAC 2", "SAC 3"], buffer=[3, 9], delta_t=[1.0, 5.0])
    figure = summary_figure(frame, swept, "", Plot(together=SEEDS, differences_within=1, interval="bars"))
    assert legend_names(figure) == ["JSQ", "SAC: mean and range of 3", "RND"]
    members = frame[frame["dispatcher"].str.startswith("SAC")]
    for column, panels in (("mean_drops", figure.axes[:2]), ("difference", figure.axes[2:])):
        for buffer, panel in zip([3, 9], panels, strict=True):
            (line,) = [line for line in drawn_in(panel) if line.get_label() == "SAC: mean and range of 3"]
            assert (line.get_color(), line.get_marker(), line.get_linestyle()) == LOOKS["SAC"]
            (band,) = [part for part in panel.collections if isinstance(part, PolyCollection)]  # not the bars of others
            for delta_t, mean in line.get_xydata():
                values = members[(members["buffer"] == buffer) & (members["delta_t"] == delta_t)][column]
                assert mean == pytest.approx(values.mean())
                heights = [y for x, y in band.get_paths()[0].vertices if x == delta_t]
                assert (min(heights), max(heights)) == (values.min(), values.max())


def test_other_lines_and_the_table_are_as_they_are_without_those_drawn_together():
    frame, swept = differing(["JSQ", "RND", "SAC 1", "SAC 2", "SAC 3"], delta_t=[1.0, 5.0])
    before, others = frame.copy(), frame[~frame["dispatcher"].str.startswith("SAC")]
    shown, alone = (
        summary_figure(rows, swept, "", Plot(together=together)).axes[0]
        for rows, together in ((frame, SEEDS), (others, None))
    )
    for number in (0, 1):
        assert shown.lines[number].get_xydata().tolist() == alone.lines[number].get_xydata().tolist()
        bands = [axes.collections[number].get_paths()[0].vertices.tolist() for axes in (shown, alone)]
        assert bands[0] == bands[1]
    pd.testing.assert_frame_equal(frame, before)


def test_points_that_not_all_of_those_drawn_together_have_are_left_out():
    frame, swept = differing(["JSQ", *SEEDS["SAC"]], delta_t=[1.0, 5.0])
    plot = Plot(together=SEEDS)
    lines = drawn(summary_figure(frame.iloc[:-1], swept, "", plot))
    assert lines["SAC: mean and range of 3"].get_xdata().tolist() == [1.0]
    lines = drawn(summary_figure(frame[frame["dispatcher"] != "SAC 3"], swept, "", plot))
    assert lines["SAC: mean and range of 2"].get_xdata().tolist() == [1.0, 5.0]
    none = frame.iloc[[1, 6]]  # SAC 1 at one point, SAC 2 at the other
    assert legend_names(summary_figure(none, swept, "", plot)) == ["SAC 1", "SAC 2"]


@pytest.mark.parametrize("labels", [SEEDS["SAC"], ["JSQ", *SEEDS["SAC"]]], ids=str)
def test_an_interval_is_promised_only_where_one_is_drawn(labels):
    figure = summary_figure(*differing(labels, delta_t=[1.0, 5.0]), "", Plot(together=SEEDS))
    assert figure.get_supylabel() == (f"{DROPS}\n{REPLICATED}" if "JSQ" in labels else DROPS)


@pytest.mark.parametrize(
    ("kinds", "within"),
    [(1, 0.5), (2, 1e-9), *(pytest.param(*many, marks=pytest.mark.slow) for many in ((5, 123456.75), (6, 0.5)))],
)
@pytest.mark.parametrize("first", ["MF-R", "a rule with weight sharing, and a bonus for the own server"])
def test_nothing_overlaps_the_differences(first, kinds, within):
    names = [first, "JSQ", "RND", "OWN", "SAC 1", "SAC 2", "SAC 3", "MF-R per epoch"]
    topologies = ["torus", "cycle", "cube_connected_cycle", "bethe", "star", "x" * 60][:kinds]
    frame, swept = differing(names, topology__kind=topologies, delta_t=[float(value) for value in range(1, 11)])
    figure = summary_figure(frame, swept, LONG, Plot(differences_within=within, together=SEEDS))
    assert len(figure.axes) == 2 * kinds
    assert_nothing_overlaps(figure)
    assert min(axes.get_window_extent().height for axes in figure.axes) > 0.6 * figure.dpi


def test_a_legend_of_many_long_names_has_room():
    frame, swept = summary([f"{number} {LONG}" for number in range(12)], delta_t=[1.0, 5.0])
    assert_nothing_overlaps(summary_figure(frame, swept, LONG * 3))


@pytest.mark.parametrize("swept", SWEEPS.values(), ids=SWEEPS.keys())
def test_dispatchers_look_different_from_each_other(swept):
    frame, swept = summary(TEN, **swept)
    handles, names = summary_figure(frame, swept, "").axes[0].get_legend_handles_labels()
    looks = {
        (handle[0].get_facecolor(), handle[0].get_hatch())
        if isinstance(handle, BarContainer)
        else (handle.get_color(), handle.get_linestyle())
        for handle in handles
    }
    assert names == TEN
    assert len(looks) == len(TEN)


def test_the_picture_is_a_png_of_readable_size_and_stable_bytes(tmp_path):
    frame, swept = summary(TEN, delta_t=[1.0, 5.0])
    for name in ("a.png", "b.png"):
        summary_picture(frame, swept, tmp_path / name, r"dollars: $\frac$")
    height, width, _ = matplotlib.image.imread(tmp_path / "a.png").shape
    assert 400 <= height <= 3000
    assert 800 <= width <= 3000
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        summary_picture(*summary(["JSQ"]), tmp_path / "missing" / "summary.png", "")


OWN_STYLE = """
import sys
from pathlib import Path
import matplotlib, pandas
from emulator.report.plots import summary_picture
matplotlib.rcParams["font.size"] = 33
backend = dict.__getitem__(matplotlib.rcParams, "backend")
row = {"dispatcher": "JSQ", "delta_t": 5.0, "mean_drops": 1.0, "ci_low": 0.5, "ci_high": 1.5, "replications": 2}
summary_picture(pandas.DataFrame([row]), [], Path(sys.argv[1]), "title")
assert dict.__getitem__(matplotlib.rcParams, "backend") is backend, "the backend was chosen"
assert matplotlib.rcParams["font.size"] == 33, "the user's style was changed"
assert "matplotlib.pyplot" not in sys.modules, "pyplot was imported"
"""


def test_a_users_backend_and_style_are_left_alone_and_do_not_matter(tmp_path):
    assert python("-c", OWN_STYLE, tmp_path / "a.png").stderr == ""
    row = {"dispatcher": "JSQ", "delta_t": 5.0, "mean_drops": 1.0, "ci_low": 0.5, "ci_high": 1.5, "replications": 2}
    summary_picture(pd.DataFrame([row]), [], tmp_path / "b.png", "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
