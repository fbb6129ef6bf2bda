"""Intervals and paired differences, against hand-computed numbers and scipy.stats."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from emulator.engines.histogram import counts_of, sparse
from emulator.results.columns import SUMMARY
from emulator.results.estimates import mean_interval
from emulator.results.measures import SHOWN, measure_named, names_of
from emulator.results.statistics import interval_of, summarise


def episode(dispatcher, replication, drops_per_queue, **values):
    """One row of episodes, with the columns that a summary needs."""
    return {
        "scenario": "test",
        "topology": "torus",
        "nodes": 9,
        "schedulers": 6,
        "servers": 9,
        "dispatcher": dispatcher,
        "information": "broadcast",
        "delta_t": 5.0,
        "replication": replication,
        "arrivals": 100,
        "drops": 10,
        "drops_per_queue": drops_per_queue,
        "discounted_drops": 2 * drops_per_queue,
        "mean_sojourn_time": 1.5,
        "mean_queue_length": 0.5,
        "messages": 45,
        "messages_lost": 3,
        "messages_ignored": 2,
        "message_bytes": 1260,
        "decisions": 90,
        "age_of_knowledge": 2.5,
        "age_at_decisions": 0.25,
        "age_at_jobs": 2.75,
        "completions": 90,
        "loss_probability": 0.1,
        "measured_time": 50.0,
    } | values


def summary_of(*episodes, swept=(), first=None):
    return summarise(pd.DataFrame(episodes), list(swept), first)


def test_the_interval_of_three_numbers_by_hand():
    # Standard deviation 1; 4.302653 is the 97.5 % quantile of Student's t with 2 degrees of freedom.
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - 2.0 == pytest.approx(4.302653 / math.sqrt(3.0), rel=1e-6)
    assert 2.0 - low == pytest.approx(high - 2.0)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("count", [2, 5, 100])
def test_the_interval_is_that_of_scipy(count, level):
    sample = np.random.default_rng(count).gamma(2.0, size=count)
    reference = scipy.stats.t.interval(level, count - 1, sample.mean(), scipy.stats.sem(sample))
    assert mean_interval(sample, level) == pytest.approx((sample.mean(), *reference), rel=1e-9)


def test_one_value_has_no_interval_and_none_no_mean():
    assert mean_interval([4.0]) == pytest.approx((4.0, math.nan, math.nan), nan_ok=True)
    assert mean_interval([]) == pytest.approx((math.nan, math.nan, math.nan), nan_ok=True)


@pytest.mark.parametrize("sample", [[0.0] * 10, [0.1] * 10, [0.3 - 0.1, 0.5 - 0.3, 0.2] * 7])
def test_values_that_are_all_alike_have_no_interval(sample):
    """None of width 0: of ten episodes without a drop, the eleventh may have one."""
    mean, low, high = mean_interval(sample)
    assert mean == pytest.approx(sample[0])
    assert math.isnan(low)
    assert math.isnan(high)


def test_values_that_hardly_differ_have_one():
    mean, low, high = mean_interval([1e6, 1e6, 1e6 + 1e-3])
    assert low < mean < high


def test_the_interval_covers_the_mean_as_often_as_it_says():
    samples = np.random.default_rng(1).normal(3.0, 2.0, size=(4000, 4))
    covered = sum(low <= 3.0 <= high for _, low, high in map(mean_interval, samples))
    # A two-sided binomial test, wrong once in a million runs.
    assert scipy.stats.binomtest(covered, len(samples), 0.95).pvalue > 1e-6


def test_a_summary_by_hand():
    summary = summary_of(
        episode("JSQ", 0, 1.0, arrivals=50, mean_sojourn_time=1.0, messages=44),
        episode("JSQ", 1, 3.0, arrivals=150, mean_sojourn_time=2.0, messages=46),
        episode("RND", 0, 2.0, mean_sojourn_time=math.nan),
        episode("RND", 1, 5.0),
    )
    first, second = summary.to_dict("records")
    assert (first["scenario"], first["topology"], first["nodes"], first["delta_t"]) == (
        "test",
        "torus",
        9,
        5.0,
    )
    assert (first["dispatcher"], second["dispatcher"]) == ("JSQ", "RND")
    assert (first["mean_drops"], second["mean_drops"]) == (2.0, 3.5)
    # Student's half width is 12.7062 (t, 1 degree of freedom) times the standard error, here |a - b| / 2.
    for end in (first["ci_low"], first["ci_high"]):
        assert (2.0 - end) ** 2 == pytest.approx(12.7062**2 * end / 2.0, rel=1e-5)
    assert 0.0 < first["ci_low"] < 2.0 < first["ci_high"]
    assert first["difference"] == 0.0
    assert math.isnan(first["difference_low"])
    assert second["difference"] == 1.5
    assert second["difference_low"] == pytest.approx(1.5 - 12.7062 / 2, rel=1e-4)
    assert second["difference_high"] == pytest.approx(1.5 + 12.7062 / 2, rel=1e-4)
    assert (first["replications"], second["replications"]) == (2, 2)
    assert first["drop_probability"] == 20 / 200
    assert first["mean_discounted_drops"] == 4.0
    assert (first["mean_sojourn_time"], second["mean_sojourn_time"]) == (1.5, 1.5)
    assert (first["mean_queue_length"], first["mean_messages"]) == (0.5, 45.0)


def test_the_difference_is_that_of_scipys_paired_test():
    noise = np.random.default_rng(2).normal(size=(2, 30))
    mine, others = 10.0 + noise[0], 10.0 + noise[0] + 0.1 * noise[1]
    summary = summary_of(
        *(episode("JSQ", place, value) for place, value in enumerate(mine)),
        *(episode("RND", place, value) for place, value in enumerate(others)),
    )
    row = summary.iloc[1]
    reference = scipy.stats.ttest_rel(others, mine).confidence_interval(0.95)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(reference))
    assert row["difference_high"] - row["difference_low"] < 0.5 * (row["ci_high"] - row["ci_low"])


def test_only_replications_that_both_have_are_paired():
    summary = summary_of(
        *(episode("JSQ", place, value) for place, value in [(0, 1.0), (1, 2.0), (2, 100.0)]),
        *(episode("RND", place, value) for place, value in [(1, 2.5), (7, 50.0), (0, 2.0)]),
    )
    assert summary["difference"].tolist() == [0.0, 0.75]
    assert summary["replications"].tolist() == [3, 3]


def test_each_swept_value_is_compared_with_its_own_first_dispatcher():
    summary = summary_of(
        episode("RND", 0, 1.0, delta_t=5.0, **{"topology.side": 3}),
        episode("JSQ", 0, 2.0, delta_t=5.0, **{"topology.side": 3}),
        episode("RND", 0, 3.0, delta_t=1.0, **{"topology.side": 3}),
        episode("JSQ", 0, 7.0, delta_t=1.0, **{"topology.side": 3}),
        episode("RND", 0, 10.0, delta_t=1.0, **{"topology.side": 5}, nodes=25),
        episode("JSQ", 0, 5.0, delta_t=1.0, **{"topology.side": 5}, nodes=25),
        swept=["topology.side", "delta_t"],
    )
    # Neither sorted by name nor by value: as they come.
    assert summary["dispatcher"].tolist() == ["RND", "JSQ"] * 3
    assert summary["delta_t"].tolist() == [5.0, 5.0, 1.0, 1.0, 1.0, 1.0]
    assert summary["topology.side"].tolist() == [3, 3, 3, 3, 5, 5]
    assert summary["nodes"].tolist() == [9, 9, 9, 9, 25, 25]
    assert summary["difference"].tolist() == [0.0, 1.0, 0.0, 4.0, 0.0, -5.0]


def test_the_first_dispatcher_does_not_differ_from_itself_even_once():
    summary = summary_of(episode("RND", 0, 1.0), episode("JSQ", 0, 3.0))
    ends = summary[["difference", "difference_low", "difference_high"]].to_numpy().tolist()
    assert ends[0] == pytest.approx([0.0, math.nan, math.nan], nan_ok=True)
    assert ends[1] == pytest.approx([2.0, math.nan, math.nan], nan_ok=True)


def test_without_the_first_dispatcher_there_is_no_difference():
    # Of an interrupted run, whose scenario names JSQ first.
    summary = summary_of(
        episode("RND", 0, 1.0, delta_t=1.0),
        episode("JSQ", 0, 3.0, delta_t=5.0),
        episode("RND", 0, 2.0, delta_t=5.0),
        swept=["delta_t"],
        first="JSQ",
    )
    assert summary["difference"].tolist() == pytest.approx([math.nan, 0.0, -1.0], nan_ok=True)


def test_no_arrivals_have_no_drop_probability():
    summary = summary_of(episode("JSQ", 0, 0.0, arrivals=0, drops=0))
    assert math.isnan(summary["drop_probability"][0])


def test_the_columns_are_those_of_the_summary_file():
    names = [column.name for column in SUMMARY]
    assert list(summary_of(episode("JSQ", 0, 1.0)).columns) == names
    place = names.index("delta_t") + 1
    swept = summary_of(episode("JSQ", 0, 1.0, seed=7), swept=["seed", "delta_t"])
    assert list(swept.columns) == [*names[:place], "seed", *names[place:]]


def test_every_measure_has_its_value_its_interval_and_its_difference():
    rows = []
    for place in range(6):
        for dispatcher, factor in (("JSQ", 1.0), ("RND", 1.5)):
            scale = factor * (1.0 + 0.1 * place + 0.01 * place**2)
            values = {measure.name: scale if measure.most > 1.0 else 0.1 * scale for measure in SHOWN}
            times = np.random.default_rng(place).exponential(factor, 2000)
            for kind in ("sojourn", "waiting"):
                values[f"{kind}_bins"], values[f"{kind}_counts"] = sparse(counts_of(times))
            rows.append(episode(dispatcher, place, **{"drops_per_queue": 1.0} | values))
    first, second = summarise(pd.DataFrame(rows), []).to_dict("records")
    for measure in SHOWN:
        names = names_of(measure)
        assert second[names.low] < second[names.value] < second[names.high], names
        gap = second[names.difference]
        assert gap == pytest.approx(second[names.value] - first[names.value]), names
        assert second[names.difference_low] < gap < second[names.difference_high], names
        assert first[names.difference] == 0.0
        assert math.isnan(first[names.difference_low])


def test_ratios_divide_sums_and_quantiles_merge_histograms():
    samples = [np.random.default_rng(place).exponential(1.0, 500 * (place + 1)) for place in range(5)]
    rows = []
    for place, sample in enumerate(samples):
        bins, counts = sparse(counts_of(sample))
        jobs = {"arrivals": 100 * (place + 1), "loss_probability": 0.1 * place}
        rows.append(episode("JSQ", place, 1.0, **jobs, sojourn_bins=bins, sojourn_counts=counts))
    (row,) = summarise(pd.DataFrame(rows), []).to_dict("records")
    jobs = np.arange(1, 6) * 100
    assert row["loss_probability"] == pytest.approx((jobs * 0.1 * np.arange(5)).sum() / jobs.sum())
    assert row["p90_sojourn_time"] == pytest.approx(np.quantile(np.concatenate(samples), 0.9), rel=5e-3)


def test_what_was_not_measured_is_null():
    row = summary_of(*(episode("JSQ", place, 1.0 + place) for place in range(3))).iloc[0]
    for name in ("mean_waiting_time", "p99_waiting_time", "fairness_of_service", "energy"):
        assert math.isnan(row[name])
        assert math.isnan(row[f"{name}_low"])
        assert math.isnan(row[f"{name}_difference"])
    assert row["time_shares"] is None


def test_no_job_lost_is_at_most_three_in_those_seen():
    """Ten replications of 100 jobs each, a job in 450 ms and server: (1 - 0.003)**1000 is 0.0496."""
    nothing = [episode("JSQ", place, 0.0, drops=0, loss_probability=0.0) for place in range(10)]
    row = summary_of(*nothing).iloc[0]
    assert (row["loss_probability"], row["loss_probability_low"]) == (0.0, 0.0)
    assert row["loss_probability_high"] == pytest.approx(0.003)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.0, 0.003 * 100 / 9))
    assert math.isnan(row["difference_low"])
    for rows in (nothing[:1], [one | {"arrivals": 0} for one in nothing]):  # one replication, and no jobs at all
        row = summary_of(*rows).iloc[0]
        assert row[["loss_probability_low", "loss_probability_high", "ci_low", "ci_high"]].isna().all()


def test_other_measures_of_zero_have_no_interval():
    row = summary_of(*(episode("JSQ", place, 1.0 + place, messages_lost=0) for place in range(5))).iloc[0]
    assert row["mean_messages_lost"] == 0.0
    assert row[["mean_messages_lost_low", "mean_messages_lost_high"]].isna().all()


def batched(dispatcher, replication, values, **more):
    """An episode of batches whose drops are `values`."""
    batches = [
        {"drops_per_queue": value, "loss_probability": value / 10, "arrivals": 100, "completions": 90}
        for value in values
    ]
    mean = float(np.mean(values))
    return episode(dispatcher, replication, mean, loss_probability=mean / 10, batches=batches, **more)


def test_batches_take_the_place_of_replications():
    mine, theirs = [1.0, 2.0, 4.0, 3.0], [2.0, 3.5, 5.0, 4.0]
    first, second = summary_of(batched("JSQ", 0, mine), batched("RND", 0, theirs)).to_dict("records")
    assert (first["replications"], first["batches"], second["batches"]) == (1, 4, 4)
    expected = interval_of(measure_named("drops"), {"drops_per_queue": mine})
    assert (first["mean_drops"], first["ci_low"], first["ci_high"]) == pytest.approx(expected)
    gaps = np.array(theirs) - mine
    reference = scipy.stats.ttest_1samp(gaps, 0.0).confidence_interval(0.95)
    assert second["difference"] == pytest.approx(gaps.mean())
    assert (second["difference_low"], second["difference_high"]) == pytest.approx(tuple(reference))
    off = np.array(mine) - 2.5
    assert first["mean_drops_lag_one"] == pytest.approx((off[1:] * off[:-1]).sum() / (off**2).sum())
    assert math.isnan(first["mean_messages_low"])  # they are told of the whole run alone
