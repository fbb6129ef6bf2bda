"""The table on the terminal."""

import math

import pandas as pd
import pytest

from emulator.results.table import summary_table


def row(dispatcher, mean, delta_t=5.0, difference=0.0, replications=10, information="broadcast"):
    return {
        "dispatcher": dispatcher,
        "delta_t": delta_t,
        "mean_drops": mean,
        "ci_low": mean - 0.1,
        "ci_high": mean + 0.1,
        "replications": replications,
        "difference": difference,
        "difference_low": difference - 0.01,
        "difference_high": difference + 0.01,
        "mean_sojourn_time": 2.5,
        "information": information,
    }


def test_numbers_of_any_size_leave_room_for_the_others():
    """The drops of a tiny horizon are scaled to 50 ms."""
    lines = summary_table(pd.DataFrame([row("JSQ", 3e300), row("RND", 4e11, difference=-1e308)]), []).splitlines()
    assert max(map(len, lines)) < 130
    assert lines[2].split()[:2] == ["JSQ", "3e+300"]
    assert lines[3].split()[1] == "400000000000.000"


def test_a_row_tells_mean_interval_and_difference():
    table = summary_table(pd.DataFrame([row("JSQ", 3.0), row("RND", 4.0, difference=1.0)]), [])
    lines = table.splitlines()
    header = "dispatcher drops 95 % interval difference 95 % interval sojourn n"
    assert lines[0].split() == header.split()
    assert lines[2].split() == ["JSQ", "3.000", "[2.900,", "3.100]", "-", "-", "2.500", "10"]
    assert lines[3].split() == [
        "RND",
        "4.000",
        "[3.900,",
        "4.100]",
        "1.000",
        "[0.990,",
        "1.010]",
        "2.500",
        "10",
    ]
    assert "difference: of drops from JSQ" in table


def test_each_swept_value_has_its_block():
    frame = pd.DataFrame([row(name, 3.0, delta_t) for delta_t in (1.0, 10.0) for name in ("JSQ", "RND")])
    lines = summary_table(frame, ["delta_t"]).splitlines()
    first, second = lines.index("delta_t = 1 ms"), lines.index("delta_t = 10 ms")
    assert second - first == 4  # one line is empty
    assert [line.split()[0] for line in lines[first + 1 : first + 3]] == ["JSQ", "RND"]
    assert [line.split()[0] for line in lines[second + 1 : second + 3]] == ["JSQ", "RND"]


@pytest.mark.parametrize(
    ("key", "value", "heading"),
    [
        ("service.rate", 0.5, "service.rate = 0.5/ms"),
        ("topology.side", 11, "topology.side = 11"),
        ("topology.kind", "torus", "topology.kind = torus"),
    ],
)
def test_a_block_is_headed_by_its_swept_values_and_their_units(key, value, heading):
    frame = pd.DataFrame([row("JSQ", 3.0) | {key: value}])
    assert f"{heading}, delta_t = 5 ms" in summary_table(frame, [key, "delta_t"]).splitlines()


def test_the_table_fits_a_hundred_columns_and_is_plain_text():
    frame = pd.DataFrame([row("JSQ-M sharing, 0.9", 12.345), row("RND", 45.678, difference=-12.3)])
    table = summary_table(frame, [])
    assert max(map(len, table.splitlines())) <= 100
    assert "JSQ-M sharing, 0.9" in table
    assert "\x1b" not in table


@pytest.mark.parametrize(("mean", "text"), [(0.0, "0.000"), (0.0123, "0.0123"), (0.000456, "0.000456")])
def test_small_means_keep_three_digits(mean, text):
    assert text in summary_table(pd.DataFrame([row("JSQ", mean)]), [])


def test_one_replication_has_no_interval():
    single = row("RND", 4.0, difference=1.0, replications=1)
    single |= dict.fromkeys(("ci_low", "ci_high", "difference_low", "difference_high"), math.nan)
    table = summary_table(pd.DataFrame([single]), [], first="JSQ")
    assert table.splitlines()[2].split() == ["RND", "4.000", "-", "1.000", "-", "2.500", "1"]


def test_replications_that_are_all_alike_have_no_interval_and_a_note():
    alike = row("RND", 0.0) | dict.fromkeys(("ci_low", "ci_high", "difference_low", "difference_high"), math.nan)
    table = summary_table(pd.DataFrame([row("JSQ", 0.1), alike]), [])
    assert table.splitlines()[3].split() == ["RND", "0.000", "-", "0.000", "-", "2.500", "10"]
    note = "no interval: all n replications are alike, so at most 3 in n episodes, about, are otherwise (95 %)"
    assert note in table.splitlines()
    assert note not in summary_table(pd.DataFrame([row("JSQ", 0.1)]), [])


def test_a_sweep_over_delta_t_says_what_must_not_be_compared():
    frame = pd.DataFrame([row("JSQ", 3.0, delta_t) for delta_t in (1.0, 10.0)])
    assert "share no arrivals" in summary_table(frame, ["delta_t"])
    assert "share no arrivals" not in summary_table(frame[:1], [])


def test_what_dispatchers_may_know_is_told_where_it_differs():
    memory = row("JSQ-M", 2.0, information="broadcast, own sends")
    lines = summary_table(pd.DataFrame([row("JSQ", 3.0), memory]), []).splitlines()
    assert lines[0].split()[-2:] == ["n", "information"]
    assert [line[lines[0].index("information") :] for line in lines[2:4]] == ["broadcast", "broadcast, own sends"]
    assert "information" not in summary_table(pd.DataFrame([memory, memory | {"dispatcher": "RR"}]), [])


def test_no_interval_looks_as_if_it_had_no_width():
    narrow = row("JSQ", 3.0) | {"ci_low": 2.9999991, "ci_high": 3.0000008}
    cells = summary_table(pd.DataFrame([narrow]), []).splitlines()[2].split()
    assert cells[2:4] == ["[2.999999,", "3.000001]"]
    nothing = row("JSQ", 0.0) | {"ci_low": 0.0, "ci_high": 3e-7}
    table = summary_table(pd.DataFrame([nothing]), [])
    assert "[0.0000000, 0.0000003]" in table
    assert "an interval from 0: no job was lost; its upper end is 3 / jobs seen" in table


@pytest.mark.parametrize(
    ("key", "values", "told"),
    [
        ("seed", [1, 2], "seed: its values share no arrivals"),
        ("arrivals.high", [0.5, 0.9], "arrivals.high: its values share no arrivals"),
        ("topology.side", [3, 5], "topology.side: its values do not share all arrivals"),
        ("buffer", [3, 5], None),
        ("messages.latency", [0.0, 1.0], None),
    ],
)
def test_points_that_share_no_arrivals_are_not_to_be_compared(key, values, told):
    frame = pd.DataFrame([row("JSQ", 3.0) | {key: value, "schedulers": int(10 * value)} for value in values])
    notes = [line for line in summary_table(frame, [key]).splitlines() if "compare dispatchers at one value" in line]
    assert notes == (
        [] if told is None else [f"{told}; compare dispatchers at one value, not one dispatcher at several"]
    )


def test_graphs_of_one_size_share_all_arrivals():
    frame = pd.DataFrame([row("JSQ", 3.0) | {"topology": kind, "schedulers": 49} for kind in ("torus", "cycle")])
    assert "compare dispatchers at one value" not in summary_table(frame, ["topology"])


def test_batches_have_their_correlation_beside_them():
    one = row("JSQ", 3.0, replications=1) | {"batches": 20, "mean_drops_lag_one": 0.125}
    lines = summary_table(
        pd.DataFrame([one, row("RND", 4.0) | {"batches": 20, "mean_drops_lag_one": -0.5}]), []
    ).splitlines()
    assert lines[0].split()[-4:] == ["sojourn", "lag", "1", "n"]
    assert lines[2].split()[-2:] == ["0.12", "20"]
    assert "drops: dropped jobs per queue and 50 ms, mean of n batches of one run" in lines
