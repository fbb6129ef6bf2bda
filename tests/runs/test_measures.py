"""What is measured, from a scenario's keys to the tables: warm-up, batches, nodes, precision of any measure."""

import numpy as np
import pandas as pd
import pytest
from small_run import SCENARIO

import emulator
from emulator import InputError, Results
from emulator.command_line import main
from emulator.engines.histogram import Histogram
from emulator.results.measures import SHOWN, names_of
from emulator.verification.exact.arrivals import poisson
from emulator.verification.exact.queue import stationary_loss
from emulator.verification.exact.sojourn import quantiles, sojourn_law
from emulator.verification.exact.station import Station

QUEUES = """
topology: {kind: cycle, nodes: 20}
delta_t: 20
horizon: 2040
warmup: 40
arrivals: {high: 0.9, low: 0.9}
dispatchers: [OWN]
replications: 20
engine: compiled
"""
"""M/M/1/5 queues that have forgotten that they were empty; few jobs are still there in the end."""


LAW = sojourn_law(Station(arrivals=poisson(0.9)))
"""The exact law of their sojourn times."""


@pytest.fixture(scope="module")
def queues(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queues")
    (folder / "q.yaml").write_text(QUEUES)
    return emulator.run(folder / "q.yaml", out=folder / "out").iloc[0]


def near(row, name, exact):
    """Whether an exact value lies within an interval that is half as long again: wrong once in 300."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    assert high - low < 0.05 * exact
    return value - 1.5 * (value - low) <= exact <= value + 1.5 * (high - value)


@pytest.mark.parametrize(
    ("name", "share", "exact"),
    [
        ("p50_sojourn_time", 0.5, 2.322986),
        ("p90_sojourn_time", 0.9, 5.795780),
        ("p99_sojourn_time", 0.99, 9.516304),
        ("p999_sojourn_time", 0.999, 12.761367),
    ],
)
def test_percentiles_of_a_queue_are_the_exact_ones(queues, name, share, exact):
    assert quantiles(LAW, [share]) == pytest.approx([exact], abs=1e-6)
    assert near(queues, name, exact)


def test_means_after_the_warm_up_are_those_of_the_long_run(queues):
    loss = stationary_loss(0.9, 5)
    assert LAW.mean == pytest.approx(2.790286, abs=1e-6)
    assert near(queues, "mean_sojourn_time", 2.790286)
    assert near(queues, "mean_waiting_time", 1.790286)
    assert near(queues, "loss_probability", loss)
    assert near(queues, "utilisation", 0.9 * (1 - loss))
    assert near(queues, "mean_queue_length", 0.9 * (1 - loss) * 2.790286)
    assert queues["ci_low"] < 50 * 0.9 * loss < queues["ci_high"]  # 5.671
    shares = 0.9 ** np.arange(6) / (0.9 ** np.arange(6)).sum()
    assert queues["time_shares"] == pytest.approx(shares, abs=0.003)
    assert (queues["time_shares_low"] < shares + 0.001).all()
    assert (queues["time_shares_high"] > shares - 0.001).all()


def test_jobs_that_go_anywhere_do_not_herd_and_those_that_flock_do(tmp_path):
    (tmp_path / "h.yaml").write_text(QUEUES.replace("[OWN]", "[RND, JSQ]").replace("delta_t: 20", "delta_t: 5"))
    random, flocking = emulator.run(tmp_path / "h.yaml", out=tmp_path / "out", replications=8).to_dict("records")
    assert random["herding_low"] < 1.0 < random["herding_high"]
    assert random["herding_high"] - random["herding_low"] < 0.1
    assert flocking["herding_low"] > 1.5
    assert flocking["herding_difference_low"] > 0.5


def test_what_is_left_out_is_what_came_before(tmp_path):
    """The account of an episode after its warm-up follows from its trace of jobs."""
    (tmp_path / "s.yaml").write_text(f"{SCENARIO}\nwarmup: 7\n".replace("jobs: 2", "jobs: 6"))
    emulator.run(tmp_path / "s.yaml", out=tmp_path / "out", settings=["trace.epochs=0"])
    results = Results.open(tmp_path / "out")
    jobs = results.jobs().to_table().to_pandas()
    for row in results.rows:
        mine = jobs[(jobs.replication == row["replication"]) & (jobs.dispatcher == row["dispatcher"])]
        mine = mine[mine.delta_t == row["delta_t"]]
        born = mine[mine.arrival_time >= 7]
        done = born[born.outcome == "completed"]
        assert (row["arrivals"], row["completions"]) == (len(born), len(done))
        assert row["drops"] == (born.outcome == "dropped").sum()
        assert row["drops_per_queue"] == pytest.approx(row["drops"] * 50 / 13 / 12)
        assert row["mean_sojourn_time"] == pytest.approx((done.departure_time - done.arrival_time).mean())
        assert row["mean_waiting_time"] == pytest.approx((done.start_time - done.arrival_time).mean())
        here = mine[mine.outcome != "dropped"]
        end = here.departure_time.fillna(20.0)
        present = end.clip(lower=7) - here.arrival_time.clip(lower=7)
        assert row["mean_queue_length"] == pytest.approx(present.sum() / 13 / 12)
        served = end.clip(lower=7) - here.start_time.fillna(20.0).clip(lower=7)
        assert row["utilisation"] == pytest.approx(served.sum() / 13 / 12)
        assert sum(row["time_shares"]) == pytest.approx(1.0)
        assert np.dot(row["time_shares"], range(6)) == pytest.approx(row["mean_queue_length"])
        p90 = Histogram(row["sojourn_bins"], row["sojourn_counts"]).quantile(0.9)
        assert row["p90_sojourn_time"] == p90
        assert row["measured_time"] == 13.0


BATCHES = """
topology: {kind: cycle, nodes: 12}
delta_t: 5
horizon: 2010
warmup: 10
arrivals: {high: 0.9, low: 0.9}
dispatchers: [OWN, RND]
replications: 1
batches: 20
"""


def test_batches_of_one_long_run_have_an_interval_and_their_correlation(tmp_path, capsys):
    (tmp_path / "b.yaml").write_text(BATCHES)
    assert main([str(tmp_path / "b.yaml"), "--quiet", "--out", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert "lag 1: correlation of a batch and the next" in table
    assert table.splitlines()[3].split() == [
        *("dispatcher", "drops", "95", "%", "interval", "difference", "95", "%", "interval"),
        *("sojourn", "lag", "1", "n", "information")[:4],
    ]
    assert table.splitlines()[5].split()[-1] == "20"
    results = Results.open(tmp_path / "out")
    row, episode = results.summary.iloc[0], results.rows[0]
    assert (row["replications"], row["batches"]) == (1, 20)
    batches = pd.DataFrame(episode["batches"])
    assert batches.arrivals.sum() == episode["arrivals"]
    assert batches.drops.sum() == episode["drops"]
    assert batches.drops_per_queue.mean() == pytest.approx(episode["drops_per_queue"])
    assert row["mean_drops"] == episode["drops_per_queue"]
    assert row["ci_low"] < 50 * 0.9 * stationary_loss(0.9, 5) < row["ci_high"]
    assert row["p90_sojourn_time_low"] < quantiles(LAW, [0.9])[0] < row["p90_sojourn_time_high"]
    assert abs(row["mean_drops_lag_one"]) < 0.6
    assert row["mean_drops_lag_one"] == pytest.approx(
        np.corrcoef(batches.drops_per_queue[1:], batches.drops_per_queue[:-1])[0, 1], abs=0.2
    )


def test_batches_are_of_one_run(tmp_path, capsys):
    (tmp_path / "b.yaml").write_text(BATCHES)
    assert main([str(tmp_path / "b.yaml"), "--set", "replications=3"]) == 2
    assert "batches must stand beside replications: 1, got 3" in capsys.readouterr().err
    assert main([str(tmp_path / "b.yaml"), "--set", "precision=0.1"]) == 2
    assert "precision must not stand beside batches, which are of one run" in capsys.readouterr().err


def test_each_server_and_scheduler_is_told_on_request(folder):
    settings = ["trace={nodes: 2, jobs: 2}", "warmup=5", "delta_t=5", "dispatchers=[RND]"]
    emulator.run("s.yaml", settings=settings, out="nodes")
    results = Results.open("nodes")
    nodes = results.nodes().to_table().to_pandas()
    jobs = results.jobs().to_table().to_pandas()
    assert nodes.groupby("replication").size().tolist() == [12, 12]
    for _, row in nodes.iterrows():
        mine = jobs[(jobs.replication == row.replication) & (jobs.arrival_time >= 5)]
        here = mine[mine.server == row.node]
        assert (row.arrivals, row.drops) == (len(here), (here.outcome == "dropped").sum())
        own = mine[mine.scheduler == row.node]
        assert (row.jobs, row.lost) == (len(own), (own.outcome == "dropped").sum())
        done = own[own.outcome == "completed"]
        assert row.mean_sojourn_time == pytest.approx((done.departure_time - done.arrival_time).mean())
        all_here = jobs[(jobs.replication == row.replication) & (jobs.server == row.node) & (jobs.outcome != "dropped")]
        end = all_here.departure_time.fillna(20.0).clip(lower=5)
        assert row.busy_time == pytest.approx((end - all_here.start_time.fillna(20.0).clip(lower=5)).sum())
        assert row.mean_queue_length == pytest.approx((end - all_here.arrival_time.clip(lower=5)).sum() / 15)
        assert (row.degree, row.sharing, row.service_rate, row.down_time) == (2, 3, 1.0, 0.0)
    assert nodes[["x", "y"]].isna().all(axis=None)
    row = results.episodes[results.episodes.replication == 0].iloc[0]
    first = nodes[nodes.replication == 0]
    served = 1 - first.lost / first.jobs
    assert row.fairness_of_service == pytest.approx(served.sum() ** 2 / 12 / (served**2).sum())
    times = first.mean_sojourn_time
    assert row.fairness_of_sojourn_times == pytest.approx(times.sum() ** 2 / 12 / (times**2).sum())


def test_nodes_have_places_and_two_sets_have_gaps(folder):
    settings = ["trace={nodes: 1}", "delta_t=5", "dispatchers=[RND]", "replications=1"]
    emulator.run("s.yaml", settings=[*settings, "topology={kind: geometric, nodes: 30, radius: 0.3}"], out="places")
    nodes = Results.open("places").nodes().to_table().to_pandas()
    assert nodes[["x", "y"]].min(axis=None) > 0.0
    assert nodes[["x", "y"]].max(axis=None) < 1.0
    two_sets = "topology={kind: bipartite, schedulers: 4, servers: 6, choices: 2}"
    emulator.run("s.yaml", settings=[*settings, two_sets], out="sets")
    nodes = Results.open("sets").nodes().to_table().to_pandas()
    assert nodes[["jobs", "lost", "degree"]].isna().sum().tolist() == [2, 2, 2]
    assert nodes[["arrivals", "busy_time", "sharing"]].notna().all(axis=None)


def test_power_makes_energy(folder):
    frame = emulator.run("s.yaml", settings=["power={busy: 200, idle: 80}", "delta_t=5"], out="power")
    episodes = Results.open("power").episodes
    expected = 12 * 20 * (200 * episodes.utilisation + 80 * (1 - episodes.utilisation))
    assert episodes.energy.to_numpy() == pytest.approx(expected.to_numpy())
    assert frame.energy_per_job.iloc[0] == pytest.approx(
        episodes.energy[episodes.dispatcher == "JSQ"].sum() / episodes.completions[episodes.dispatcher == "JSQ"].sum()
    )


@pytest.mark.parametrize("measure", ["p90_sojourn_time", "sojourn", "utilisation"])
def test_a_run_stops_by_the_precision_of_any_measure(folder, measure):
    wanted = f"precision={{of: {measure}, half_width: 0.05}}"
    frame = emulator.run("s.yaml", settings=[wanted, "delta_t=5", "trace.jobs=0"], replications=2000, out="precise")
    names = names_of(next(one for one in SHOWN if measure in (one.name, one.short)))
    assert ((frame[names.high] - frame[names.low]) / 2 <= 0.05 * frame[names.value]).all()
    assert 10 < frame.replications.max() < 2000


def test_a_run_stops_by_the_precision_of_a_difference_of_percentiles(folder):
    wanted = "paired_precision={of: p90, half_width: 0.3}"
    frame = emulator.run(
        "s.yaml", settings=[wanted, "delta_t=5", "trace.jobs=0", "dispatchers=[JSQ, RND]"], replications=3000
    )
    row = frame.iloc[1]
    half = (row.p90_sojourn_time_difference_high - row.p90_sojourn_time_difference_low) / 2
    assert half <= 0.3 * abs(row.p90_sojourn_time_difference)
    assert row.replications < 3000


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("precision={of: drips, half_width: 0.1}", "precision.of must be drops, discounted, sojourn, length"),
        ("precision={of: p99}", "precision.half_width is missing"),
        ("precision={of: waiting, half_width: 0.1}", "precision.of needs measures: all beside it"),
        ("paired_precision={of: energy, half_width: 0.1}", "paired_precision.of needs power"),
        ("plot.y=drips", "plot.y must be drops, discounted"),
        ("plot.y=waiting_p99", "plot.y needs measures: all beside it"),
        ("warmup=20", "warmup must be < horizon 20, got 20"),
        ("batches=1", "batches must be >= 2, got 1"),
        ("measures=some", "measures must be usual or all, got some"),
        ("power={busy: 1}", "power.idle is missing"),
        ("power={busy: -1, idle: 0}", "power.busy must be >= 0, got -1"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(folder, capsys, setting, told):
    assert main(["s.yaml", "--set", setting]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_measures_asked_for_later_run_what_lacks_them_and_keep_the_rest(folder, counted):
    emulator.run("s.yaml", settings=["delta_t=5", "trace={}"], out="later")
    usual = Results.open("later").episodes
    counted.clear()
    emulator.run("s.yaml", settings=["delta_t=5", "trace={}", "measures=all"], out="later")
    assert len(counted) == len(usual)
    every = Results.open("later").episodes
    assert every.mean_waiting_time.notna().all()
    assert every.fingerprint.tolist() == usual.fingerprint.tolist()
    counted.clear()
    emulator.run("s.yaml", settings=["delta_t=5", "trace={}"], out="later")
    assert counted == []
    assert Results.open("later").episodes.mean_waiting_time.notna().all()


def test_the_table_shows_the_measures_that_are_asked_for(folder, capsys):
    options = ["s.yaml", "--quiet", "--set", "delta_t=5", "--measures", "p99, loss,waiting"]
    assert main(options) == 0
    out = capsys.readouterr().out
    heads = [line.split()[1] for line in out.splitlines() if line.startswith("dispatcher ")]
    assert heads == ["p99", "loss", "waiting"]
    assert max(map(len, out.splitlines())) <= 120
    assert main([*options[:-2], "--set", "plot={y: p90}"]) == 0
    heads = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("dispatcher ")]
    assert heads == ["p90"]  # the picture's
    assert main(["s.yaml", "--measures", "p98"]) == 2
    assert "--measures must be drops, discounted, sojourn" in capsys.readouterr().err


def test_the_help_names_every_measure(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for measure in SHOWN:
        assert measure.name in text
        assert measure.short in text


def test_the_picture_shows_any_measure(folder):
    from emulator.report.plots import summary_figure
    from emulator.scenario.plot import Plot

    frame = emulator.run("s.yaml", settings=["plot={y: p99}"], out="picture")
    figure = summary_figure(frame, ["delta_t"], "", Plot(y="p99", differences_within=5.0))
    (upper, lower) = figure.axes
    assert upper.lines[0].get_ydata().tolist() == frame[frame.dispatcher == "JSQ"].p99_sojourn_time.tolist()
    differences = frame[frame.dispatcher == "RND"].p99_sojourn_time_difference.tolist()
    assert lower.lines[1].get_ydata().tolist() == differences
    assert figure.get_supylabel() == "p99 of the sojourn time (ms)\n(95 % interval)"


def test_a_training_has_no_measure_to_show(folder):
    with pytest.raises(InputError, match=r"plot\.y must stand beside kind: lines, bars or columns, got learning_curve"):
        emulator.run("s.yaml", settings=["plot={y: p99, kind: learning_curve}"])
