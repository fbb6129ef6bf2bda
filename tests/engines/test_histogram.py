"""Times as counts in bins: which bin, where it lies, and what it says of quantiles."""

import numpy as np
import pytest

from emulator.engines.histogram import LEAST, MOST, Histogram, counts_of, ends_of, sparse


def upper_bits(time):
    return int(np.float64(time).view(np.uint64)) >> 46


@pytest.mark.parametrize("time", [LEAST, 1e-9, 0.1, 1.0, 1.0 / 3.0, np.nextafter(1.0, 0.0), 7.25, 1e6, MOST / 2])
def test_a_bin_is_the_upper_18_bits_of_a_float(time):
    (number,), (count,) = sparse(counts_of(np.array([time])))
    assert (number, count) == (upper_bits(time), 1)
    low, high = ends_of([number])
    assert low[0] <= time < high[0]
    assert high[0] / low[0] <= 1.0 + 1.0 / 64


def test_an_octave_has_64_bins():
    bins, _ = sparse(counts_of(np.geomspace(1.0, 2.0, 10_000, endpoint=False)))
    assert len(bins) == 64


def test_times_out_of_reach_count_at_the_ends_and_what_is_no_time_does_not():
    bins, counts = sparse(counts_of(np.array([0.0, 1e-300, LEAST / 2, MOST, 1e300, np.nan])))
    assert list(bins) == [0, upper_bits(MOST)]
    assert list(counts) == [3, 2]
    assert Histogram(bins, counts).quantile(0.5) == 0.0


def test_counts_add_up_in_any_order():
    times = np.random.default_rng(1).exponential(2.0, 10_000)
    whole = sparse(counts_of(times))
    parts = [sparse(counts_of(part)) for part in np.array_split(times[::-1], 7)]
    bins, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    merged = Histogram.merged(bins, counts)
    assert (merged.bins.tolist(), merged.counts.tolist()) == (list(whole[0]), list(whole[1]))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_those_of_the_times_to_a_small_part_of_a_bin(share):
    times = np.random.default_rng(2).exponential(2.0, 200_000)
    histogram = Histogram(*sparse(counts_of(times)))
    assert histogram.quantile(share) == pytest.approx(np.quantile(times, share), rel=4e-3)
    below = histogram.share_below(histogram.quantile(share)) @ histogram.counts
    assert below / len(times) == pytest.approx(share, abs=1e-9)


def test_nothing_has_no_quantile():
    assert np.isnan(Histogram([], []).quantile(0.5))
