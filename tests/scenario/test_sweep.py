"""Sweeps as people make them: ranges, keys that move together, options of dispatchers, seeds."""

import math
from decimal import Decimal, getcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import InputError
from emulator.scenario.plan import load
from emulator.scenario.ranges import POINT_LIMIT, numbers_of
from emulator.scenario.yaml_tree import Place, read_text

WHOLE = {"topology": "{kind: torus, side: 5}", "delta_t": "5", "dispatchers": "[JSQ]"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file="s.yaml", /, **keys):
    text = "".join(f"{key}: {value}\n" for key, value in {**WHOLE, **keys}.items() if value is not None)
    Path(file).write_text(text, encoding="utf-8")
    return file


def refused(path, overrides=()):
    with pytest.raises(InputError) as error:
        load(path, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def numbers(text):
    return [node.value for node in numbers_of(read_text(text, lambda line, column: Place("range")), "key")]


def displays(plan, point=0):
    return [spec.display for spec in plan.points[point].scenario.dispatchers]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{from: 1, to: 4, step: 1}", [1, 2, 3, 4]),
        ("{from: 1, to: 4, step: 2}", [1, 3]),
        ("{from: 4, to: 1, step: -1.5}", [4.0, 2.5, 1.0]),
        ("{from: 0.1, to: 0.7, step: 0.1}", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        ("{from: 1, to: 2, step: 0.5}", [1.0, 1.5, 2.0]),
        ("{from: 5, to: 5, step: -3}", [5]),
        ("{from: -1, to: 1, linspace: 3}", [-1, 0, 1]),
        ("{from: 0, to: 1, linspace: 4}", [0, 0.333333333333, 0.666666666667, 1]),
        ("{from: 0.05, to: 0.35, linspace: 3}", [0.05, 0.2, 0.35]),
        ("{from: 1, to: 1000, logspace: 4}", [1, 10, 100, 1000]),
        ("{from: 100, to: 0.01, logspace: 5}", [100.0, 10.0, 1.0, 0.1, 0.01]),
        ("{from: 1, to: 2, logspace: 3}", [1, 1.41421356237, 2]),
        ("{from: 1e-300, to: 1e300, logspace: 3}", [1e-300, 1.0, 1e300]),
    ],
)
def test_a_range_is_the_list_that_people_would_write(text, values):
    assert numbers(text) == values
    assert list(map(type, numbers(text))) == list(map(type, values))


decimals = st.decimals(Decimal("-1000"), Decimal("1000"), places=3)


@given(decimals, st.integers(0, 50), decimals.filter(bool))
def test_steps_are_exact_as_decimals(start, count, step):
    getcontext().prec = 40
    values = numbers(f"{{from: {start}, to: {start + count * step}, step: {step}}}")
    assert values == [float(start + number * step) for number in range(count + 1)]


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 40), st.sampled_from(["linspace", "logspace"]))
def test_so_many_numbers_are_at_equal_distances_or_ratios(start, stop, count, form):
    if start == stop:
        return
    values = numbers(f"{{from: {start!r}, to: {stop!r}, {form}: {count}}}")
    assert (values[0], values[-1], len(values)) == (start, stop, count)
    scaled = values if form == "linspace" else list(map(math.log, values))
    exact = [scaled[0] + (scaled[-1] - scaled[0]) * number / (count - 1) for number in range(count)]
    assert scaled == pytest.approx(exact, rel=0, abs=1e-10 * max(map(abs, scaled)))


def test_a_range_of_the_most_values_is_no_more(folder):
    assert len(numbers(f"{{from: 1, to: {POINT_LIMIT}, step: 1}}")) == POINT_LIMIT
    with pytest.raises(InputError, match="at most 100000 values, got 1, which makes 100001"):
        numbers(f"{{from: 0, to: {POINT_LIMIT}, step: 1}}")
    with pytest.raises(InputError, match="which makes more than 1e15"):
        numbers("{from: 0, to: 1e308, step: 1e-308}")


@pytest.mark.parametrize(
    ("keys", "swept", "values"),
    [
        ({"delta_t": "{from: 1, to: 3, step: 1}"}, "delta_t", [1.0, 2.0, 3.0]),
        ({"delta_t": "[0.5, {from: 1, to: 3, step: 2}, 9]"}, "delta_t", [0.5, 1.0, 3.0, 9.0]),
        ({"buffer": "{from: 1, to: 9, linspace: 3}"}, "buffer", [1, 5, 9]),
        ({"topology": "{kind: torus, side: {from: 3, to: 5, step: 1}}"}, "topology.side", [3, 4, 5]),
        ({"arrivals": "{high: {from: 0.1, to: 1, logspace: 2}}"}, "arrivals.high", [0.1, 1.0]),
        ({"messages": "{latency: {from: 0, to: 1, linspace: 2}}"}, "messages.latency", [0.0, 1.0]),
        (
            {"messages": "{latency: {law: exponential, mean: {from: 1, to: 2, step: 1}}}"},
            "messages.latency.mean",
            [1, 2],
        ),
        (
            {"topology": "[{kind: torus, side: {from: 3, to: 4, step: 1}}, {kind: cycle, nodes: 9}]"},
            "topology",
            ["torus(side=3)", "torus(side=4)", "cycle(nodes=9)"],
        ),
        ({"seed": "[1, {from: 10, to: 20, step: 10}]"}, "seed", [1, 10, 20]),
    ],
    ids=str,
)
def test_ranges_stand_where_numbers_sweep(folder, keys, swept, values):
    plan = load(write(**keys))
    assert plan.swept == [swept]
    assert [point.values[swept] for point in plan.points] == values
    assert load(write("resolved.yaml", **plan.data)).points[-1].values == plan.points[-1].values


def test_the_command_line_and_a_child_change_a_part_of_a_range(folder):
    write("base.yaml", delta_t="{from: 1, to: 9, step: 4}", buffer="[2, 3]")

    def swept(*settings, **keys):
        Path("child.yaml").write_text("extends: base.yaml\n" + "".join(f"{k}: {v}\n" for k, v in keys.items()))
        return [point.values["delta_t"] for point in load("child.yaml", settings).points[::2]]

    assert swept() == [1, 5, 9]
    assert swept(delta_t="{step: 8}") == [1, 9]
    assert swept(delta_t="{linspace: 2}") == [1, 9]
    assert swept("delta_t.to=5") == [1, 5]
    assert swept("delta_t.linspace=5", delta_t="{step: 8}") == [1, 3, 5, 7, 9]
    assert swept("delta_t={from: 2, to: 4, step: 1}") == [2, 3, 4]
    assert swept(delta_t="[7, 8]") == [7, 8]
    write("mapped.yaml", messages="{latency: {law: exponential, mean: 2}}")
    plan = load("mapped.yaml", ["messages.latency={from: 1, to: 2, step: 1}"])
    assert [point.values["messages.latency"] for point in plan.points] == [1.0, 2.0]
    plan = load(
        write(messages="{latency: {from: 1, to: 2, step: 1}}"), ["messages.latency={law: exponential, mean: 2}"]
    )
    assert plan.points[0].scenario.messages.latency.mean == 2


def test_keys_that_move_together_are_one_axis(folder):
    keys = {"topology": "{kind: torus, side: [5, 7, 5]}", "delta_t": "[1, 2, 3]", "buffer": "[4, 5]", "seed": "[1, 2]"}
    plan = load(write(**keys, zip="[[topology.side, delta_t], [seed, buffer]]"))
    assert plan.swept == ["topology.side", "delta_t", "buffer", "seed"]
    found = [tuple(point.values.values()) for point in plan.points]
    assert found == [(*first, *second) for first in ((5, 1), (7, 2), (5, 3)) for second in ((4, 1), (5, 2))]
    assert plan.zipped == [["topology.side", "delta_t"], ["buffer", "seed"]]
    assert plan.axes == ["topology.side with delta_t", "buffer with seed"]
    assert len(load("s.yaml", ["zip=[delta_t, topology.side]"]).points) == 3 * 2 * 2
    assert refused("s.yaml", ["zip=[]"]).endswith("topology.side takes the value 5 twice")
    assert len(load("s.yaml", ["zip=[]", "topology.side=[5,7,9]"]).points) == 3 * 3 * 2 * 2


def test_values_that_stand_twice_in_a_zipped_list_are_called_alike(folder):
    topology = "[{kind: torus, side: 5}, {kind: cycle, nodes: 5}, {kind: torus, side: 5}]"
    plan = load(write(topology=topology, delta_t="[1, 2, 3]", zip="[topology, delta_t]"))
    assert [point.values["topology"] for point in plan.points] == ["torus(side=5)", "cycle(nodes=5)", "torus(side=5)"]


CLASSES = """
from __future__ import annotations
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional
import numpy as np
from numpy.typing import NDArray
from dispatchers import Dispatcher

class Plain(Dispatcher):
    def __init__(self, threshold, share=0.5, names=("a",), table=None): ...

class Said(Dispatcher):
    def __init__(
        self, one: int | None = None, several: Sequence[float] | None = None, pairs: list[list[int]] = (),
        word: Literal["a", "b"] = "a", anything: Any = 1, array: NDArray[np.float64] = None, text: Optional[str] = None,
        mapping: Mapping[str, float] | None = None, noted: Annotated[float, "ms"] = 1.0,
    ): ...

class Open(Dispatcher):
    def __init__(self, **options): ...

class Lost(Dispatcher):
    def __init__(self, one: Missing = 1): ...
"""


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ("{class: 'mine:Plain', threshold: [1, 2]}", ["Plain threshold=1", "Plain threshold=2"]),
        ("{class: 'mine:Plain', threshold: 1, share: {from: 0, to: 1, step: 0.5}}", ["0", "0.5", "1"]),
        ("{class: 'mine:Plain', threshold: 1, names: [a, b]}", ["Plain"]),
        ("{class: 'mine:Plain', threshold: 1, names: [[a, b], [c]]}", ["Plain names=[a,b]", "Plain names=[c]"]),
        ("{class: 'mine:Plain', threshold: [[1, 2]]}", ["Plain threshold=[1,2]"]),
        (
            "{class: 'mine:Plain', threshold: [1, 2], table: [true, false]}",
            ["1 table=true", "1 table=false", "2 table=true", "2 table=false"],
        ),
        ("{class: 'mine:Said', one: [1, 2]}", ["Said one=1", "Said one=2"]),
        ("{class: 'mine:Said', several: [1, 2]}", ["Said"]),
        ("{class: 'mine:Said', several: [[1, 2], [3]]}", ["Said several=[1,2]", "Said several=[3]"]),
        ("{class: 'mine:Said', pairs: [[1, 2]]}", ["Said"]),
        ("{class: 'mine:Said', word: [a, b]}", ["Said word=a", "Said word=b"]),
        ("{class: 'mine:Said', anything: [1, 2]}", ["Said"]),
        ("{class: 'mine:Said', array: [1, 2]}", ["Said"]),
        ("{class: 'mine:Said', text: [x, y], label: z}", ["z text=x", "z text=y"]),
        ("{class: 'mine:Said', mapping: {from: 1, to: 2, step: 1}}", ["Said"]),
        ("{class: 'mine:Said', anything: {from: 1, to: 2, step: 1}}", ["Said"]),
        ("{class: 'mine:Said', noted: {from: 1, to: 2, step: 1}}", ["Said noted=1", "Said noted=2"]),
        ("{class: 'mine:Open', whatever: [1, 2]}", ["Open whatever=1", "Open whatever=2"]),
        ("{class: 'mine:Lost', one: [1, 2]}", ["Lost one=1", "Lost one=2"]),
        ("{class: 'nowhere:Any', one: [1, 2]}", ["Any"]),
        (
            "{name: JSQ-M, weight: [1, sharing], bonus: [0, 1]}",
            ["weight=1 bonus=0", "weight=1 bonus=1", "sharing bonus=0", "sharing bonus=1"],
        ),
        ("{name: MF-R, rule: [0, 0, 0, 0, 1, 1]}", ["MF-R"]),
        ("{name: MF-R, policy: [a.onnx, b.onnx]}", ["MF-R policy=a.onnx", "MF-R policy=b.onnx"]),
    ],
    ids=str,
)
def test_a_list_makes_dispatchers_unless_the_class_takes_one(folder, options, ends):
    """What the dispatchers are called ends so."""
    Path("mine.py").write_text(CLASSES)
    found = displays(load(write(dispatchers=f"[RND, {options}]")))[1:]
    assert [name[-len(end) :] for name, end in zip(found, ends, strict=True)] == ends


def test_an_option_has_a_column_and_its_value_as_it_was_written(folder):
    path = write(
        dispatchers="[JSQ, {name: JSQ-M, weight: [1, 0.5]}, {name: JSQ-M, label: b, weight: [2], bonus: [0, 1]}]"
    )
    plan = load(path)
    assert plan.swept == []
    assert plan.options == ["dispatchers.weight", "dispatchers.bonus"]
    specs = plan.points[0].scenario.dispatchers
    told = [(spec.family, dict(spec.swept), spec.options) for spec in specs]
    assert told == [
        ("JSQ", {}, {}),
        ("JSQ-M", {"weight": 1.0}, {"weight": 1}),
        ("JSQ-M", {"weight": 0.5}, {"weight": 0.5}),
        ("b", {"weight": 2.0, "bonus": 0}, {"weight": 2, "bonus": 0}),
        ("b", {"weight": 2.0, "bonus": 1}, {"weight": 2, "bonus": 1}),
    ]
    assert [type(spec.options["weight"]) for spec in specs[1:]] == [int, float, int, int]
    assert {type(spec.swept["weight"]) for spec in specs[1:]} == {float}
    texts = load(path, ["dispatchers.2.weight=[2,sharing]"]).points[0].scenario.dispatchers
    assert [spec.swept.get("weight") for spec in texts] == [None, "1", "0.5", "2", "2", "sharing", "sharing"]


def test_an_option_that_moves_with_a_key_makes_no_dispatcher(folder):
    dispatchers = "[JSQ, {name: JSQ-M, weight: [1, 2, 3]}]"
    plan = load(write(dispatchers=dispatchers, delta_t="[1, 2, 5]", zip="[delta_t, dispatchers.1.weight]"))
    assert (plan.swept, plan.options) == (["delta_t"], ["dispatchers.weight"])
    assert plan.zipped == [["delta_t", "dispatchers.weight"]]
    specs = [point.scenario.dispatchers[1] for point in plan.points]
    assert [(spec.display, spec.options["weight"], spec.swept["weight"]) for spec in specs] == [
        ("JSQ-M", weight, weight) for weight in (1, 2, 3)
    ]


def test_two_options_of_one_dispatcher_may_move_together(folder):
    dispatchers = "[JSQ, {name: JSQ-M, weight: [1, 2], bonus: [0, 0.5]}]"
    plan = load(write(dispatchers=dispatchers, zip="[dispatchers.1.bonus, dispatchers.1.weight]"))
    assert displays(plan) == ["JSQ", "JSQ-M weight=1 bonus=0", "JSQ-M weight=2 bonus=0.5"]


def test_braces_of_a_swept_option_are_filled_at_each_point(folder):
    dispatchers = "[{name: MF-R, policy: ['a_{delta_t}.onnx', 'b_{delta_t}.onnx']}]"
    plan = load(write(dispatchers=dispatchers, delta_t="[1, 2.5]"))
    policies = [[spec.options["policy"] for spec in point.scenario.dispatchers] for point in plan.points]
    assert policies == [["a_1.onnx", "b_1.onnx"], ["a_2.5.onnx", "b_2.5.onnx"]]


def test_errors_of_dispatchers_have_the_number_and_the_place_in_the_file(folder):
    dispatchers = "[{name: JSQ-M, weight: [1, 2]}, {name: JSQ-M, label: JSQ-M weight=2}]"
    assert refused(write(dispatchers=dispatchers)) == (
        's.yaml:3:46: dispatchers.1 is called "JSQ-M weight=2" like dispatchers.0; give one of them a label of its own'
    )
    plan = load(write(dispatchers="[{name: JSQ-M, weight: [1, 2]}, {name: JSQ, ties: often}]"))
    assert str(plan.points[0].places["dispatchers.2"]) == "s.yaml:3:46"
    assert refused(write(dispatchers="[{name: JSQ-M, weigth: {from: 1, to: 2, step: 1}}]")) == (
        "s.yaml:3:29: dispatchers.0.weigth is unknown, did you mean weight? allowed are weight, bonus"
    )


def test_paired_differences_need_two_dispatchers_which_one_with_options_may_be(folder):
    keys = {"paired_precision": "0.1", "dispatchers": "[{name: JSQ-M, weight: 1}]"}
    assert refused(write(**keys)).endswith("paired_precision needs at least two dispatchers, got 1")
    assert len(displays(load("s.yaml", ["dispatchers.0.weight=[1,2]"]))) == 2


def test_more_dispatchers_than_there_may_be_are_refused(folder):
    many = "{from: 0, to: 999, step: 1}"
    message = refused(write(dispatchers=f"[{{name: JSQ-M, weight: {many}, bonus: {many}}}]"))
    assert "the lists of dispatchers.0.weight, dispatchers.0.bonus make 1000000 points" in message


def test_a_plan_of_a_resolved_scenario_is_the_same(folder):
    Path("mine.py").write_text(CLASSES)
    keys = {
        "delta_t": "{from: 1, to: 3, linspace: 3}",
        "buffer": "[4, 4, 5]",
        "seed": "[1, 2]",
        "zip": "[buffer, delta_t]",
        "dispatchers": "[{name: JSQ-M, weight: {from: 0, to: 1, step: 0.5}}, {class: 'mine:Plain', threshold: [1, 2]}]",
    }
    plan = load(write(**keys))
    Path("resolved.yaml").write_text(plan.resolved_yaml())
    again = load("resolved.yaml")
    assert again == plan
    assert again.resolved_yaml() == plan.resolved_yaml()
