"""Intervals and paired differences, against hand-computed numbers and scipy.stats."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from emulator.results.columns import SUMMARY
from emulator.results.statistics import mean_interval, summarise


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
    # Half the width is 12.7062 (Student's t, 1 degree of freedom) times the standard error, here |a - b| / 2.
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((2.0 - 12.7062, 2.0 + 12.7062), rel=1e-5)
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
    mine, others = noise[0], noise[0] + 0.1 * noise[1]
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
