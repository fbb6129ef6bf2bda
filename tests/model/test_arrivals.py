"""Arrival processes: when jobs come, how many at once, to whom; against exact laws and exact queues."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from dispatchers.rules.basic import SendToOwn
from emulator.engines.compiled.windows import WindowEngine
from emulator.model.arrivals import MarkovianArrivals, Mmpp, Poisson, Profile, Renewal, Switched
from emulator.model.arrivals.batch import Batch
from emulator.model.arrivals.weights import Weights
from emulator.model.laws import Deterministic, Gamma, Hyperexponential
from emulator.model.system import System
from emulator.model.topologies import edge_list
from emulator.verification.exact.arrivals import MarkovArrivals, modulated, poisson, renewal
from emulator.verification.exact.clocks import general_gaps
from emulator.verification.exact.phase_type import phases_of
from emulator.verification.exact.station import Station
from emulator.workload.workload import Workload

DEVIATIONS = 4.9
"""Standard deviations that a normal number exceeds with probability 1e-6."""

RATES, GENERATOR = [1.5, 0.3], [[-0.1, 0.1], [0.05, -0.05]]
D0, D1 = [[-2, 0.1], [0.05, -0.4]], [[1.8, 0.1], [0.05, 0.3]]


def system_of(arrivals, schedulers, horizon, delta_t=None, **keys):
    """Return queues on their own."""
    topology = edge_list([], nodes=schedulers)
    return System(topology, horizon if delta_t is None else delta_t, horizon, arrivals=arrivals, **keys)


def times_of(arrivals, schedulers, horizon, replication=0, **keys):
    """Return the arrival times of each scheduler."""
    jobs = Workload(system_of(arrivals, schedulers, horizon, **keys), replication).jobs(0)
    return np.split(jobs.arrival_times, jobs.offsets[1:-1])


def counts_of(arrivals, schedulers, horizon, **keys):
    """Return the jobs of each scheduler."""
    return np.diff(Workload(system_of(arrivals, schedulers, horizon, **keys), 0).jobs(0).offsets)


def check_mean(values, expected):
    error = DEVIATIONS * np.std(values) / math.sqrt(len(values))
    assert np.mean(values) == pytest.approx(expected, abs=error)
    assert error < 0.1 * abs(expected) + 0.1  # or the check says nothing


STEPS = Profile(points=[[0.0, 0.1], [10.0, 2.0]], shape="steps")


def test_no_gap_is_drawn_with_the_rate_at_its_beginning():
    """With rate 0.1 until 10 ms and 2 until 20 ms there are 21 arrivals; such gaps would give 8.99."""
    counts = counts_of(STEPS, 20_000, 20.0)
    check_mean(counts, 21.0)
    check_mean((counts - 21.0) ** 2, 21.0)
    generator, biased = np.random.default_rng(1), []
    for _ in range(4000):
        time, count = 0.0, -1
        while time < 20.0:
            time, count = time + generator.exponential() / (0.1 if time < 10.0 else 2.0), count + 1
        biased.append(count)
    check_mean(biased, 8.99)


def test_two_rates_meet_the_same_points():
    one, two = (times_of(Poisson(rate=rate), 50, 64.0 / rate) for rate in (1.0, 2.0))
    assert [times.tolist() for times in one] == [(2.0 * times).tolist() for times in two]


@pytest.mark.parametrize(
    "profile",
    [
        Profile(points=[[0, 0.3], [10, 1.2], [20, 0.3]], period=20.0),
        Profile(points=[[0, 0.0], [4, 1.0], [4, 0.2], [9, 0.0]], period=11.0),
        Profile(points=[[0, 0.0], [4, 1.0], [9, 0.0]], period=11.0, shape="steps"),
        Profile(points=[[0, 2.0], [3, 0.0], [12, 0.5]]),
        STEPS,
    ],
    ids=str,
)
def test_the_integral_of_the_rate_at_an_arrival_is_its_point(profile):
    grid = np.linspace(0.0, 60.0, 600_001)
    begins, values = np.array(profile.points).T
    times = grid if profile.period is None else grid % profile.period
    if profile.shape == "steps":
        rates = values[np.searchsorted(begins, times, side="right") - 1]
    else:
        rates = np.interp(times, [*begins, profile.period or math.inf], [*values, values[0 if profile.period else -1]])
    integral = integrate.cumulative_trapezoid(rates, grid, initial=0.0)
    for points, found in zip(times_of(Poisson(rate=1.0), 4, 40.0), times_of(profile, 4, 60.0), strict=True):
        count = min(len(points), len(found))
        assert count > 5
        assert np.interp(found[:count], grid, integral) == pytest.approx(points[:count], abs=1e-3)


def test_rates_of_epochs_are_means_of_the_profile():
    profile = Profile(points=[[0, 0.3], [10, 1.2], [20, 0.3]], period=20.0)
    rates = Workload(system_of(profile, 1, 40.0, delta_t=5.0), 0).arrival_rates
    assert rates == pytest.approx([0.525, 0.975, 0.975, 0.525] * 2)
    steps = Workload(system_of(STEPS, 1, 20.0, delta_t=4.0), 0).arrival_rates
    assert steps == pytest.approx([0.1, 0.1, 1.05, 2.0, 2.0])
    assert steps[[0, 1, 3, 4]].tolist() == [0.1, 0.1, 2.0, 2.0]


def test_a_chain_of_each_schedulers_own_has_its_index_of_dispersion():
    counts = counts_of(Mmpp(rates=RATES, generator=GENERATOR, chain="own"), 4000, 2000.0)
    check_mean(counts, 1400.0)
    check_mean((counts - 1400.0) ** 2 / 1400.0, 7.095238)


def test_a_shared_chain_is_one_path_for_all():
    system = system_of(Mmpp(rates=[2.0, 0.0], generator=[[-0.2, 0.2], [0.2, -0.2]]), 3000, 100.0, delta_t=5.0)
    workload = Workload(system, 3)
    cursor = workload.cursor()
    counts = np.array([np.diff(cursor.jobs(epoch).offsets).mean() for epoch in range(workload.epochs)])
    assert counts == pytest.approx(5.0 * workload.arrival_rates, abs=0.3)
    assert (workload.arrival_rates == 0.0).any()
    assert (workload.arrival_rates == 2.0).any()


def test_sojourns_and_states_of_a_chain():
    """Times in state 0 are exponential, and what follows is drawn by the generator."""
    chain = Mmpp(rates=[3.0, 1.0, 0.0], generator=[[-0.5, 0.1, 0.4], [1.0, -1.0, 0.0], [0.2, 0.2, -0.4]], start=0)
    stream = Workload(system_of(chain, 1, 50_000.0), 0).arrivals.stream
    lengths, rates = np.diff(stream.start[:-1]), stream.rate[:-1]
    assert rates[0] == 3.0
    assert stats.kstest(0.5 * lengths[rates == 3.0], "expon").pvalue > 1e-4
    following = stream.rate[1:][rates == 3.0]
    assert stats.binomtest(int((following == 1.0).sum()), len(following), 0.2).pvalue > 1e-4
    assert set(stream.rate[1:][rates == 1.0]) == {3.0}


def test_chains_that_step_with_the_epochs():
    transition = [[0.8, 0.2, 0.0], [0.3, 0.5, 0.2], [0.0, 0.5, 0.5]]
    process = Mmpp(rates=[0.9, 0.6, 0.2], transition=transition)
    path = Workload(system_of(process, 1, 20_000.0, delta_t=1.0), 0).arrival_rates
    assert set(path) == {0.9, 0.6, 0.2}
    after = path[1:][path[:-1] == 0.6]
    counts = [(after == rate).sum() for rate in process.rates]
    assert stats.chisquare(counts, np.array(transition[1]) * len(after)).pvalue > 1e-4
    own = Workload(system_of(process.model_copy(update={"chain": "own", "start": 1}), 5000, 10.0, delta_t=1.0), 0)
    first, second, *_ = own.scheduler_rates()
    assert (first == 0.6).all()
    assert np.mean(np.isclose(second, 0.9)) == pytest.approx(0.3, abs=0.04)


def test_markovian_arrivals_have_their_gaps():
    gaps = [np.diff(times[times > 50.0]) for times in times_of(MarkovianArrivals(d0=D0, d1=D1), 3000, 400.0)]
    mean, scv, lag = MarkovArrivals(np.array(D0), np.array(D1)).gap()
    assert (mean, scv, lag) == pytest.approx((1.153846, 2.343117, 0.192875), abs=1e-6)
    flat = np.concatenate(gaps)
    assert flat.mean() == pytest.approx(mean, rel=0.01)
    assert flat.var() / flat.mean() ** 2 == pytest.approx(scv, rel=0.02)
    pairs = np.concatenate([np.stack([each[:-1], each[1:]]) for each in gaps], axis=1)
    assert np.corrcoef(pairs)[0, 1] == pytest.approx(lag, abs=0.01)


def test_gaps_of_a_law_go_on_from_epoch_to_epoch():
    gap = Gamma(scv=4.0)
    system = system_of(Renewal(rate=0.8, gap=gap), 500, 200.0, delta_t=3.0)
    cursor, times = Workload(system, 0).cursor(), [[] for _ in range(500)]
    for epoch in range(Workload(system, 0).epochs):
        jobs = cursor.jobs(epoch)
        for whole, part in zip(times, np.split(jobs.arrival_times, jobs.offsets[1:-1]), strict=True):
            whole += part.tolist()
    # Of the first hundred gaps none is cut by the horizon.
    gaps = np.concatenate([np.diff([0.0, *each[:100]]) for each in times])
    assert stats.kstest(0.8 * gaps, lambda x: gap.cdf(x)).pvalue > 1e-4


def test_equal_gaps_come_in_step():
    times = times_of(Renewal(rate=0.5, gap=Deterministic()), 3, 10.0)
    assert [each.tolist() for each in times] == [[2.0, 4.0, 6.0, 8.0]] * 3


def test_weights():
    def weights(keys, schedulers=5, seed=1):
        return Weights.model_validate(keys).of(schedulers, seed)

    assert weights({"kind": "zipf"}, 3) == pytest.approx(np.array([1, 1 / 2, 1 / 3]) * 18 / 11)
    assert weights({"kind": "zipf", "exponent": 0.5}, 4) == pytest.approx(np.arange(1, 5) ** -0.5 / 0.6961142884)
    assert weights({"kind": "hot", "share": 0.4, "factor": 6}) == pytest.approx([2, 2, 1 / 3, 1 / 3, 1 / 3])
    assert weights({"kind": "hot", "share": 0.01, "factor": 2})[:2] == pytest.approx([5 / 3, 5 / 6])
    assert weights([1, 3, 0, 0, 1]).tolist() == [1.0, 3.0, 0.0, 0.0, 1.0]
    shuffled = [weights({"kind": "zipf", "order": "random"}, 50, seed) for seed in (1, 1, 2)]
    assert shuffled[0].tolist() == shuffled[1].tolist() != shuffled[2].tolist()
    assert np.sort(shuffled[0]).tolist() == np.sort(weights({"kind": "zipf"}, 50)).tolist()


def test_each_scheduler_meets_its_share():
    weights = Weights.model_validate([4, 0, 1, 1] * 2000)
    for process in (Poisson(rate=0.5), Renewal(rate=0.5), Mmpp(rates=[0.5], generator=[[0.0]], chain="own")):
        counts = counts_of(process.model_copy(update={"weights": weights}), 8000, 40.0).reshape(-1, 4)
        for column, share in zip(counts.T, (8 / 3, 0, 2 / 3, 2 / 3), strict=True):
            check_mean(column, 20.0 * share)


@pytest.mark.parametrize(
    ("batch", "shares"),
    [
        (Batch.model_validate(3), {3: 1.0}),
        (Batch(sizes=[1, 4], probabilities=[0.9, 0.1]), {1: 0.9, 4: 0.1}),
        (Batch(law="geometric", mean=2.0), {size: 0.5**size for size in range(1, 6)}),
        (Batch(law="geometric", mean=1.0), {1: 1.0}),
    ],
    ids=str,
)
def test_jobs_come_in_batches(batch, shares):
    sizes = []
    for times in times_of(Poisson(rate=0.5, batch=batch), 2000, 20.0):
        sizes += np.unique(times, return_counts=True)[1].tolist()
    for size, share in shares.items():
        assert np.mean(np.array(sizes) == size) == pytest.approx(share, abs=DEVIATIONS * 0.5 / math.sqrt(len(sizes)))
    assert np.mean(sizes) == pytest.approx(batch.mean_size(), abs=DEVIATIONS * np.std(sizes) / len(sizes) ** 0.5)


def test_high_and_low_with_weights_has_the_same_path():
    plain, weighted = Switched(), Switched(weights=Weights(kind="zipf"))
    paths = [Workload(system_of(each, 7, 90.0, delta_t=2.0), 5).arrival_rates.tolist() for each in (plain, weighted)]
    assert paths[0] == paths[1]


def drops_of(arrivals, horizon, schedulers=20_000):
    """Return the drops of each of many queues of rate 1 and buffer 5, and their mean length at the horizon."""
    system = system_of(arrivals, schedulers, horizon)
    episode = WindowEngine(system, SendToOwn()).episode(Workload(system, 0))
    return episode.totals.drops / schedulers, episode.totals.in_system / schedulers


MARKOVIAN = [
    (Poisson(rate=0.9), poisson(0.9)),
    (Mmpp(rates=RATES, generator=GENERATOR, chain="own"), modulated(RATES, GENERATOR)),
    (
        Mmpp(rates=[2.0, 0.5, 0.0], generator=[[-0.3, 0.3, 0], [0, -0.2, 0.2], [0.4, 0, -0.4]], chain="own", start=2),
        modulated([2.0, 0.5, 0.0], [[-0.3, 0.3, 0], [0, -0.2, 0.2], [0.4, 0, -0.4]], np.array([0.0, 0.0, 1.0])),
    ),
    (MarkovianArrivals(d0=D0, d1=D1), MarkovArrivals(np.array(D0), np.array(D1))),
    (
        Renewal(rate=0.9, gap=Hyperexponential(scv=4.0)),
        renewal(phases_of(Hyperexponential(scv=4.0), 1 / 0.9)),
    ),
]


@pytest.mark.parametrize(("process", "exact"), MARKOVIAN, ids=lambda each: getattr(each, "kind", ""))
def test_one_queue_has_its_exact_drops(process, exact):
    expected = Station(arrivals=exact).chain().until(50.0)
    drops, length = drops_of(process, 50.0)
    assert drops == pytest.approx(expected["drops"], rel=0.025)
    assert length == pytest.approx(expected["arrivals"] - expected["drops"] - expected["completions"], rel=0.03)


def test_batches_have_their_exact_drops():
    for batch, sizes in (
        (Batch.model_validate(2), ((2, 1.0),)),
        (Batch(sizes=[1, 4], probabilities=[0.7, 0.3]), ((1, 0.7), (4, 0.3))),
    ):
        expected = Station(arrivals=poisson(0.45), batch=sizes).chain().until(50.0)
        assert drops_of(Poisson(rate=0.45, batch=batch), 50.0)[0] == pytest.approx(expected["drops"], rel=0.02)


def test_gaps_have_their_exact_drops():
    for law, loss in ((Deterministic(), 0.0519173), (Gamma(scv=4.0), 0.282121)):
        expected = general_gaps(law, 0.9).until(60.0)["drops"]
        assert drops_of(Renewal(rate=0.9, gap=law), 60.0)[0] == pytest.approx(expected, rel=0.03)
        assert expected < 0.9 * 60.0 * loss  # for queues start empty


def test_a_profile_has_its_exact_drops():
    def wave(time):
        return 0.75 * (1.0 + 0.8 * math.sin(2.0 * math.pi * time / 20.0))

    profile = Profile(points=[[time, wave(time)] for time in np.linspace(0.0, 20.0, 401).tolist()], period=20.0)
    drops, length = drops_of(profile, 50.0)
    assert drops == pytest.approx(5.132203, rel=0.02)
    assert length == pytest.approx(2.623880, rel=0.02)


def test_unequal_schedulers_have_their_exact_drops():
    """Three queues of mean rate 0.6 under Zipf's law."""
    rates = 0.6 * Weights(kind="zipf").of(3, 0)
    expected = sum(Station(arrivals=poisson(rate)).chain().until(50.0)["drops"] for rate in rates) / 3
    weights = Weights.model_validate([6, 3, 2] * 8000)
    assert drops_of(Poisson(rate=0.6, weights=weights), 50.0, 24_000)[0] == pytest.approx(expected, rel=0.02)
