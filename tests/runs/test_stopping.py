"""How many replications are run: as many as are asked for, or until the intervals are narrow."""

import pandas as pd
import pytest
from own_process import content
from small_run import stop_after

from emulator.command_line import main
from emulator.results.estimates import mean_interval
from emulator.runs.run import load_plan
from emulator.runs.stopping import next_round
from emulator.runs.tasks import Task, cells_of


def half_widths(frame, column, low, high):
    return ((frame[high] - frame[low]) / 2 / frame[column].abs()).tolist()


class TestPrecision:
    def test_replications_stop_when_the_means_are_known_well_enough(self, folder):
        wanted = ["--replications", "5000", "--set", "precision=0.2", "--set", "trace.jobs=0"]
        assert main(["s.yaml", "--quiet", *wanted]) == 0
        summary = pd.read_parquet("runs/s/summary.parquet")
        assert max(half_widths(summary, "mean_drops", "ci_low", "ci_high")) <= 0.2
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
            assert any((high - mean) > 0.2 * mean for mean, _, high in intervals)

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


@pytest.mark.slow
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


def test_a_precision_of_differences_needs_two_dispatchers(folder, capsys):
    assert main(["s.yaml", "--set", "dispatchers=[RND]", "--set", "paired_precision=0.1"]) == 2
    assert "paired_precision needs at least two dispatchers, got 1" in capsys.readouterr().err


def test_no_difference_from_a_first_dispatcher_that_failed_is_precise(folder):
    settings = ["delta_t=5", "dispatchers=[JSQ, RND]", "paired_precision=0.5", "replications=40"]
    plan = load_plan("s.yaml", settings=settings)
    cells = cells_of(plan)
    rows = {Task(cells[0][1], number): {"drops_per_queue": float(number)} for number in range(10)}
    assert next_round(cells, rows, {cells[0][0]}).replications == [20]
