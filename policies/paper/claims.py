"""What the paper claims in section 3 of each figure, held against what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from policies.paper.figure import Claim, Figure, Interval, chance, each, listed, quotient

LIKE = 5.0
"""Percent by which means may differ that the paper calls similar, comparable or coinciding."""

NEAR = 25.0
"""Percent of the way from JSQ's drops to RND's up to which MF-R is called close to JSQ."""

MIDDLE = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
"""The values of delta_t in between."""

LATE = (8.0, 9.0, 10.0)
"""The higher values of delta_t."""


# "Simulator analysis": figures 3a and 3b.


def jsq_levels_off(figure: Figure) -> Claim:
    """JSQ's drops grow with delta_t, ever more slowly."""
    drops = {delta_t: part.mean("JSQ") for delta_t, part in figure.by("delta_t")}
    early, late = drops[4.0] - drops[1.0], drops[10.0] - drops[7.0]
    told = each({delta_t: drops[delta_t] for delta_t in (1.0, 4.0, 7.0, 10.0)}, "{:.2f}")
    holds = 0.0 < late < early / 2.0
    return Claim("JSQ's drops grow with delta_t and level off", figure.name, told, holds)


def sizes_are_alike(trainings: Figure) -> Claim:
    """Networks of four sizes learn equally well."""
    last = _last(trainings.rows, 0.1)
    drops = last.groupby("training.hidden", sort=False)["drops"].mean()
    told = ", ".join(f"{-mean:.3f} with {str(size).strip('[]')}" for size, mean in drops.items())
    spread = 100.0 * (quotient(float(drops.max()), float(drops.min())) - 1.0)
    measured = f"return in the last tenth of the iterations {told}: {spread:.1f} % apart"
    return Claim("Networks of four sizes perform alike", trainings.name, measured, bool(spread < LIKE), "sizes")


def _last(rows: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return the last iterations of trainings, a share of those that all of them have."""
    keys = [key for key in rows.columns if key.startswith("training.")]
    count = int(rows.groupby(keys)["iteration"].max().min())
    return rows[rows["iteration"].between(count - max(1, round(count * share)) + 1, count)]


# "Comparison to SAC": figures 4a and 4b.


def sac_takes_longer(trainings: Figure) -> Claim:
    """The larger the ring, the longer SAC takes to converge."""
    seconds = {nodes: float(part.rows["converged_seconds"].iloc[0]) for nodes, part in trainings.by("nodes")}
    values = list(seconds.values())
    measured = f"{each(seconds, '{:.2f} s')}: {values[-1] / values[0]:.0f} times as long"
    text = "SAC's training takes longer to converge, the more agents there are"
    return Claim(text, trainings.name, measured, all(x < y for x, y in pairwise(values)))


def sac_is_behind(figure: Figure) -> Claim:
    """SAC is worse than MF-R at every number of agents."""
    gaps = {nodes: part.difference("SAC", "MF-R") for nodes, part in figure.by("nodes")}
    measured = "SAC less MF-R " + each(gaps, "{}")
    text = "SAC is worse than MF-R for every N from 5 to 101"
    return Claim(text, figure.name, measured, all(gap.low > 0.0 for gap in gaps.values()))


def sac_improves(figure: Figure) -> Claim:
    """SAC gets better as the number of agents rises."""
    drops = {nodes: part.drops("SAC") for nodes, part in figure.by("nodes")}
    change = Interval.of((drops[101.0] - drops[5.0]).dropna())
    means = each({nodes: part.mean() for nodes, part in drops.items()}, "{:.2f}")
    text = "SAC gets better as the number of agents rises"
    return Claim(text, figure.name, f"{means}; 101 agents less 5 {change}", change.high < 0.0, "sac")


def sac_is_suboptimal(figure: Figure) -> Claim:
    """SAC stays behind what needs no learning."""
    gaps = {
        other: {nodes: part.difference("SAC", other) for nodes, part in figure.by("nodes")}
        for other in ("RND", "OWN", "JSQ")
    }
    measured = "; ".join(
        f"SAC less {other} {each({nodes: gap.mean for nodes, gap in some.items()})}" for other, some in gaps.items()
    )
    holds = all(gap.low > 0.0 for other in ("RND", "OWN") for gap in gaps[other].values())
    return Claim("SAC stays suboptimal: behind RND and OWN, too", figure.name, measured, holds)


# "Finite system performance": figures 5 and 6.


def jsq_is_best_on_cycles(figure: Figure) -> Claim:
    """At delta_t 1 JSQ is best on cycles of all sizes."""
    sizes = dict(figure.at(delta_t=1.0).by("nodes"))
    best = sum(part.is_best("JSQ") for part in sizes.values())
    gaps = each({nodes: part.difference("JSQ", "MF-R").mean for nodes, part in sizes.items()})
    measured = f"best at {best} of {len(sizes)} sizes; JSQ less MF-R {gaps}"
    return Claim("JSQ is best at delta_t 1 on cycles of all sizes", figure.name, measured, best == len(sizes), "ties")


def is_near_jsq_on_cycles(figure: Figure) -> Claim:
    """At delta_t 1 MF-R is close to JSQ on cycles of all sizes."""
    sizes = dict(figure.at(delta_t=1.0).by("nodes"))
    ways = {nodes: _way(part) for nodes, part in sizes.items()}
    more = each({nodes: part.percent("MF-R", "JSQ") for nodes, part in sizes.items()}, "{:+.0f}")
    measured = f"drops beyond JSQ's, in percent, {more}; in percent of the way to RND {each(ways, '{:.0f}')}"
    return Claim("MF-R is very close to JSQ there", figure.name, measured, max(map(abs, ways.values())) < NEAR)


def _way(part: Figure) -> float:
    """Return how far MF-R is on the way from JSQ to RND, in percent; 0 where it has JSQ's drops."""
    beyond = part.mean("MF-R") - part.mean("JSQ")
    return 100.0 * quotient(beyond, abs(part.mean("RND") - part.mean("JSQ"))) if beyond else 0.0


def is_best_between_on_cycles(figure: Figure) -> Claim:
    """MF-R is better than the paper's heuristics at delta_t 3, 5 and 7 on cycles of all sizes."""
    cases = [(n, x, at) for n, part in figure.by("nodes") for x, at in part.by("delta_t") if x in (3.0, 5.0, 7.0)]
    beaten = [f"{x:g} with {n:,g} nodes" for n, x, at in cases if not at.is_ahead("MF-R", ("JSQ", "RND", "OWN"))]
    alone = sum(at.is_best("MF-R") for *_, at in cases)
    measured = f"ahead of them in {len(cases) - len(beaten)} of {len(cases)} cases"
    measured += f" (not at {', '.join(beaten)})" if beaten else ""
    measured += f", in {alone} of NA-PS, too"
    return Claim(
        "MF-R is ahead of JSQ, RND and OWN at delta_t 3, 5 and 7 at all sizes", figure.name, measured, not beaten
    )


def approaches_random_on_cycles(figure: Figure) -> Claim:
    """MF-R's lead over RND shrinks as delta_t grows to 10, on cycles of all sizes."""
    shrinks = [_shrinking(part).low > 0.0 for _, part in figure.by("nodes")]
    largest = [part for _, part in figure.by("nodes")][-1]
    lead = each({delta_t: -part.percent("MF-R", "RND") for delta_t, part in largest.by("delta_t")}, "{:.1f}")
    measured = f"less ahead at 10 than at 5 at {sum(shrinks)} of {len(shrinks)} sizes; in percent, largest, {lead}"
    return Claim("MF-R approaches RND as delta_t grows to 10", figure.name, measured, all(shrinks))


def _shrinking(figure: Figure) -> Interval:
    """Return by how much more MF-R is ahead of RND at delta_t 5 than at 10."""
    early, late = (figure.at(delta_t=delta_t) for delta_t in (5.0, 10.0))
    leads = [part.drops("RND") - part.drops("MF-R") for part in (early, late)]
    return Interval.of((leads[0] - leads[1]).dropna())


def sharing_is_similar(figure: Figure) -> Claim:
    """NA-PS is similar to MF-R at every delta_t, in the mean of the sizes."""
    more = {x: [at.percent("NA-PS", "MF-R") for _, at in part.by("nodes")] for x, part in figure.by("delta_t")}
    means = {x: sum(some) / len(some) for x, some in more.items()}
    every = [percent for some in more.values() for percent in some]
    measured = (
        f"drops beyond MF-R's, in percent, mean of the sizes, {each(means, '{:+.1f}')}; "
        f"in single cases {min(every):+.1f} to {max(every):+.1f}"
    )
    holds = all(abs(percent) < LIKE for percent in means.values())
    return Claim("NA-PS is similar to MF-R", figure.name, measured, holds, "selfishness")


def sharing_is_never_better(figure: Figure) -> Claim:
    """NA-PS is never better than MF-R, not even on small cycles."""
    cases = [at for _, part in figure.by("nodes") for _, at in part.by("delta_t")]
    gaps = [at.difference("NA-PS", "MF-R") for at in cases]
    behind, ahead = sum(gap.low > 0.0 for gap in gaps), sum(gap.high < 0.0 for gap in gaps)
    measured = f"MF-R is ahead in {behind} of {len(cases)} cases, NA-PS in {ahead}"
    text = "NA-PS is never better than MF-R, not even on small cycles"
    return Claim(text, figure.name, measured, ahead <= chance(len(cases), 0.025), "sharing")


def drops_converge(figure: Figure) -> Claim:
    """The drops of MF-R converge as the cycle grows."""
    drops = {nodes: part.drops("MF-R") for nodes, part in figure.by("nodes")}
    means = {nodes: float(some.mean()) for nodes, some in drops.items()}
    gap = Interval.of((drops[1001.0] - drops[5001.0]).dropna())
    measured = f"{each(means, '{:.3f}')}; 1,001 nodes less 5,001 {gap}"
    holds = abs(gap.mean) < 0.01 * means[5001.0] < abs(means[5.0] - means[5001.0])
    return Claim("MF-R's drops converge as the cycle grows", figure.name, measured, holds)


def training_is_reached(figure: Figure) -> Claim:
    """They converge to the drops on the 101 nodes of the training; those are on other paths of arrival rates."""
    level = figure.level
    assert level is not None
    own = Interval.of(figure.at(nodes=5001.0).drops("MF-R"))
    gap = _unpaired(own, Interval(*level))
    measured = f"{own.mean:.3f} at 5,001 less {level.value:.3f}: {gap}, not paired"
    text = "They approach the drops in training on 101 nodes"
    return Claim(text, figure.name, measured, abs(gap.mean) <= gap.width)


def _unpaired(one: Interval, other: Interval) -> Interval:
    """Return a difference that is not paired; without an interval where neither has one."""
    gap, width = one.mean - other.mean, math.hypot(one.width, other.width)
    return Interval(gap, gap - width, gap + width) if width else Interval(gap, math.nan, math.nan)


# "Performance in large systems": figures 7a to 7d.


def jsq_is_best(figure: Figure) -> Claim:
    """At delta_t 1 JSQ is best."""
    part = figure.at(delta_t=1.0)
    measured = f"JSQ less MF-R {part.difference('JSQ', 'MF-R')}"
    return Claim(f"JSQ is best at delta_t 1 on the {figure.place}", figure.name, measured, part.is_best("JSQ"), "ties")


def is_near_jsq(figure: Figure) -> Claim:
    """At delta_t 1 MF-R is close to JSQ."""
    part = figure.at(delta_t=1.0)
    way = _way(part)
    measured = f"{part.percent('MF-R', 'JSQ'):+.0f} % drops, {way:.0f} % of the way to RND"
    return Claim(f"MF-R is very close to JSQ there on the {figure.place}", figure.name, measured, abs(way) < NEAR)


def is_best_between(figure: Figure) -> Claim:
    """MF-R is best for delta_t from 2 to 7."""
    best = [delta_t for delta_t, part in figure.by("delta_t") if part.is_best("MF-R")]
    text = f"MF-R is best for delta_t 2 to 7 on the {figure.place}"
    return Claim(text, figure.name, f"best at {listed(best)}", set(MIDDLE) <= set(best))


def approaches_random(figure: Figure) -> Claim:
    """MF-R's lead over RND shrinks as delta_t grows."""
    gaps = {delta_t: figure.at(delta_t=delta_t).difference("RND", "MF-R") for delta_t in (5.0, 10.0)}
    text = f"MF-R approaches RND as delta_t grows on the {figure.place}"
    return Claim(text, figure.name, f"RND less MF-R {each(gaps, '{}')}", _shrinking(figure).low > 0.0)


def coincides_late(figure: Figure) -> Claim:
    """MF-R coincides with RND for delta_t 8 to 10."""
    lead = {x: -figure.at(delta_t=x).percent("MF-R", "RND") for x in (5.0, *LATE)}
    text = f"MF-R coincides with RND for delta_t 8 to 10 on the {figure.place}"
    measured = f"MF-R is ahead, in percent, {each(lead, '{:.1f}')}"
    return Claim(text, figure.name, measured, all(abs(lead[x]) < LIKE for x in LATE), "late")


def random_is_own(figure: Figure) -> Claim:
    """On regular graphs RND and OWN have the same drops on average; also on the cycles of figure 5."""
    gaps = [at.difference("RND", "OWN") for _, part in figure.by("nodes") for _, at in part.by("delta_t")]
    missed = sum(not gap.low <= 0.0 <= gap.high for gap in gaps)
    widest = max(gaps, key=lambda gap: abs(gap.mean))
    measured = f"0 is in {len(gaps) - missed} of {len(gaps)} intervals of the difference; largest {widest}"
    return Claim(f"RND and OWN are equal on the {figure.place}", figure.name, measured, missed <= chance(len(gaps)))


def own_is_ahead(figure: Figure) -> Claim:
    """Where degrees differ, RND and OWN do too, and OWN is ahead."""
    part = figure.at(delta_t=5.0)
    measured = f"RND less OWN at 5 {part.difference('RND', 'OWN')}, {part.percent('RND', 'OWN'):.0f} %"
    holds = all(at.difference("RND", "OWN").low > 0.0 for _, at in figure.by("delta_t"))
    return Claim(f"RND and OWN differ on the {figure.place}, OWN is ahead", figure.name, measured, holds)


# "Ablation on topological assumptions": figure 8.


def own_is_further_ahead(model: Figure, bethe: Figure) -> Claim:
    """On the Bethe lattice OWN is further ahead of RND than on the configuration model."""
    there, here = ({x: at.percent("RND", "OWN") for x, at in figure.by("delta_t")} for figure in (model, bethe))
    measured = f"RND has {here[5.0]:.0f} % more drops than OWN at 5, there {there[5.0]:.0f} %"
    text = "It is further ahead than on the configuration model"
    return Claim(text, bethe.name, measured, all(here[delta_t] > there[delta_t] for delta_t in here))


def jsq_is_outperformed(figure: Figure) -> Claim:
    """On the Bethe lattice JSQ is good at small delta_t and quickly outperformed by MF-R."""
    gaps = {delta_t: part.difference("JSQ", "MF-R") for delta_t, part in figure.by("delta_t")}
    behind = [delta_t for delta_t, gap in gaps.items() if gap.low > 0.0]
    measured = f"behind MF-R at {listed(behind)}; JSQ less MF-R {each({x: gaps[x] for x in (1.0, 2.0, 3.0)}, '{}')}"
    holds = gaps[1.0].high < 0.0 and all(delta_t in behind for delta_t in gaps if delta_t >= 3.0)
    text = "JSQ is good at small delta_t and quickly outperformed by MF-R"
    return Claim(text, figure.name, measured, holds, "ties")


def is_best_at_three(figure: Figure) -> Claim:
    """MF-R outperforms the others in certain regimes, such as delta_t 3."""
    best = [delta_t for delta_t, part in figure.by("delta_t") if part.is_best("MF-R")]
    gap = figure.at(delta_t=3.0).difference("OWN", "MF-R")
    measured = f"best at {listed(best)}; OWN less MF-R at 3 {gap}"
    return Claim("MF-R is best in certain regimes, such as at delta_t 3", figure.name, measured, 3.0 in best)


def falls_behind(figure: Figure) -> Iterator[Claim]:
    """MF-R eventually does worse than OWN and, as the caption has it, can be worse than RND."""
    for other, text in (("OWN", "MF-R eventually does worse than OWN"), ("RND", "MF-R can be worse than RND")):
        gaps = {delta_t: part.difference("MF-R", other) for delta_t, part in figure.by("delta_t")}
        worse = [delta_t for delta_t, gap in gaps.items() if gap.low > 0.0]
        measured = f"worse at {listed(worse)}; MF-R less {other} {each({x: gaps[x] for x in (5.0, 10.0)}, '{}')}"
        yield Claim(text, figure.name, measured, bool(worse), "leaves")


# "RNNs and decentralized execution": figures 9a and 9b.


def recurrence_gives_nothing(trainings: Figure) -> Claim:
    """A recurrent policy learns hardly better than a plain one."""
    last = _last(trainings.rows, 0.25).set_index("iteration")
    plain, recurrent = (last[last["algorithm"] == name]["drops"] for name in ("MF-R", "MF-RNN"))
    percent = 100.0 * (1.0 - quotient(float(recurrent.mean()), float(plain.mean())))
    gap = _unpaired(Interval.of(plain), Interval.of(recurrent))
    scatter = f"; the returns of single iterations scatter by {plain.std():.2f}" if len(plain) > 1 else ""
    measured = (
        f"return {-plain.mean():.3f} without, {-recurrent.mean():.3f} with over iterations {last.index.min()} to "
        f"{last.index.max()}: a gain of {percent:.1f} %, {gap}, not paired{scatter}"
    )
    return Claim("The effect of recurrent policies is negligible", trainings.name, measured, bool(abs(percent) < LIKE))


def observations_are_alike(figure: Figure) -> Claim:
    """One policy does alike on the own queue, the neighbours' queues and all queues."""
    more = {x: [part.percent(name, "MF-R") for name in ("MF-N", "MF-G")] for x, part in figure.by("delta_t")}
    told = each({x: "/".join(f"{percent:+.1f}" for percent in some) for x, some in more.items()}, "{}")
    text = "One policy does alike on the own queue (MF-R), the accessible ones (MF-N) and all (MF-G)"
    holds = all(abs(percent) < LIKE for some in more.values() for percent in some)
    return Claim(text, figure.name, f"drops of MF-N/MF-G beyond MF-R's, in percent, {told}", holds, "observation")


# "Increased buffer size" and "Heterogenous servers": figures 10a and 10b.


def is_best_with_large_buffers(figure: Figure) -> Claim:
    """With buffers of 20 and full load MF-R is best at delta_t 5."""
    measured = "; ".join(
        f"{name} less MF-R {figure.difference(name, 'MF-R')}, {figure.percent(name, 'MF-R'):+.0f} %"
        for name in figure.dispatchers
        if name != "MF-R"
    )
    return Claim("MF-R is best with buffers of 20 at delta_t 5", figure.name, measured, figure.is_best("MF-R"))


def expected_delay_is_best(figure: Figure) -> Claim:
    """With unequal servers SED is best."""
    best = [delta_t for delta_t, part in figure.by("delta_t") if part.is_best("SED")]
    orders = {x: " < ".join(sorted(part.dispatchers, key=part.mean)) for x, part in figure.by("delta_t")}
    told = "; ".join(f"{delta_t:g}: {order}" for delta_t, order in orders.items())
    measured = f"best at {listed(best)}; drops at {told}"
    return Claim("SED is best with unequal servers", figure.name, measured, len(best) == len(orders), "delay")


def is_comparable(figure: Figure) -> Claim:
    """With unequal servers MF-R is comparable to RND and OWN."""
    lead = {x: [-part.percent("MF-R", name) for name in ("RND", "OWN")] for x, part in figure.by("delta_t")}
    told = each({x: "/".join(f"{percent:.1f}" for percent in some) for x, some in lead.items()}, "{}")
    holds = all(abs(percent) < LIKE for some in lead.values() for percent in some)
    measured = f"MF-R is ahead of RND/OWN, in percent, {told}"
    return Claim("MF-R is comparable to RND and OWN there", figure.name, measured, holds, "slow")


def outperforms_jsq(figure: Figure) -> Claim:
    """With unequal servers MF-R outperforms JSQ."""
    gaps = {delta_t: part.difference("JSQ", "MF-R") for delta_t, part in figure.by("delta_t")}
    measured = "JSQ less MF-R " + each(gaps, "{}")
    return Claim("MF-R outperforms JSQ there", figure.name, measured, all(x.low > 0.0 for x in gaps.values()), "delay")
