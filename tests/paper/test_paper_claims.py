"""The paper's claims are held against intervals, and a verdict needs the power to be given."""

import math

import numpy as np
import pandas as pd
import pytest

from policies.paper import growth, root
from policies.paper.claims import cycles, large_systems, theory, trainings
from policies.paper.figure import PER_EPOCH, Figure, paired_percent
from policies.paper.interval import Interval, Seeds, chance, percent_beyond, pooled, unpaired
from policies.paper.verdict import Verdict, all_of, any_of, is_above, is_below, is_within

YES, NO, UNDECIDED = Verdict.YES, Verdict.NO, Verdict.UNDECIDED
DELTA_TS = tuple(float(delta_t) for delta_t in range(1, 11))


def emulated(name, delta_ts=DELTA_TS, nodes=(5001,), topology="cycle", spread=0.01, **drops):
    """A figure of 40 episodes around `drops[dispatcher](delta_t, nodes)`, on common paths of arrival rates."""
    generator = np.random.default_rng(1)
    rows = []
    for delta_t in delta_ts:
        paths = generator.normal(0.0, 0.2, 40)
        for size in nodes:
            for dispatcher, mean in drops.items():
                values = mean(delta_t, size) + paths + generator.normal(0.0, spread, 40)
                values += mean(delta_t, size) - values.mean()  # to the point, and the intervals stay as wide
                label = dispatcher.replace("_per_epoch", PER_EPOCH).replace("__", " ").replace("_", "-")
                keys = {"dispatcher": label, "delta_t": delta_t, "nodes": size, "topology": topology}
                some = [{**keys, "replication": k, "drops_per_queue": x} for k, x in enumerate(values)]
                rows += [row | {"discounted_drops": 0.9 * row["drops_per_queue"]} for row in some]
    return Figure(name, pd.DataFrame(rows), episodes=40)


def flat(drops):
    return lambda delta_t, nodes: drops


def rising(slope, start=0.0):
    return lambda delta_t, nodes: start + slope * delta_t


def trained(name, drops, key="training.algorithm", seconds=1.0, seeds=(1, 2, 3), scatter=0.002, **columns):
    """Trainings of 40 iterations that end around `drops[value]`, by seed; `columns` has more columns by the same."""
    rows = []
    for value, last in drops.items():
        for number, seed in enumerate(seeds):
            end = last * (1.0 + scatter * (number - (len(seeds) - 1) / 2.0))
            for iteration in range(1, 41):
                row = {key: value, "algorithm": value if key == "training.algorithm" else "SAC", "iteration": iteration}
                row |= {"drops": end + 3.0 * 0.5**iteration, "seconds": seconds * iteration, "training.seed": seed}
                rows.append(row | {column: some[value] for column, some in columns.items()})
    return Figure(name, pd.DataFrame(rows))


# Intervals and verdicts.


def test_a_ratio_of_paired_means_is_covered_as_often_as_it_says():
    generator = np.random.default_rng(5)
    hits, lengths = 0, []
    for _ in range(2000):
        paths = generator.normal(3.0, 0.6, 60)
        one = 1.2 * paths + generator.normal(0.0, 0.1, 60)
        other = paths + generator.normal(0.0, 0.1, 60)
        gap = percent_beyond(one, other)
        hits += gap.low <= 20.0 <= gap.high
        lengths.append(gap.width)
    assert hits / 2000 == pytest.approx(0.95, abs=0.02)
    # What both have in common falls out: the difference of the means alone scatters by the paths, too.
    assert np.mean(lengths) < 0.5 * 100.0 * 1.96 * 0.2 * 0.6 / 3.0 / math.sqrt(60) + 1.2


def test_percentages_of_nothing():
    assert percent_beyond([0.0, 0.0], [0.0, 0.0])[:3] == (0.0, 0.0, 0.0)
    assert math.isnan(percent_beyond([], []).mean)
    assert percent_beyond([1.0, 1.0], [0.0, 0.0]).mean == math.inf


def test_an_episode_that_only_one_dispatcher_has_is_not_compared():
    figure = emulated("07a", (1.0,), MF_R=flat(2.0), JSQ=flat(2.1))
    odd = (figure.rows["dispatcher"] == "JSQ") & (figure.rows["replication"] == 0)
    fewer = Figure("07a", figure.rows[~odd])
    assert fewer.percent("JSQ", "MF-R") == paired_percent(figure.drops("JSQ")[1:], figure.drops("MF-R")[1:])
    assert fewer.percent("JSQ", "MF-R") != figure.percent("JSQ", "MF-R")


@pytest.mark.parametrize(
    ("low", "high", "below", "above", "within"),
    [
        (-3.0, -1.0, YES, NO, YES),
        (-0.5, 0.5, NO, NO, YES),
        (-3.0, 1.0, UNDECIDED, UNDECIDED, YES),
        (1.5, 8.0, NO, YES, UNDECIDED),
        (6.0, 8.0, NO, YES, NO),
        (-8.0, 8.0, UNDECIDED, UNDECIDED, UNDECIDED),
        (math.nan, math.nan, UNDECIDED, UNDECIDED, UNDECIDED),
    ],
)
def test_verdicts_of_intervals(low, high, below, above, within):
    gap = Interval(0.5 * (low + high), low, high)
    assert (is_below(gap), is_above(gap), is_within(gap)) == (below, above, within)


@pytest.mark.parametrize(
    ("verdicts", "every", "some"),
    [
        ([YES, YES], YES, YES),
        ([YES, UNDECIDED], UNDECIDED, YES),
        ([YES, NO, UNDECIDED], NO, YES),
        ([NO, UNDECIDED], NO, UNDECIDED),
        ([NO, NO], NO, NO),
    ],
)
def test_verdicts_together(verdicts, every, some):
    assert (all_of(verdicts), any_of(verdicts)) == (every, some)


def test_what_would_be_seen_is_seen_four_times_in_five():
    generator = np.random.default_rng(7)
    width = np.mean([Interval.of(sample).width for sample in generator.normal(0.0, 1.0, (200, 400))])
    seen = Interval.around(0.0, width).seen
    samples = generator.normal(seen, 1.0, (1000, 400))
    found = [Interval.of(sample).low > 0.0 for sample in samples]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_estimates_are_weighed_by_how_precise_they_are():
    together = pooled([Interval.around(1.0, 0.1), Interval.around(2.0, 1.0)])
    assert together.mean == pytest.approx((1.0 / 0.01 + 2.0) / (1.0 / 0.01 + 1.0))
    assert together.width == pytest.approx((1.0 / 0.01 + 1.0) ** -0.5)
    assert pooled([Interval(0.0, 0.0, 0.0), Interval.around(1.0, 0.2)]).width == pytest.approx(0.2)


def test_seeds_tell_together_how_much_trainings_scatter():
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(1000):
        values = {key: mean * np.exp(generator.normal(0.0, 0.05, 3)) for key, mean in {"a": 2.0, "b": 2.2}.items()}
        gap = Seeds(values).percent("b", "a")
        hits += gap.low <= 10.0 <= gap.high
    assert hits / 1000 == pytest.approx(0.95, abs=0.02)
    single = Seeds({"a": [2.0], "b": [2.2]}).percent("b", "a")
    assert single.mean == pytest.approx(10.0)
    assert is_within(single) is UNDECIDED


@pytest.mark.parametrize("count", [1, 10, 30, 100])
def test_chance_allows_for_few_misses(count):
    misses = np.random.default_rng(2).binomial(count, 0.05, 100_000)
    assert (misses > chance(count)).mean() < 0.01
    assert chance(count) == 0 or (misses > chance(count) - 1).mean() >= 0.009


def test_an_unpaired_difference_has_both_errors():
    gap = unpaired(Interval.around(3.0, 0.3), Interval.around(1.0, 0.4))
    assert (gap.mean, gap.width) == (2.0, pytest.approx(0.5))


# Readings.


def test_a_reading_has_the_dispatchers_that_draw_so_and_those_that_do_not_draw():
    figure = emulated("07a", (1.0,), MF_R=flat(2.0), MF_R_per_epoch=flat(3.0), JSQ=flat(2.5))
    assert figure.has_readings
    job, epoch = figure.under("job"), figure.under("epoch")
    assert job.dispatchers == epoch.dispatchers == ["MF-R", "JSQ"]
    assert job.mean("MF-R") == pytest.approx(2.0)
    assert epoch.mean("MF-R") == pytest.approx(3.0)
    plain = emulated("07a", (1.0,), MF_R=flat(2.0))
    assert plain.under("epoch") is plain


# Claims on cycles and large systems.


def papers_curve(delta_t, nodes):
    """MF-R as the paper has it: JSQ's at 1, RND's from 8 on."""
    return min(3.5, 1.0 + 0.25 * delta_t) if delta_t < 8 else 3.5


PAPERS = {"MF_R": papers_curve, "JSQ": rising(1.2, 0.02), "RND": flat(3.5), "OWN": flat(3.5)}


@pytest.mark.parametrize(
    ("claim", "otherwise"),
    [
        (large_systems.jsq_is_best, NO),
        (large_systems.is_near_jsq, NO),
        (large_systems.is_best_between, YES),
        (large_systems.approaches_random, NO),
        (large_systems.coincides_late, NO),
        (cycles.random_is_own, NO),
    ],
)
def test_claims_of_large_systems(claim, otherwise):
    not_so = emulated("07b", MF_R=flat(2.0), JSQ=flat(2.5), RND=flat(2.2), OWN=flat(2.1))
    assert claim(emulated("07a", **PAPERS)).verdict is YES
    assert claim(not_so).verdict is otherwise


def test_close_is_what_is_within_a_twentieth_either_way():
    for mf_r, verdict in ((1.04, YES), (1.46, NO), (0.8, NO)):
        figure = emulated("07a", (1.0,), MF_R=flat(mf_r), JSQ=flat(1.0))
        claim = large_systems.is_near_jsq(figure)
        assert claim.verdict is verdict
        assert claim.seen > 0.0


def test_what_cannot_be_seen_is_not_decided():
    noisy = emulated("07a", spread=2.0, **PAPERS)
    assert large_systems.coincides_late(noisy).verdict is UNDECIDED
    assert large_systems.coincides_late(noisy).seen > 5.0
    assert noisy.at(delta_t=1.0).is_best("JSQ") is not YES


def test_mf_r_beaten_once_is_not_best_between():
    def beaten(delta_t, nodes):
        return 3.6 if delta_t == 4.0 else 2.0

    claim = large_systems.is_best_between(emulated("07a", **(PAPERS | {"MF_R": beaten})))
    assert claim.verdict is NO
    assert claim.measured.startswith("best at 2, 3, 5, 6, 7, 8, 9, 10; ")


@pytest.mark.parametrize(("random", "verdict"), [(3.7, YES), (3.5, NO)])
def test_unequal_degrees_tell_own_from_random(random, verdict):
    figure = emulated("07d", topology="configuration_model", RND=flat(random), OWN=flat(3.5))
    claim = large_systems.own_is_ahead(figure)
    assert claim.verdict is verdict
    assert "on the configuration model" in claim.text


@pytest.mark.parametrize(("random", "verdict"), [(4.9, YES), (3.6, NO)])
def test_own_is_further_ahead_on_the_bethe_lattice(random, verdict):
    model = emulated("07d", topology="configuration_model", RND=flat(3.7), OWN=flat(3.5))
    bethe = emulated("08", topology="bethe", RND=flat(random), OWN=flat(3.5))
    claim = large_systems.own_is_further_ahead(model, bethe)
    assert (claim.figure, claim.verdict) == ("08", verdict)


@pytest.mark.parametrize(
    ("mf_r", "outperforms", "behind_own", "behind_random"),
    [(rising(0.2, 2.0), YES, YES, NO), (flat(3.0), YES, NO, NO), (rising(0.3, 2.2), YES, YES, YES)],
)
def test_claims_of_the_bethe_lattice(mf_r, outperforms, behind_own, behind_random):
    figure = emulated("08", topology="bethe", MF_R=mf_r, JSQ=rising(1.5), RND=flat(4.5), OWN=flat(3.5))
    assert large_systems.jsq_is_outperformed(figure).verdict is outperforms
    assert [claim.verdict for claim in large_systems.falls_behind(figure)] == [behind_own, behind_random]
    assert large_systems.is_best_at_three(figure).verdict is YES


def test_jsq_that_is_never_good_or_never_outperformed():
    common = {"topology": "bethe", "RND": flat(4.5), "OWN": flat(3.5)}
    never_good = emulated("08", MF_R=flat(1.0), JSQ=rising(1.5), **common)
    never_beaten = emulated("08", MF_R=flat(2.0), JSQ=flat(1.0), **common)
    assert large_systems.jsq_is_outperformed(never_good).verdict is NO
    assert large_systems.jsq_is_outperformed(never_beaten).verdict is NO
    assert large_systems.is_best_at_three(emulated("08", MF_R=flat(3.6), JSQ=rising(1.5), **common)).verdict is NO


@pytest.mark.parametrize(("curve", "verdict"), [(lambda x, n: 17.0 * x / (x + 3.0), YES), (rising(1.0), NO)])
def test_jsq_levels_off(curve, verdict):
    short = emulated("03a", JSQ=curve)
    longer = emulated("why_levels", (1.0, 10.0, 50.0, 100.0), JSQ=curve)
    assert large_systems.jsq_levels_off(short, longer).verdict is verdict


@pytest.mark.parametrize(("jsq", "verdict"), [(rising(1.2), YES), (flat(3.0), UNDECIDED), (rising(-0.2, 5.0), NO)])
def test_jsq_gets_worse(jsq, verdict):
    assert large_systems.jsq_deteriorates(emulated("07a", JSQ=jsq)).verdict is verdict


def on_cycles(**curves):
    papers = {"NA_PS": lambda x, n: papers_curve(x, n) + 0.05, **PAPERS}
    return emulated("05", (1.0, 3.0, 5.0, 7.0, 10.0), (9, 21, 91), **(papers | curves))


def on_nine(delta_t, small, otherwise):
    """A curve that is another one on 9 nodes at one delta_t."""
    return lambda x, n: small if (x, n) == (delta_t, 9) else otherwise(x, n)


@pytest.mark.parametrize(
    ("claim", "curves"),
    [
        (cycles.jsq_is_best, {"JSQ": on_nine(1.0, 3.0, rising(1.2))}),
        (cycles.is_near_jsq, {"MF_R": on_nine(1.0, 3.0, papers_curve)}),
        (cycles.is_best_between, {"MF_R": on_nine(5.0, 3.6, papers_curve)}),
        (cycles.approaches_random, {"MF_R": on_nine(10.0, 2.0, papers_curve)}),
        (cycles.sharing_is_never_better, {"NA_PS": lambda x, n: papers_curve(x, n) - 0.1}),
        (cycles.sharing_is_similar, {"NA_PS": lambda x, n: papers_curve(x, n) * (1.1 if x == 3.0 else 1.0)}),
        (cycles.random_is_own, {"OWN": flat(3.4)}),
    ],
)
def test_claims_of_cycles_of_all_sizes(claim, curves):
    assert claim(on_cycles()).verdict is YES
    assert claim(on_cycles(**curves)).verdict is NO


def test_na_ps_is_counted():
    def curve(delta_t, nodes):
        return papers_curve(delta_t, nodes) + (-0.1 if nodes == 9 else 0.1)

    measured = cycles.sharing_is_never_better(on_cycles(NA_PS=curve)).measured
    assert measured.startswith("MF-R is ahead in 10 of 15 cases, NA-PS in 5, in 5 by more than 1 %; at best -")


@pytest.mark.parametrize(("power", "verdict"), [(1.0, YES), (0.1, NO)])
def test_drops_on_growing_cycles(power, verdict):
    figure = emulated("06", (5.0,), (5, 101, 1001, 5001), MF_R=lambda x, n: 2.7 - 2.0 * n**-power)
    assert cycles.drops_converge(figure).verdict is verdict


@pytest.mark.parametrize(("small", "verdict"), [(2.71, YES), (2.4, NO)])
def test_drops_in_training_are_reached(small, verdict):
    figure = emulated("06", (5.0,), (101, 1001, 5001), MF_R=lambda x, n: small if n == 101 else 2.7)
    assert cycles.training_is_reached(figure).verdict is verdict


@pytest.mark.parametrize(("everything", "verdict"), [(2.72, YES), (2.4, NO)])
def test_observations(everything, verdict):
    figure = emulated("09b", MF_R=flat(2.7), MF_N=flat(2.65), MF_G=flat(everything))
    assert large_systems.observations_are_alike(figure).verdict is verdict


@pytest.mark.parametrize(("jsq", "verdict"), [(1.9, YES), (1.3, NO)])
def test_large_buffers(jsq, verdict):
    figure = emulated("10a", (5.0,), MF_R=flat(1.4), JSQ=flat(jsq), RND=flat(1.5), OWN=flat(1.5))
    assert large_systems.is_best_with_large_buffers(figure).verdict is verdict


@pytest.mark.parametrize(("sed", "mf_r", "jsq", "verdict"), [(1.0, 1.48, 3.0, YES), (5.0, 1.2, 1.0, NO)])
def test_unequal_servers(sed, mf_r, jsq, verdict):
    drops = {"MF_R": mf_r, "SED": sed, "JSQ": jsq, "RND": 1.5, "OWN": 1.5}
    figure = emulated("10b", (1.0, 5.0), **{name: flat(value) for name, value in drops.items()})
    checks = (large_systems.expected_delay_is_best, large_systems.is_comparable, large_systems.outperforms_jsq)
    assert {check(figure).verdict for check in checks} == {verdict}


# Claims on trainings and SAC.


@pytest.mark.parametrize(("worst", "verdict"), [(2.75, YES), (3.1, NO), (2.84, UNDECIDED)])
def test_sizes_of_the_network(worst, verdict):
    drops = {"[128, 128]": 2.7, "[128, 128, 128]": 2.72, "[256, 256]": 2.71, "[256, 256, 256]": worst}
    claim = trainings.sizes_are_alike(trained("03b", drops, "training.hidden", scatter=0.01))
    assert claim.verdict is verdict
    assert f"-{worst:.3f} with 256, 256, 256; " in claim.measured
    assert "mean of 3 seeds" in claim.measured


@pytest.mark.parametrize(("recurrent", "verdict"), [(2.69, YES), (2.95, NO), (2.4, NO)])
def test_recurrent_policies(recurrent, verdict):
    claim = trainings.recurrence_gives_nothing(trained("09a", {"MF-R": 2.7, "MF-RNN": recurrent}))
    assert claim.verdict is verdict


def test_one_seed_decides_nothing():
    figure = trained("09a", {"MF-R": 2.7, "MF-RNN": 2.7}, seeds=(1,))
    assert trainings.recurrence_gives_nothing(figure).verdict is UNDECIDED


def test_trainings_of_different_lengths_are_compared_on_the_iterations_of_both():
    figure = trained("09a", {"MF-R": 2.7, "MF-RNN": 2.6})
    shorter = figure.rows[(figure.rows["algorithm"] == "MF-RNN") | (figure.rows["iteration"] <= 32)]
    assert set(trainings.last_iterations(shorter, 0.25)["iteration"]) == set(range(25, 33))


@pytest.mark.parametrize(("converged", "verdict"), [({5: 10, 11: 20, 21: 30}, YES), ({5: 10, 11: 30, 21: 20}, NO)])
def test_the_time_of_sac(converged, verdict):
    figure = trained("04a", dict.fromkeys(converged, 5.0), "nodes", converged_seconds=converged)
    claim = trainings.sac_takes_longer(figure)
    assert claim.verdict is verdict
    assert claim.measured.startswith("mean of 3 seeds 10.00 s at 5, ")


def test_the_time_until_a_training_stays_near_its_end():
    figure = trained("training_buffer", {5: 1.0, 20: 0.1}, "buffer")
    claim = trainings.longer_training(figure)
    assert claim.verdict is YES
    # 3 * 0.5**n, as a mean of five, is within 5 % of the end from n = 9 on at 1.0, from n = 12 on at 0.1.
    assert "9.0 s at 5, 12.0 s at 20" in claim.measured
    assert trainings.longer_training(trained("training_buffer", {5: 0.1, 20: 1.0}, "buffer")).verdict is NO


def test_claims_of_sac():
    def sac(start, slope):
        curves = {f"SAC__{seed}": lambda x, n, seed=seed: start + 0.01 * seed + slope * n / 101.0 for seed in (1, 2, 3)}
        others = {"MF_R": flat(2.0), "JSQ": flat(4.0), "RND": flat(3.5), "OWN": flat(3.5)}
        return emulated("04b", (3.0,), (5, 11, 101), **others, **curves)

    better, worse = sac(5.0, -0.5), sac(3.0, 0.5)
    assert trainings.sac_policies(better) == ["SAC 1", "SAC 2", "SAC 3"]
    assert trainings.sac_is_behind(better).verdict is YES
    assert trainings.sac_is_behind(sac(1.0, 0.0)).verdict is NO
    assert trainings.sac_improves(better).verdict is YES
    assert trainings.sac_improves(worse).verdict is NO
    assert trainings.sac_is_suboptimal(better).verdict is YES
    assert trainings.sac_is_suboptimal(worse).verdict is NO


# Claims on the theory.


def test_the_order_of_the_limit():
    def settled(delta_t, nodes):
        return 2.0 if nodes > 100 else 4.0

    figure = emulated("theorem_1_torus", (5.0,), (9, 100, 1000, 10000), MF_R=settled, JSQ=flat(3.0), RND=flat(3.5))
    claim = theory.order_is_the_limits(figure)
    assert claim.verdict is YES
    assert "MF-R < JSQ < RND; MF-R is best with 1,000, 10,000 nodes" in claim.measured
    assert "with 9 nodes MF-R and JSQ, MF-R and RND have changed places" in claim.measured
    late = emulated("theorem_1_torus", (5.0,), (9, 100), MF_R=lambda x, n: 2.0 if n > 9 else 4.0, JSQ=flat(3.0))
    assert theory.order_is_the_limits(late).verdict is UNDECIDED


@pytest.mark.parametrize(("jsq", "verdict"), [(0.1, YES), (0.5, NO)])
def test_jsq_towards_zero(jsq, verdict):
    figure = emulated("delta_t_small", (0.1, 1.0), JSQ=flat(jsq), JSQ__per__job=flat(0.05), MF_R=flat(0.3))
    assert theory.jsq_is_best_at_zero(figure).verdict is verdict


@pytest.mark.parametrize(("lead", "verdict"), [(0.0, YES), (0.2, NO)])
def test_random_towards_infinity(lead, verdict):
    figure = emulated("delta_t_large", (10.0, 100.0), RND=flat(3.0), MF_R=flat(3.0 - lead), JSQ=flat(9.0))
    assert theory.random_is_best_at_infinity(figure).verdict is verdict


@pytest.mark.parametrize(("other", "verdict"), [(2.7, YES), (2.5, NO)])
def test_the_size_that_is_trained_on(other, verdict):
    figure = emulated("training_size", (5.0,), trained__on__100=flat(2.7), trained__on__1=flat(other))
    named = figure.rows["dispatcher"].replace({"trained on 1": "trained on 1,000"})
    claim = theory.hundred_nodes_suffice(Figure("training_size", figure.rows.assign(dispatcher=named)))
    assert claim.verdict is verdict
    assert "on the cycle" in claim.measured


def test_messages_are_counted_for_each_job():
    rows = emulated("09b", (5.0,), (100,), MF_N=flat(2.0), MF_G=flat(2.0)).rows
    rows = rows.assign(arrivals=2000, messages=np.where(rows["dispatcher"] == "MF-G", 3500, 2500))
    claim = theory.local_rules_send_less(Figure("09b", rows))
    assert claim.verdict is YES
    assert "1.25 with the own server" in claim.measured
    assert "1.75 where one place gathers" in claim.measured
    assert "25 if every scheduler" in claim.measured


def test_exact_drops_of_the_own_queue():
    # Independent values.
    assert theory.exact_drops(5.0) == pytest.approx(3.5144, abs=2e-4)
    assert theory.exact_drops(1.0) == pytest.approx(3.4258, abs=2e-4)
    assert theory.exact_drops(10.0) == pytest.approx(3.4620, abs=2e-4)


def grown(power, last, dispatchers=("MF-R", "RND")):
    nodes, gaps = [10, 100, 1000, 10_000], [-10.0, -1.0, last, 0.0]
    parts = []
    for name in dispatchers:
        rows = {"dispatcher": name, "nodes": nodes, "drops": 2.5, "drops_low": 2.4, "drops_high": 2.6}
        for measure in growth.MEASURES:
            rows |= {f"{measure}_gap": gaps, f"{measure}_gap_low": np.subtract(gaps, 0.1)}
            rows |= {f"{measure}_gap_high": np.add(gaps, 0.1)}
        rows |= {f"distance_{epoch}": 0.1 for epoch in growth.EPOCHS}
        rows["episode"] = [*(size**power for size in nodes[:-1]), 0.0]
        parts.append(pd.DataFrame(rows).assign(episode_low=0.0, episode_high=1.0))
    table = pd.concat(parts, ignore_index=True)
    return Figure("theorem_1_bethe", pd.DataFrame({"topology": ["bethe"], "nodes": [10]}), 40, table)


@pytest.mark.parametrize(("last", "verdict"), [(-0.2, YES), (-3.0, NO), (-1.0, UNDECIDED)])
def test_theorem_1(last, verdict):
    figure = grown(-0.5, last)
    claim = growth.drops_converge(figure)
    assert claim.verdict is verdict
    assert "distributions about as N^-0.50" in claim.measured
    lines = list(growth.table(figure))
    assert len({line.count("|") for line in lines}) == 1
    assert lines[-1].startswith("| RND | 10,000 |")


def test_nothing_is_told_by_chance_where_all_is_alike():
    assert math.isnan(root.chance_of(np.zeros((60, 4))))
    table = grown(-0.5, -0.2).table.assign(episode=0.0)
    assert math.isnan(growth.exponent(table[table["dispatcher"] == "RND"]))


def test_the_chance_of_a_difference_is_uniform_if_there_is_none():
    generator = np.random.default_rng(3)
    found = []
    for _ in range(400):
        counts = generator.multinomial(1, [0.4, 0.3, 0.2, 0.1], 60) - generator.multinomial(1, [0.4, 0.3, 0.2, 0.1], 60)
        found.append(root.chance_of(counts.astype(float)))
    for level in (0.05, 0.5):
        assert np.mean(np.array(found) < level) == pytest.approx(level, abs=0.08)
    shifted = generator.multinomial(1, [0.9, 0.1, 0.0, 0.0], 60) - generator.multinomial(1, [0.4, 0.3, 0.2, 0.1], 60)
    assert root.chance_of(shifted + generator.normal(0, 1e-6, (60, 4))) < 1e-4


def rooted(chance):
    columns = ("root", "average", "length", "length_low", "length_high", "full", "full_low", "full_high", "distance")
    common = {"dispatcher": "RND", "chance": 0.5, "replications": 400, "topology": "bethe"}
    rows = [{"nodes": nodes} | common | dict.fromkeys(columns, 0.1) for nodes in (46, 766)]
    rows[1]["chance"] = chance
    return Figure("bethe_root", pd.DataFrame(rows))


@pytest.mark.parametrize(("chance", "verdict"), [(0.001, YES), (0.3, UNDECIDED)])
def test_the_root_of_the_largest_lattice(chance, verdict):
    figure = rooted(chance)
    assert [claim.verdict for claim in root.root_differs(figure)] == [verdict]
    assert len({line.count("|") for line in root.table(figure)}) == 1
