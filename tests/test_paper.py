"""The paper's claims are held against intervals, and the page of its figures is made by one command."""

import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from emulator.errors import InputError
from emulator.picture import Level
from policies.paper import claims, command_line, limits
from policies.paper.figure import Figure, Interval, chance
from policies.paper.making import chosen, make, scenarios
from policies.paper.page import GROUPS, held, page, stem_of
from policies.paper.reasons import REASONS, reason_for

ROOT = Path(__file__).resolve().parent.parent
DELTA_TS = tuple(float(delta_t) for delta_t in range(1, 11))


def emulated(name, delta_ts=DELTA_TS, nodes=(5001,), topology="cycle", spread=0.01, **drops):
    """A figure of 40 episodes around `drops[dispatcher](delta_t, nodes)`, on common paths of arrival rates."""
    generator = np.random.default_rng(1)
    rows = []
    for delta_t in delta_ts:
        for size in nodes:
            paths = generator.normal(0.0, 0.2, 40)
            for dispatcher, mean in drops.items():
                values = mean(delta_t, size) + paths + generator.normal(0.0, spread, 40)
                values += mean(delta_t, size) - values.mean()  # to the point, and the intervals stay as wide
                keys = {"dispatcher": dispatcher.replace("_", "-"), "delta_t": delta_t, "nodes": size}
                keys["topology"] = topology
                rows += [{**keys, "replication": k, "drops_per_queue": x} for k, x in enumerate(values)]
    return Figure(name, pd.DataFrame(rows), episodes=40)


def flat(drops):
    return lambda delta_t, nodes: drops


def trained(name, drops, key="training.algorithm", seconds=1.0, **columns):
    """Trainings of 40 iterations that end around `drops[value]`; `columns` has more columns' values by the same."""
    rows = []
    for value, last in drops.items():
        for iteration in range(1, 41):
            row = {key: value, "algorithm": value if key == "training.algorithm" else "SAC", "iteration": iteration}
            row |= {"drops": last + 3.0 * 0.5**iteration + 0.01 * (-1) ** iteration, "seconds": seconds * iteration}
            rows.append(row | {column: some[value] for column, some in columns.items()})
    return Figure(name, pd.DataFrame(rows))


def test_differences_are_paired_by_replication():
    figure = emulated("07a", (1.0,), MF_R=flat(2.0), JSQ=flat(2.1))
    gap = figure.difference("JSQ", "MF-R")
    unpaired = Interval.of(figure.drops("JSQ"))
    assert gap.mean == pytest.approx(0.1)
    assert gap.high - gap.low < 0.2 * (unpaired.high - unpaired.low)
    assert figure.percent("JSQ", "MF-R") == pytest.approx(5.0)
    assert figure.is_best("MF-R")
    assert not figure.is_best("JSQ")


def test_an_episode_that_only_one_dispatcher_has_is_not_compared():
    figure = emulated("07a", (1.0,), MF_R=flat(2.0), JSQ=flat(2.1))
    odd = (figure.rows["dispatcher"] == "JSQ") & (figure.rows["replication"] == 0)
    fewer = Figure("07a", figure.rows[~odd])
    both = (figure.drops("JSQ") - figure.drops("MF-R"))[1:]
    assert fewer.difference("JSQ", "MF-R") == Interval.of(both)


def test_nobody_is_best_by_chance():
    figure = emulated("07a", (1.0,), spread=0.5, MF_R=flat(2.0), JSQ=flat(2.01))
    assert not figure.is_best("MF-R")
    assert not figure.is_best("JSQ")


@pytest.mark.parametrize("count", [1, 10, 30, 100])
def test_chance_allows_for_few_misses(count):
    misses = np.random.default_rng(2).binomial(count, 0.05, 100_000)
    assert (misses > chance(count)).mean() < 0.01
    assert chance(count) == 0 or (misses > chance(count) - 1).mean() >= 0.009


def papers_curve(delta_t, nodes):
    """MF-R as the paper has it: RND's from 8 on."""
    return min(3.5, 1.5 + 0.25 * delta_t) if delta_t < 8 else 3.5


def rising(slope, start=0.0):
    return lambda delta_t, nodes: start + slope * delta_t


@pytest.mark.parametrize(
    ("claim", "otherwise"),
    [
        (claims.jsq_is_best, False),
        (claims.is_near_jsq, False),
        (claims.is_best_between, True),
        (claims.approaches_random, False),
        (claims.coincides_late, False),
        (claims.random_is_own, False),
    ],
)
def test_claims_of_large_systems(claim, otherwise):
    as_in_the_paper = emulated("07a", MF_R=papers_curve, JSQ=rising(1.2), RND=flat(3.5), OWN=flat(3.5))
    not_so = emulated("07b", MF_R=flat(2.0), JSQ=flat(2.5), RND=flat(2.2), OWN=flat(2.1))
    assert claim(as_in_the_paper).holds
    assert claim(not_so).holds == otherwise


def test_mf_r_far_from_jsq_is_not_close():
    assert not claims.is_near_jsq(emulated("07a", MF_R=flat(2.0), JSQ=flat(1.0), RND=flat(3.0), OWN=flat(3.0))).holds


def test_mf_r_beaten_once_is_not_best_between():
    def beaten(delta_t, nodes):
        return 3.6 if delta_t == 4.0 else 2.0

    claim = claims.is_best_between(emulated("07a", MF_R=beaten, JSQ=rising(1.2), RND=flat(3.5), OWN=flat(3.5)))
    assert not claim.holds
    assert claim.measured == "best at 2, 3, 5, 6, 7, 8, 9, 10"


@pytest.mark.parametrize(("random", "holds"), [(3.7, True), (3.5, False)])
def test_unequal_degrees_tell_own_from_random(random, holds):
    figure = emulated("07d", topology="configuration_model", RND=flat(random), OWN=flat(3.5))
    claim = claims.own_is_ahead(figure)
    assert claim.holds == holds
    assert "on the configuration model" in claim.text


@pytest.mark.parametrize(("random", "holds"), [(4.9, True), (3.6, False)])
def test_own_is_further_ahead_on_the_bethe_lattice(random, holds):
    model = emulated("07d", topology="configuration_model", RND=flat(3.7), OWN=flat(3.5))
    bethe = emulated("08", topology="bethe", RND=flat(random), OWN=flat(3.5))
    claim = claims.own_is_further_ahead(model, bethe)
    assert (claim.figure, claim.holds) == ("08", holds)


@pytest.mark.parametrize(
    ("mf_r", "outperforms", "behind_own", "behind_random"),
    [(rising(0.2, 2.0), True, True, False), (flat(3.0), True, False, False), (rising(0.3, 2.2), True, True, True)],
)
def test_claims_of_the_bethe_lattice(mf_r, outperforms, behind_own, behind_random):
    figure = emulated("08", topology="bethe", MF_R=mf_r, JSQ=rising(1.5), RND=flat(4.5), OWN=flat(3.5))
    assert claims.jsq_is_outperformed(figure).holds == outperforms
    assert [claim.holds for claim in claims.falls_behind(figure)] == [behind_own, behind_random]
    assert claims.is_best_at_three(figure).holds


def test_jsq_that_is_never_good_or_never_outperformed():
    common = {"topology": "bethe", "RND": flat(4.5), "OWN": flat(3.5)}
    assert not claims.jsq_is_outperformed(emulated("08", MF_R=flat(1.0), JSQ=rising(1.5), **common)).holds
    assert not claims.jsq_is_outperformed(emulated("08", MF_R=flat(2.0), JSQ=flat(1.0), **common)).holds
    assert not claims.is_best_at_three(emulated("08", MF_R=flat(3.6), JSQ=rising(1.5), **common)).holds


def test_jsq_levels_off():
    assert claims.jsq_levels_off(emulated("03a", JSQ=lambda x, n: 12.0 * x / (x + 3.0))).holds
    assert not claims.jsq_levels_off(emulated("03a", JSQ=rising(1.0))).holds
    assert not claims.jsq_levels_off(emulated("03a", JSQ=rising(-1.0, 12.0))).holds


@pytest.mark.parametrize(("worst", "holds"), [(2.8, True), (3.0, False)])
def test_sizes_of_the_network(worst, holds):
    drops = {"[128, 128]": 2.7, "[128, 128, 128]": 2.75, "[256, 256]": 2.72, "[256, 256, 256]": worst}
    claim = claims.sizes_are_alike(trained("03b", drops, "training.hidden"))
    assert claim.holds == holds
    assert f"-{worst:.3f} with 256, 256, 256: " in claim.measured


@pytest.mark.parametrize(("recurrent", "holds"), [(2.69, True), (2.9, False), (2.4, False)])
def test_recurrent_policies(recurrent, holds):
    assert claims.recurrence_gives_nothing(trained("09a", {"MF-R": 2.7, "MF-RNN": recurrent})).holds == holds


def test_trainings_of_different_lengths_are_compared_on_the_iterations_of_both():
    figure = trained("09a", {"MF-R": 2.7, "MF-RNN": 2.6})
    shorter = Figure("09a", figure.rows[(figure.rows["algorithm"] == "MF-RNN") | (figure.rows["iteration"] <= 32)])
    assert "over iterations 25 to 32" in claims.recurrence_gives_nothing(shorter).measured


@pytest.mark.parametrize(("converged", "holds"), [({5: 10, 11: 20, 21: 30}, True), ({5: 10, 11: 30, 21: 20}, False)])
def test_the_time_of_sac(converged, holds):
    claim = claims.sac_takes_longer(trained("04a", dict.fromkeys(converged, 5.0), "nodes", converged_seconds=converged))
    assert claim.holds == holds
    assert claim.measured.startswith("10.00 s at 5, ")


def test_claims_of_sac():
    def sac(start, slope):
        return emulated(
            "04b",
            (3.0,),
            (5, 11, 101),
            SAC=lambda x, n: start + slope * n / 101.0,
            **{name: flat(y) for name, y in {"MF_R": 2.0, "JSQ": 4.0, "RND": 3.5, "OWN": 3.5}.items()},
        )

    better, worse = sac(5.0, -0.5), sac(3.0, 0.5)
    assert claims.sac_is_behind(better).holds
    assert not claims.sac_is_behind(sac(1.0, 0.0)).holds
    assert claims.sac_improves(better).holds
    assert not claims.sac_improves(worse).holds
    assert claims.sac_is_suboptimal(better).holds
    assert not claims.sac_is_suboptimal(worse).holds


def cycles(**curves):
    papers = {"MF_R": papers_curve, "NA_PS": lambda x, n: papers_curve(x, n) + 0.05, "JSQ": rising(1.2)}
    papers |= {"RND": flat(3.5), "OWN": flat(3.5)}
    return emulated("05", (1.0, 3.0, 5.0, 7.0, 10.0), (9, 21, 91), **(papers | curves))


def on_nine(delta_t, small, otherwise):
    """A curve that is another one on 9 nodes at one delta_t."""
    return lambda x, n: small if (x, n) == (delta_t, 9) else otherwise(x, n)


@pytest.mark.parametrize(
    ("claim", "curves"),
    [
        (claims.jsq_is_best_on_cycles, {"JSQ": on_nine(1.0, 3.0, rising(1.2))}),
        (claims.is_near_jsq_on_cycles, {"MF_R": on_nine(1.0, 3.0, papers_curve)}),
        (claims.is_best_between_on_cycles, {"MF_R": on_nine(5.0, 3.6, papers_curve)}),
        (claims.approaches_random_on_cycles, {"MF_R": on_nine(10.0, 2.0, papers_curve)}),
        (claims.sharing_is_never_better, {"NA_PS": lambda x, n: papers_curve(x, n) - 0.1}),
        (claims.sharing_is_similar, {"NA_PS": lambda x, n: papers_curve(x, n) * (1.1 if x == 3.0 else 1.0)}),
        (claims.random_is_own, {"OWN": flat(3.4)}),
    ],
)
def test_claims_of_cycles_of_all_sizes(claim, curves):
    assert claim(cycles()).holds
    assert not claim(cycles(**curves)).holds


def test_na_ps_is_counted():
    def curve(delta_t, nodes):
        return papers_curve(delta_t, nodes) + (-0.1 if nodes == 9 else 0.1)

    measured = claims.sharing_is_never_better(cycles(NA_PS=curve)).measured
    assert measured == "MF-R is ahead in 10 of 15 cases, NA-PS in 5"


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (0.1, False)])
def test_drops_on_growing_cycles(power, holds):
    figure = emulated("06", (5.0,), (5, 101, 1001, 5001), MF_R=lambda x, n: 2.7 - 2.0 * n**-power)
    assert claims.drops_converge(figure).holds == holds


@pytest.mark.parametrize(("level", "holds"), [(2.71, True), (2.9, False)])
def test_drops_in_training_are_reached(level, holds):
    figure = emulated("06", (5.0,), (101, 5001), MF_R=flat(2.7))
    told = Figure("06", figure.rows, Level(level, level - 0.05, level + 0.05))
    assert claims.training_is_reached(told).holds == holds


@pytest.mark.parametrize(("everything", "holds"), [(2.72, True), (2.4, False)])
def test_observations(everything, holds):
    figure = emulated("09b", MF_R=flat(2.7), MF_N=flat(2.65), MF_G=flat(everything))
    assert claims.observations_are_alike(figure).holds == holds


@pytest.mark.parametrize(("jsq", "holds"), [(1.9, True), (1.3, False)])
def test_large_buffers(jsq, holds):
    figure = emulated("10a", (5.0,), MF_R=flat(1.4), JSQ=flat(jsq), RND=flat(1.5), OWN=flat(1.5))
    assert claims.is_best_with_large_buffers(figure).holds == holds


@pytest.mark.parametrize(
    ("sed", "mf_r", "jsq", "verdicts"), [(1.0, 1.48, 3.0, [True, True, True]), (5.0, 1.2, 1.0, [False, False, False])]
)
def test_unequal_servers(sed, mf_r, jsq, verdicts):
    drops = {"MF_R": mf_r, "SED": sed, "JSQ": jsq, "RND": 1.5, "OWN": 1.5}
    figure = emulated("10b", (1.0, 5.0), **{name: flat(value) for name, value in drops.items()})
    checks = (claims.expected_delay_is_best, claims.is_comparable, claims.outperforms_jsq)
    assert [check(figure).holds for check in checks] == verdicts


def test_distributions_of_a_trace():
    lengths = np.array([[0, 0, 0], [2, 1, 1], [1, 0, 2]])  # epochs x nodes
    epoch, node = np.divmod(np.arange(9), 3)
    table = pa.table({"epoch": epoch, "node": node, "queue_length": lengths.ravel()})
    for cut in (9, 4, 2):  # rows come in pieces
        found = limits.distributions((table.slice(start, cut) for start in range(0, 9, cut)), 3)
        np.testing.assert_allclose(found[0], [[1, 0, 0], [0, 2 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]])
        np.testing.assert_allclose(found[1], [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_distance_in_total_variation():
    assert limits.distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
    assert limits.distance(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])) == 0.25


def test_the_chance_of_a_difference_is_uniform_if_there_is_none():
    generator = np.random.default_rng(3)
    found = []
    for _ in range(400):
        counts = generator.multinomial(1, [0.4, 0.3, 0.2, 0.1], 60) - generator.multinomial(1, [0.4, 0.3, 0.2, 0.1], 60)
        found.append(limits.chance_of(counts.astype(float)))
    for level in (0.05, 0.5):
        assert np.mean(np.array(found) < level) == pytest.approx(level, abs=0.08)
    shifted = generator.multinomial(1, [0.9, 0.1, 0.0, 0.0], 60) - generator.multinomial(1, [0.4, 0.3, 0.2, 0.1], 60)
    assert limits.chance_of(shifted[:, [0, 1, 2, 3]] + generator.normal(0, 1e-6, (60, 4))) < 1e-4


def growing(power, last):
    nodes = [10, 100, 1000, 10_000]
    gaps = [-10.0, -1.0, last, 0.0]
    rows = {"topology": "bethe", "nodes": nodes, "drops": 2.5, "drops_low": 2.4, "drops_high": 2.6, "gap": gaps}
    rows |= {f"distance_{epoch}": 0.1 for epoch in limits.EPOCHS}
    rows |= {"gap_low": np.subtract(gaps, 0.1), "gap_high": np.add(gaps, 0.1)}
    rows["episode"] = [*(size**power for size in nodes[:-1]), 0.0]
    return Figure("theorem_1_bethe", pd.DataFrame(rows).assign(episode_low=0.0, episode_high=1.0))


@pytest.mark.parametrize(("power", "last", "holds"), [(-0.5, -0.2, True), (-0.1, -0.2, False), (-0.5, -3.0, False)])
def test_theorem_1(power, last, holds):
    figure = growing(power, last)
    assert limits.exponent(figure) == pytest.approx(power)
    assert limits.drops_converge(figure).holds == holds
    lines = list(limits.growth_table(figure))
    assert len({line.count("|") for line in lines}) == 1
    assert lines[-1].startswith("| 10,000 |")


def rooted(chance):
    columns = ("root", "average", "length", "length_low", "length_high", "full", "full_low", "full_high", "distance")
    rows = [{"nodes": nodes, "dispatcher": "RND", "chance": 0.5} | dict.fromkeys(columns, 0.1) for nodes in (46, 766)]
    rows[1]["chance"] = chance
    return Figure("bethe_root", pd.DataFrame(rows).assign(topology="bethe"))


@pytest.mark.parametrize(("chance", "holds"), [(0.001, True), (0.3, False)])
def test_the_root_of_the_largest_lattice(chance, holds):
    figure = rooted(chance)
    assert [claim.holds for claim in limits.root_differs(figure)] == [holds]
    assert len({line.count("|") for line in limits.root_table(figure)}) == 1


def alike(**drops):
    """A figure whose episodes are all alike."""
    figure = emulated("07a", (1.0, 5.0, 8.0, 9.0, 10.0), **{name: flat(value) for name, value in drops.items()})
    means = figure.rows["dispatcher"].str.replace("-", "_").map(drops)
    return Figure("07a", figure.rows.assign(drops_per_queue=means), episodes=40)


def test_what_is_alike_in_all_episodes_has_no_interval():
    figure = alike(MF_R=2.0, JSQ=3.0, RND=2.5, OWN=2.5)
    one = figure.at(delta_t=1.0)
    assert str(one.difference("RND", "OWN")) == "equal in all 40 episodes"
    assert str(one.difference("JSQ", "MF-R")) == "+1.000 in all 40 episodes"
    assert one.is_best("MF-R")
    assert not one.is_ahead("RND", ["OWN"])
    claim = claims.random_is_own(figure)
    assert claim.holds
    assert claim.measured == "0 is in 5 of 5 intervals of the difference; largest equal in all 40 episodes"
    assert str(Interval.of([1.5])) == "+1.500"
    assert str(Interval.of([])) == "unknown"


@pytest.mark.parametrize("drops", [0.0, 2.0])
def test_a_page_of_episodes_that_are_alike_shows_no_nan(drops):
    written = page({"07a": alike(MF_R=drops, JSQ=drops, RND=drops, OWN=drops)})
    assert "nan" not in written
    assert "equal in all 40 episodes" in written


def test_a_page_of_few_episodes_and_iterations_shows_no_nan():
    few = Figure("09a", trained("09a", {"MF-R": 2.7, "MF-RNN": 2.6}).rows.query("iteration == 1"))
    lattice = rooted(float("nan"))
    written = page({"09a": few, "bethe_root": lattice, "theorem_1_bethe": growing(-0.5, -0.2)})
    assert "nan" not in written
    assert "by chance with probability unknown" in written
    assert "%, +0.100, not paired |" in written


def test_nothing_is_told_by_chance_where_all_is_alike():
    assert math.isnan(limits.chance_of(np.zeros((60, 4))))
    same = growing(-0.5, -0.2)
    assert math.isnan(limits.exponent(Figure("theorem_1_bethe", same.rows.assign(episode=0.0))))


def test_a_level_without_an_interval_is_compared_by_that_of_the_drops():
    figure = emulated("06", (5.0,), (101, 5001), MF_R=flat(2.7))
    told = claims.training_is_reached(Figure("06", figure.rows, Level(2.71, math.nan, math.nan)))
    assert told.holds
    assert "nan" not in told.measured


def test_claims_and_reasons_name_the_same_reasons():
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (claims, limits))
    assert set(re.findall(r', "([a-z]+)"\)$', source, re.MULTILINE)) == set(REASONS)


def test_the_reason_for_slow_networks_counts_iterations():
    drops = {"[128, 128]": 2.7, "[256, 256]": 3.0}
    told = reason_for("sizes", {"03b": trained("03b", drops, "training.hidden")})
    assert "-3.000" in told
    assert re.search(r": \d+ with 128, 128, (37|38|39|40) with 256, 256 \(means of 4", told)


def test_the_page_counts_its_claims_and_says_why_some_do_not_hold():
    common = {"JSQ": rising(1.2), "RND": flat(3.5), "OWN": flat(3.5)}
    figures = {
        "07a": emulated("07a", MF_R=rising(0.1, 1.5), **common),
        "why_late": late(),
    }
    written = page(figures, ["Not asked for: 08."])
    verdicts = [claim.holds for found in held(figures).values() for claim in found]
    assert verdicts.count(False) == 1
    assert "Of 6 claims 5 hold and 1 do not" in written
    assert "policies/trained`. Not asked for: 08." in written
    assert "40 episodes for each point" in written
    why = written.partition("## Where the paper is contradicted")[2]
    assert "- MF-R coincides with RND for delta_t 8 to 10 on the cycle (7a): **no**" in why
    assert reason_for("late", figures) in why
    assert "no reason was looked for" not in why
    assert "no reason was looked for" in page({"07a": figures["07a"]})


def late():
    curves = {"MF_R": rising(0.1, 2.0), "a_tenth": rising(0.1, 2.1), "RND": flat(3.5)}
    parts = [emulated("why_late", (8.0, 10.0), **curves).rows.assign(horizon=horizon) for horizon in (50, 500)]
    rows = pd.concat(parts)
    return Figure("why_late", rows.assign(dispatcher=rows["dispatcher"].str.replace("a-tenth", "a tenth")))


def test_a_page_without_contradictions_says_nothing_of_reasons():
    written = page({"07a": emulated("07a", MF_R=papers_curve, JSQ=rising(1.2), RND=flat(3.5), OWN=flat(3.5))})
    assert "Of 6 claims 6 hold and 0 do not" in written
    assert "contradicted" not in written


def test_the_figures_of_all_claims_and_reasons_have_scenarios():
    names = scenarios(ROOT / "scenarios" / "paper")
    assert next(iter(names)) == "03a"
    needed = {name for checks in GROUPS.values() for check in checks for name in check.figures}
    needed |= {"theorem_1_bethe"} | {name for reason in REASONS.values() for name in reason.figures}
    assert needed == set(names)
    assert all(names[name].stem == stem_of(name) for name in names)


def small(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / f"{stem_of(name)}.yaml").write_text(text, encoding="utf-8")


def made_in(folder, *arguments):
    """What is made of the scenarios in a folder, and what is left out."""
    (folder / "docs/paper").mkdir(parents=True, exist_ok=True)
    places = [word for place in ("scenarios", "runs", "docs") for word in (f"--{place}", str(folder / place))]
    return make(command_line.parser().parse_args([*places, *arguments]), "python -m policies.paper")


def test_figures_are_made_one_by_one_and_not_again(tmp_path, capsys):
    common = "topology: {kind: cycle, nodes: 9}\nhorizon: 10\nreplications: 3\ndelta_t: [1, 5]\n"
    small(tmp_path / "scenarios", "08", common + "dispatchers: [RND, OWN]\n")
    small(tmp_path / "scenarios", "03a", common + "dispatchers: [JSQ]\n")
    made, missing = made_in(tmp_path, "--only", "03a", "--engine", "simpy")
    assert list(made) == ["03a"]
    assert missing == ["Not asked for: 8."]
    assert made["03a"].episodes == 3
    assert (tmp_path / "docs/paper/figure_03a.png").exists()
    assert not (tmp_path / "runs/figure_08").exists()
    assert re.fullmatch(r"figure_03a: emulating, 1 of 1\n(\d+% .*\n)*figure_03a: \d+ s\n", capsys.readouterr().err)
    before = (tmp_path / "runs/figure_03a/episodes.parquet").read_bytes()
    more, _ = made_in(tmp_path, "--only", "03a", "--engine", "simpy", "--replications", "4")
    assert more["03a"].episodes == 4
    pd.testing.assert_frame_equal(
        more["03a"].rows[more["03a"].rows["replication"] < 3].reset_index(drop=True), made["03a"].rows
    )
    assert before != (tmp_path / "runs/figure_03a/episodes.parquet").read_bytes()


def test_an_unknown_figure_is_told_of(tmp_path, capsys):
    arguments = ["--only", "11", "--docs", str(tmp_path / "docs"), "--runs", str(tmp_path / "runs")]
    assert command_line.main(arguments) == 2
    assert capsys.readouterr().err.strip().startswith("--only must name figures, 3a, 3b,")
    assert not (tmp_path / "docs/paper.md").exists()


def test_folders_that_will_not_do_are_told_of_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for option, what in (("--docs", "that can be written to"), ("--scenarios", "with scenarios of figures")):
        arguments = ["--only", "03a", "--runs", str(tmp_path / "runs"), option, str(tmp_path / "file")]
        assert command_line.main(arguments) == 2
        assert capsys.readouterr().err == f"{option} must be a folder {what}, got {tmp_path / 'file'}\n"
    (tmp_path / "runs/figure_09a").write_text("")
    for runs, wrong in (("file", "file"), ("runs", "runs/figure_09a")):
        places = ["--runs", str(tmp_path / runs), "--docs", str(tmp_path / "docs")]
        assert command_line.main(["--only", "9a", *places]) == 2
        told = f"--runs must lead to folders that can be written to, got {tmp_path / wrong}\n"
        assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("key", "allowed"),
    [("replications", "2 to 1,000,000"), ("iterations", "1 to 10,000,000"), ("workers", "1 to 10,000")],
)
def test_numbers_that_will_not_do_are_told_of_before_anything_is_made(tmp_path, capsys, key, allowed):
    least, most = (int(number.replace(",", "")) for number in allowed.split(" to "))
    for number in (least - 1, most + 1):
        with pytest.raises(SystemExit) as stop:
            command_line.main(["--only", "03a", "--runs", str(tmp_path / "runs"), f"--{key}", str(number)])
        assert stop.value.code == 2
        told = f"argument --{key}: must be a whole number from {allowed}, got {number} (see"
        err = capsys.readouterr().err
        assert told in err
        assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["5"], ["05"]),
        (["05"], ["05"]),
        (["7A", "7b"], ["07a", "07b"]),
        (["7"], ["07a", "07b", "07c", "07d"]),
        (["10b,3a"], ["03a", "10b"]),
        (["figure_08"], ["08"]),
        (["scenarios/paper/figure_08.yaml"], ["08"]),
        (["theorem 1 torus"], ["theorem_1_torus"]),
        (["Bethe_root"], ["bethe_root"]),
        (["why"], ["why_delay", "why_late", "why_leaves", "why_ties"]),
    ],
)
def test_figures_are_named_as_one_would(words, names):
    assert chosen(scenarios(ROOT / "scenarios" / "paper"), words) == names


@pytest.mark.parametrize("word", ["1", "11", "b", "7e", ""])
def test_a_word_that_is_no_figure_is_refused_with_all_that_are(word):
    names = list(scenarios(ROOT / "scenarios" / "paper"))
    with pytest.raises(InputError, match=r"^--only must name figures, 3a, .*7d, .*why_ties; got") as refused:
        chosen(names, [word])
    assert "..." not in str(refused.value)


def test_progress_is_told_from_the_beginning(tmp_path, capsys, monkeypatch):
    small(
        tmp_path / "scenarios", "03a", "topology: {kind: cycle, nodes: 9}\ndelta_t: [1, 5]\ndispatchers: [JSQ, RND]\n"
    )
    monkeypatch.setattr("emulator.report.SECONDS_BETWEEN_LINES", 0.0)
    made_in(tmp_path, "--only", "3a", "--replications", "2", "--workers", "1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "figure_03a: emulating, 1 of 1"
    assert re.fullmatch(r"\d% done, \d+ s elapsed(, about \d+ s left)?", lines[1])
    assert lines[-2].startswith("100% done")
    made_in(tmp_path, "--only", "3a", "--replications", "2", "--quiet")
    assert "% done" not in capsys.readouterr().err


def test_a_page_of_some_figures_does_not_take_the_place_of_the_shipped_one(tmp_path):
    few = ["--only", "03a", "--replications", "2", "--engine", "compiled", "--runs", str(tmp_path / "runs")]
    shipped = (ROOT / "docs/paper.md").read_bytes()
    assert command_line.main(few) == 0
    assert (ROOT / "docs/paper.md").read_bytes() == shipped
    assert "Figure 3a" in (tmp_path / "runs/paper.md").read_text(encoding="utf-8")


TRAINING = """\
topology: {kind: torus, side: 3}
delta_t: 5
dispatchers: [RND]
training: {algorithm: [MF-R, MF-RNN]}
plot: {kind: learning_curve}
"""


def test_without_torch_figures_of_trainings_are_left_out(tmp_path, capsys, monkeypatch):
    small(tmp_path / "scenarios", "09a", TRAINING)
    small(tmp_path / "scenarios", "03a", "topology: {kind: cycle, nodes: 5}\ndelta_t: 5\ndispatchers: [JSQ]\n")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    made, missing = made_in(tmp_path, "--engine", "simpy", "--replications", "2")
    assert list(made) == ["03a"]
    assert missing == ["Not here: 9a, whose trainings need torch, which was not installed."]
    assert "figure_09a: left out, as trainings need torch, which is not installed\n" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_is_made_by_one_command(tmp_path):
    pytest.importorskip("torch")
    arguments = ["--replications", "3", "--iterations", "1", "--engine", "compiled"]
    assert command_line.main([*arguments, "--runs", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs")]) == 0
    written = (tmp_path / "docs/paper.md").read_text(encoding="utf-8")
    names = {path.stem for path in (tmp_path / "docs/paper").glob("*.png")}
    assert names == {stem_of(name) for name in scenarios(ROOT / "scenarios" / "paper")}
    for name in names:
        assert f"(paper/{name}.png)" in written
    rows = [line for line in written.splitlines() if line.endswith(("| yes |", "| **no** |"))]
    checks = [check for some in GROUPS.values() for check in some]
    assert len(rows) == len(checks) + 2  # two more of figure 8 and of the root
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4
        assert all(cells)
    assert f"Of {len(rows)} claims" in written
    assert written.count("### ") > len(names)
