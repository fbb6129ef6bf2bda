"""Claims on large systems: figures 3a, 7a to 7d, 8, 9b, 10a and 10b."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from policies.paper.claims.cycles import HEURISTICS, shrinking
from policies.paper.figure import Claim, Figure, all_above, each, listed, shorts, widest
from policies.paper.interval import Interval, quotient, unpaired
from policies.paper.verdict import Verdict, all_of, any_of, is_above, is_below, is_within

MIDDLE = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
"""The values of delta_t in between."""

LATE = (8.0, 9.0, 10.0)
"""The higher values of delta_t."""

SMALL, LARGE = (1.0, 2.0, 3.0), (5.0, 8.0, 10.0)
"""Values of delta_t that are told of where all would be too many."""


def _some(gaps: dict[float, Interval], wanted: tuple[float, ...]) -> str:
    return shorts({delta_t: gaps[delta_t] for delta_t in wanted if delta_t in gaps})


def _where(verdicts: Mapping[float, Verdict]) -> str:
    return listed(x for x, verdict in verdicts.items() if verdict is Verdict.YES)


def _growth(figure: Figure, wanted: Sequence[float]) -> dict[float, Interval]:
    """Return by how many percent JSQ's drops at each delta_t are beyond those at the value before."""
    means = {delta_t: Interval.of(figure.at(delta_t=delta_t).drops("JSQ")) for delta_t in wanted}
    growth = {}
    for (_, before), (delta_t, mean) in pairwise(means.items()):
        beyond = 100.0 * (quotient(mean.mean, before.mean) - 1.0)
        width = 100.0 * quotient(unpaired(mean, before).width, before.mean) if before.mean else 0.0
        growth[delta_t] = Interval.around(beyond, width)
    return growth


def jsq_levels_off(figure: Figure, longer: Figure) -> Claim:
    """JSQ's drops grow with delta_t, until they hardly do so any more."""
    drops, later = ({x: part.mean("JSQ") for x, part in some.by("delta_t")} for some in (figure, longer))
    before, last = list(later)[-2:]
    growth = _growth(longer, list(later))
    measured = (
        f"over 50 ms {each({x: drops[x] for x in (1.0, 4.0, 7.0, 10.0)}, '{:.2f}')}, where it still grows; over 500 ms "
        f"{each(later, '{:.2f}')}: in percent {growth[last].short} from {before:g} to {last:g}"
    )
    text = "JSQ's drops grow with delta_t and level off"
    return Claim(text, figure.name, measured, is_within(growth[last]), "levels", growth[last].seen)


def jsq_deteriorates(figure: Figure) -> Claim:
    """JSQ gets worse as delta_t grows."""
    growth = _growth(figure, (1.0, 4.0, 7.0, 10.0))
    measured = f"drops beyond those at the value before of 1, 4, 7 and 10, in percent, {shorts(growth)}"
    text = f"JSQ gets worse as delta_t grows on the {figure.place}"
    return Claim(text, figure.name, measured, all_above(growth))


def jsq_is_best(figure: Figure) -> Claim:
    """At delta_t 1 JSQ is best."""
    part = figure.at(delta_t=1.0)
    measured = f"drops beyond MF-R's, in percent, {part.percent('JSQ', 'MF-R').short}"
    text = f"JSQ is best at delta_t 1 on the {figure.place}"
    return Claim(text, figure.name, measured, part.is_best("JSQ"), "ties")


def is_near_jsq(figure: Figure) -> Claim:
    """At delta_t 1 MF-R is very close to JSQ."""
    gap = figure.at(delta_t=1.0).percent("MF-R", "JSQ")
    measured = f"drops beyond JSQ's, in percent, {gap.short}"
    text = f"MF-R is very close to JSQ there on the {figure.place}"
    return Claim(text, figure.name, measured, is_within(gap), "near", gap.seen)


def is_best_between(figure: Figure) -> Claim:
    """MF-R is best for delta_t from 2 to 7."""
    verdicts = {delta_t: part.is_best("MF-R") for delta_t, part in figure.by("delta_t")}
    gaps = {x: part.percent("MF-R", part.best(HEURISTICS)) for x, part in figure.by("delta_t") if x in MIDDLE}
    measured = f"best at {_where(verdicts)}; drops beyond those of the best of the others, in percent, {shorts(gaps)}"
    text = f"MF-R is best for delta_t 2 to 7 on the {figure.place}"
    return Claim(text, figure.name, measured, all_of(verdicts[x] for x in MIDDLE), "between")


def approaches_random(figure: Figure) -> Claim:
    """MF-R's lead over RND shrinks as delta_t grows."""
    text = f"MF-R approaches RND as delta_t grows on the {figure.place}"
    measured = f"drops beyond RND's, in percent, {_some(figure.gaps('MF-R', 'RND'), (1.0, 3.0, 5.0, 10.0))}"
    return Claim(text, figure.name, measured, is_above(shrinking(figure)), "between")


def coincides_late(figure: Figure) -> Claim:
    """MF-R coincides with RND for delta_t 8 to 10."""
    gaps = {x: figure.at(delta_t=x).percent("MF-R", "RND") for x in LATE}
    text = f"MF-R coincides with RND for delta_t 8 to 10 on the {figure.place}"
    measured = f"drops beyond RND's, in percent, {shorts(gaps)}"
    return Claim(text, figure.name, measured, all_of(map(is_within, gaps.values())), "late", widest(gaps.values()))


def own_is_ahead(figure: Figure) -> Claim:
    """Where degrees differ, RND and OWN do too, and OWN is ahead."""
    gaps = figure.gaps("RND", "OWN")
    measured = f"RND beyond OWN, in percent, {_some(gaps, (1.0, 5.0, 10.0))}"
    text = f"RND and OWN differ on the {figure.place}, OWN is ahead"
    return Claim(text, figure.name, measured, all_above(gaps))


# "Ablation on topological assumptions": figure 8.


def own_is_further_ahead(model: Figure, bethe: Figure) -> Claim:
    """On the Bethe lattice OWN is further ahead of RND than on the configuration model."""
    there, here = (figure.gaps("RND", "OWN") for figure in (model, bethe))
    measured = f"RND beyond OWN, in percent, {here[5.0].short} at 5, there {there[5.0].short}"
    text = "It is further ahead than on the configuration model"
    return Claim(text, bethe.name, measured, all_of(is_above(unpaired(here[x], there[x])) for x in here))


def jsq_is_outperformed(figure: Figure) -> Claim:
    """On the Bethe lattice JSQ is good at small delta_t and quickly outperformed by MF-R."""
    gaps = figure.gaps("JSQ", "MF-R")
    measured = f"JSQ beyond MF-R, in percent, {_some(gaps, SMALL)}"
    verdict = all_of([is_below(gaps[1.0]), *(is_above(gap) for x, gap in gaps.items() if x >= 3.0)])
    text = "JSQ is good at small delta_t and quickly outperformed by MF-R"
    return Claim(text, figure.name, measured, verdict, "ties")


def is_best_at_three(figure: Figure) -> Claim:
    """MF-R outperforms the others in certain regimes, such as delta_t 3."""
    verdicts, part = {x: some.is_best("MF-R") for x, some in figure.by("delta_t")}, figure.at(delta_t=3.0)
    measured = f"best at {_where(verdicts)}; drops beyond OWN's at 3, in percent, {part.percent('MF-R', 'OWN').short}"
    text = "MF-R is best in certain regimes, such as at delta_t 3"
    return Claim(text, figure.name, measured, part.is_best("MF-R"))


def falls_behind(figure: Figure) -> Iterator[Claim]:
    """MF-R eventually does worse than OWN and, as the caption has it, can be worse than RND."""
    for other, text in (("OWN", "MF-R eventually does worse than OWN"), ("RND", "MF-R can be worse than RND")):
        gaps = figure.gaps("MF-R", other)
        verdicts = {delta_t: is_above(gap) for delta_t, gap in gaps.items()}
        measured = f"worse at {_where(verdicts)}; MF-R beyond {other}, in percent, {_some(gaps, LARGE)}"
        yield Claim(text, figure.name, measured, any_of(verdicts.values()), "leaves")


# "RNNs and decentralized execution", "Increased buffer size", "Heterogenous servers": figures 9b, 10a and 10b.


def observations_are_alike(figure: Figure) -> Claim:
    """One policy does alike on the own queue, the neighbours' queues and all queues."""
    gaps = {x: [part.percent(name, "MF-R") for name in ("MF-N", "MF-G")] for x, part in figure.by("delta_t")}
    told = each({x: "/".join(f"{gap.mean:+.1f}" for gap in some) for x, some in gaps.items()}, "{}")
    every = [gap for some in gaps.values() for gap in some]
    measured = f"drops of MF-N/MF-G beyond MF-R's, in percent, {told}, to within {max(g.width for g in every):.1f}"
    text = "One policy does alike on the own queue (MF-R), the accessible ones (MF-N) and all (MF-G)"
    return Claim(text, figure.name, measured, all_of(map(is_within, every)), "observation", widest(every))


def is_best_with_large_buffers(figure: Figure) -> Claim:
    """With buffers of 20 and full load MF-R is best at delta_t 5."""
    gaps = ", ".join(f"{figure.percent('MF-R', name).short} beyond {name}" for name in HEURISTICS)
    text = "MF-R is best with buffers of 20 at delta_t 5"
    return Claim(text, figure.name, f"drops in percent {gaps}", figure.is_ahead("MF-R", HEURISTICS))


def expected_delay_is_best(figure: Figure) -> Claim:
    """With unequal servers SED is best."""
    best = {delta_t: part.is_best("SED") for delta_t, part in figure.by("delta_t")}
    orders = {x: " < ".join(sorted(part.dispatchers, key=part.mean)) for x, part in figure.by("delta_t")}
    told = "; ".join(f"{delta_t:g}: {order}" for delta_t, order in orders.items())
    measured = f"best at {_where(best)}; drops at {told}"
    return Claim("SED is best with unequal servers", figure.name, measured, all_of(best.values()), "delay")


def is_comparable(figure: Figure) -> Claim:
    """With unequal servers MF-R is comparable to RND and OWN."""
    gaps = {other: figure.gaps("MF-R", other) for other in ("RND", "OWN")}
    measured = "; ".join(f"MF-R beyond {other}, in percent, {shorts(some)}" for other, some in gaps.items())
    every = [gap for some in gaps.values() for gap in some.values()]
    text = "MF-R is comparable to RND and OWN there"
    return Claim(text, figure.name, measured, all_of(map(is_within, every)), "slow", widest(every))


def outperforms_jsq(figure: Figure) -> Claim:
    """With unequal servers MF-R outperforms JSQ."""
    gaps = figure.gaps("JSQ", "MF-R")
    measured = f"JSQ beyond MF-R, in percent, {shorts(gaps)}"
    return Claim("MF-R outperforms JSQ there", figure.name, measured, all_above(gaps), "delay")
