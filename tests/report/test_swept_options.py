"""The picture and the table of dispatchers whose options sweep, and of keys that move together."""

from pathlib import Path

import pandas as pd
import pytest

import emulator
from emulator.errors import InputError
from emulator.report.figure import picture_of
from emulator.report.plots import summary_figure
from emulator.results.reader import Results
from emulator.results.table import summary_table
from emulator.scenario.plan import load

SCENARIO = """\
topology: {kind: cycle, nodes: 5}
delta_t: 2
horizon: 4
dispatchers: [JSQ, {name: JSQ-M, weight: [2, 0, 1]}]
replications: 2
engine: simpy
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(*settings):
    """Run the scenario with other keys, and return its summary, its figure and its table."""
    Path("s.yaml").write_text(SCENARIO, encoding="utf-8")
    plan = load("s.yaml", settings)
    emulator.run("s.yaml", settings=settings, out="out", fresh=True)
    summary = Results.open("out").summary
    figure = summary_figure(summary, plan.swept, *picture_of(plan, None))
    return summary, figure, summary_table(summary, plan.swept, plan.first_dispatcher)


def lines_of(axes):
    named = [line for line in axes.lines if not line.get_label().startswith("_")]  # no caps of error bars
    return {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in named}


def means(summary, dispatcher):
    return summary[summary["dispatcher"] == dispatcher]["mean_drops"].tolist()


def test_an_option_is_the_axis_if_no_other_number_is_swept(folder):
    summary, figure, table = drawn()
    (axes,) = figure.axes
    assert figure.get_supxlabel() == "weight"
    by_weight = [means(summary, f"JSQ-M weight={weight}")[0] for weight in (0, 1, 2)]
    assert lines_of(axes) == {"JSQ": ([0, 1, 2], means(summary, "JSQ") * 3), "JSQ-M": ([0, 1, 2], by_weight)}
    assert [line.split()[:2] for line in table.splitlines()[3:6]] == [
        ["JSQ-M", f"weight={weight}"] for weight in (2, 0, 1)
    ]


def test_each_value_has_a_line_beside_another_axis(folder):
    summary, figure, _ = drawn("delta_t=[1,2]")
    (axes,) = figure.axes
    assert figure.get_supxlabel() == "Δt (ms)"
    names = ["JSQ", "JSQ-M weight=2", "JSQ-M weight=0", "JSQ-M weight=1"]
    assert lines_of(axes) == {name: ([1.0, 2.0], means(summary, name)) for name in names}


def test_an_option_may_be_asked_for_as_the_axis(folder):
    summary, figure, _ = drawn("delta_t=[1,2]", "plot={x: dispatchers.weight}")
    assert [axes.get_title() for axes in figure.axes] == ["Δt = 1 ms", "Δt = 2 ms"]
    level = means(summary, "JSQ")
    assert [lines_of(axes)["JSQ"][1] for axes in figure.axes] == [[value] * 3 for value in level]
    with pytest.raises(InputError, match=r"plot\.x must be one of delta_t, nodes, dispatchers\.weight in this sweep"):
        drawn("plot={x: dispatchers.bonus}")


def test_of_two_options_each_other_value_has_a_line_of_its_own(folder):
    settings = ["dispatchers.1.weight=[0,1]", "dispatchers.1.bonus=[0,0.5]"]
    _, figure, _ = drawn(*settings)
    assert figure.get_supxlabel() == ""  # there are bars, for neither goes before the other
    summary, figure, _ = drawn(*settings, "plot={x: dispatchers.weight}")
    assert list(lines_of(figure.axes[0])) == ["JSQ", "JSQ-M bonus=0", "JSQ-M bonus=0.5"]
    half = [means(summary, f"JSQ-M weight={weight} bonus=0.5")[0] for weight in (0, 1)]
    assert lines_of(figure.axes[0])["JSQ-M bonus=0.5"] == ([0, 1], half)


def test_a_dispatcher_without_the_option_is_no_part_of_the_line_of_its_family(folder):
    _, figure, _ = drawn("dispatchers=[JSQ-M, {name: JSQ-M, weight: [1, 2]}]")
    assert list(lines_of(figure.axes[0])) == ["JSQ-M", "JSQ-M weight=…"]


def test_keys_that_move_together_are_one_axis(folder):
    settings = ["delta_t=[1,2]", "topology.nodes=[5,7]", "zip=[topology.nodes, delta_t]"]
    summary, figure, table = drawn(*settings)
    (axes,) = figure.axes
    assert figure.get_supxlabel() == "Δt (ms), and with it number of nodes N"
    assert lines_of(axes)["JSQ"] == ([1.0, 2.0], means(summary, "JSQ"))
    assert "topology.nodes = 5, delta_t = 1 ms" in table.splitlines()
    _, figure, _ = drawn(*settings, "plot={x: nodes}")
    assert len(figure.axes) == 1
    assert figure.get_supxlabel() == "number of nodes N, and with it Δt"


def test_what_moves_along_has_panels_where_it_does_not_follow_from_the_axis(folder):
    settings = ["delta_t=[1,2,1]", "topology.nodes=[5,5,7]", "zip=[topology.nodes, delta_t]"]
    _, figure, _ = drawn(*settings)
    assert figure.get_supxlabel() == "Δt (ms)"
    assert [axes.get_title() for axes in figure.axes] == ["N = 5", "N = 7"]


def test_what_moves_along_with_names_has_groups_of_bars(folder):
    topology = "topology=[{kind: cycle, nodes: 5}, {kind: star, nodes: 5}, {kind: torus, side: 3}]"
    _, figure, table = drawn(topology, "zip=[topology, dispatchers.1.weight]")
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [
        "topology = cycle(nodes=5)\nweight = 2",
        "topology = star(nodes=5)\nweight = 0",
        "topology = torus(side=3)\nweight = 1",
    ]
    assert [line.split()[1] for line in table.splitlines() if line.startswith("JSQ-M")] == [
        "weight=2",
        "weight=0",
        "weight=1",
    ]


def test_the_columns_of_an_option_have_its_type_and_nulls_in_all_tables(folder):
    drawn("dispatchers=[JSQ, {name: JSQ-M, weight: [2, 1]}]", "trace={jobs: 1, epochs: 1, messages: 1}")
    results = Results.open("out")
    for table in (results.episodes, results.summary):
        found = table.drop_duplicates("dispatcher").set_index("dispatcher")["dispatchers.weight"]
        assert found.fillna(-1).to_dict() == {"JSQ": -1, "JSQ-M weight=2": 2, "JSQ-M weight=1": 1}
    for dataset in (results.jobs(), results.epochs(), results.messages()):
        assert str(dataset.schema.field("dispatchers.weight").type) == "int64"
        frame = dataset.to_table(columns=["dispatcher", "dispatchers.weight"]).to_pandas().drop_duplicates()
        assert dict(frame.fillna(-1).itertuples(index=False)) == {"JSQ": -1, "JSQ-M weight=2": 2, "JSQ-M weight=1": 1}
    assert pd.read_parquet("out/episodes.parquet").columns.tolist().index("dispatchers.weight") == 8
