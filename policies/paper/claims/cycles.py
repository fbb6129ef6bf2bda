"""Claims on cycles of several sizes: figures 5 and 6."""

from __future__ import annotations

from policies.paper.figure import Claim, Figure, paired_percent, shorts, widest
from policies.paper.interval import Interval, chance, pooled, unpaired
from policies.paper.verdict import EQUAL, Verdict, all_of, is_above, is_below, is_within

BETWEEN = (3.0, 5.0, 7.0)
"""The values of delta_t in between that figure 5 has."""

HEURISTICS = ("JSQ", "RND", "OWN")
"""What the paper compares with and nobody learns."""


def jsq_is_best(figure: Figure) -> Claim:
    """At delta_t 1 JSQ is best on cycles of all sizes."""
    best = [part.is_best("JSQ") for _, part in figure.at(delta_t=1.0).by("nodes")]
    gaps = shorts(figure.at(delta_t=1.0).gaps("JSQ", "MF-R", "nodes"))
    measured = f"best at {best.count(Verdict.YES)} of {len(best)} sizes; drops beyond MF-R's, in percent, {gaps}"
    return Claim("JSQ is best at delta_t 1 on cycles of all sizes", figure.name, measured, all_of(best), "ties")


def is_near_jsq(figure: Figure) -> Claim:
    """At delta_t 1 MF-R is very close to JSQ on cycles of all sizes."""
    gaps = figure.at(delta_t=1.0).gaps("MF-R", "JSQ", "nodes")
    measured = f"drops beyond JSQ's, in percent, {shorts(gaps)}"
    verdict = all_of(map(is_within, gaps.values()))
    return Claim("MF-R is very close to JSQ there", figure.name, measured, verdict, "near", widest(gaps.values()))


def is_best_between(figure: Figure) -> Claim:
    """MF-R is better than the paper's heuristics at delta_t 3, 5 and 7 on cycles of all sizes."""
    middle = {x: part for x, part in figure.by("delta_t") if x in BETWEEN}
    verdicts = {(x, n): at.is_ahead("MF-R", HEURISTICS) for x, part in middle.items() for n, at in part.by("nodes")}
    others = {
        verdict: ", ".join(f"{x:g} with {n:,g} nodes" for (x, n), found in verdicts.items() if found is verdict)
        for verdict in (Verdict.NO, Verdict.UNDECIDED)
    }
    measured = f"ahead of them in {list(verdicts.values()).count(Verdict.YES)} of {len(verdicts)} cases"
    measured += "".join(f"; {verdict.value.strip('*')} at {cases}" for verdict, cases in others.items() if cases)
    largest = {x: next(reversed(dict(part.by("nodes")).values())) for x, part in middle.items()}
    gaps = {x: part.percent("MF-R", part.best(HEURISTICS)) for x, part in largest.items()}
    measured += f"; drops beyond those of the best of the three, in percent, on the largest {shorts(gaps)}"
    text = "MF-R is ahead of JSQ, RND and OWN at delta_t 3, 5 and 7 at all sizes"
    return Claim(text, figure.name, measured, all_of(verdicts.values()), "between")


def approaches_random(figure: Figure) -> Claim:
    """MF-R's lead over RND shrinks as delta_t grows to 10, on cycles of all sizes."""
    sizes = [part for _, part in figure.by("nodes")]
    verdicts = [is_above(shrinking(part)) for part in sizes]
    measured = (
        f"less ahead at 10 than at 5 at {verdicts.count(Verdict.YES)} of {len(verdicts)} sizes; drops beyond RND's, "
        f"in percent, on the largest {shorts(sizes[-1].gaps('MF-R', 'RND'))}"
    )
    return Claim("MF-R approaches RND as delta_t grows to 10", figure.name, measured, all_of(verdicts), "between")


def shrinking(figure: Figure) -> Interval:
    """Return by how many points of a percent more MF-R is ahead of RND at delta_t 5 than, on other arrivals, at 10."""
    early, late = (figure.at(delta_t=delta_t).percent("MF-R", "RND") for delta_t in (5.0, 10.0))
    return unpaired(late, early)


def sharing_is_similar(figure: Figure) -> Claim:
    """NA-PS is similar to MF-R at every delta_t, in the mean of the sizes."""
    gaps = {x: list(part.gaps("NA-PS", "MF-R", "nodes").values()) for x, part in figure.by("delta_t")}
    # Sizes share the paths of arrival rates: their errors are not independent, and their widths are not divided.
    means = {
        x: Interval.around(sum(gap.mean for gap in some) / len(some), sum(gap.width for gap in some) / len(some))
        for x, some in gaps.items()
    }
    singles = [gap.mean for some in gaps.values() for gap in some]
    measured = (
        f"drops beyond MF-R's, in percent, mean of the sizes, {shorts(means)}; in single cases {min(singles):+.1f} to "
        f"{max(singles):+.1f}"
    )
    verdict = all_of(map(is_within, means.values()))
    return Claim("NA-PS is similar to MF-R", figure.name, measured, verdict, "selfishness", widest(means.values()))


def sharing_is_never_better(figure: Figure) -> Claim:
    """NA-PS is never better than MF-R, not even on small cycles."""
    gaps = [gap for _, part in figure.by("nodes") for gap in part.gaps("NA-PS", "MF-R").values()]
    leads = [is_below(gap) for gap in gaps]
    best = min(gaps, key=lambda gap: gap.mean)
    large = sum(gap.high < -EQUAL for gap in gaps)
    measured = (
        f"MF-R is ahead in {sum(gap.low > 0.0 for gap in gaps)} of {len(gaps)} cases, NA-PS in "
        f"{leads.count(Verdict.YES)}, in {large} by more than {EQUAL:g} %; at best {best.short} %"
    )
    possible = leads.count(Verdict.UNDECIDED)
    measured += f"; in {possible} it may be by {EQUAL:g} % or more" if possible else ""
    if large > chance(len(gaps), 0.025):
        verdict = Verdict.NO
    else:
        verdict = Verdict.YES if all(gap.low > -EQUAL for gap in gaps) else Verdict.UNDECIDED
    text = "NA-PS is never better than MF-R, not even on small cycles"
    return Claim(text, figure.name, measured, verdict, "sharing")


def random_is_own(figure: Figure) -> Claim:
    """On regular graphs RND and OWN have the same drops on average; also on the cycles of figure 5."""
    gaps = [gap for _, part in figure.by("nodes") for gap in part.gaps("RND", "OWN").values()]
    missed = sum(not gap.low <= 0.0 <= gap.high for gap in gaps)
    together = pooled(gaps)
    measured = (
        f"RND beyond OWN, in percent, all cases together {together.short}, single ones "
        f"{min(gap.mean for gap in gaps):+.2f} to {max(gap.mean for gap in gaps):+.2f}; 0 is in {len(gaps) - missed} "
        f"of {len(gaps)} intervals"
    )
    verdict = is_within(together, EQUAL) if missed <= chance(len(gaps)) else Verdict.NO
    text = f"RND and OWN are equal on the {figure.place}"
    return Claim(text, figure.name, measured, verdict, "", together.seen)


def drops_converge(figure: Figure) -> Claim:
    """The drops of MF-R converge as the cycle grows."""
    drops = {nodes: part.drops("MF-R") for nodes, part in figure.by("nodes")}
    largest = max(drops)
    gaps = {nodes: paired_percent(some, drops[largest]) for nodes, some in drops.items() if nodes < largest}
    measured = f"drops beyond those with {largest:,g} nodes, in percent, {shorts(gaps)}"
    last, text = gaps[1001.0], "MF-R's drops converge as the cycle grows"
    return Claim(text, figure.name, measured, is_within(last, EQUAL), "", last.seen)


def training_is_reached(figure: Figure) -> Claim:
    """They approach the drops on the 101 nodes of the training."""
    drops = {nodes: part.drops("MF-R") for nodes, part in figure.by("nodes")}
    largest = max(drops)
    gap = paired_percent(drops[largest], drops[101.0])
    measured = f"{drops[largest].mean():.3f} at {largest:,g}, {drops[101.0].mean():.3f} at 101: in percent {gap.short}"
    text = "They approach the drops on the 101 nodes of the training"
    return Claim(text, figure.name, measured, is_within(gap), "", gap.seen)
