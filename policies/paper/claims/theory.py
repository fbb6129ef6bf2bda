"""Claims on the theory: Corollary 1.1, delta_t towards 0 and infinity, the size that is trained on, messages."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from emulator.model.arrivals import Switched
from emulator.model.timetable import Timetable
from emulator.results.measures import REFERENCE_TIME
from policies.paper.figure import Claim, Figure, each, listed, shorts, widest
from policies.paper.interval import Interval
from policies.paper.verdict import EQUAL, LIKE, Verdict, all_of, is_within
from policies.process.epoch_law import evolve


def order_is_the_limits(figure: Figure) -> Claim:
    """Corollary 1.1: what is best in the limit is best in all systems that are large enough."""
    sizes = dict(figure.by("nodes"))
    limit = sizes[max(sizes)]
    order = sorted(limit.dispatchers, key=limit.mean)
    verdicts = {nodes: part.is_ahead(order[0], order[1:]) for nodes, part in sizes.items()}
    from_size = max((nodes for nodes, verdict in verdicts.items() if verdict is not Verdict.YES), default=0.0)
    enough = [nodes for nodes in sizes if nodes > from_size]
    pairs = list(combinations(order, 2))
    turned = {
        nodes: ", ".join(f"{one} and {other}" for one, other in pairs if part.percent(one, other).low > 0.0)
        for nodes, part in sizes.items()
    }
    told = "; ".join(f"with {nodes:,g} nodes {names} have changed places" for nodes, names in turned.items() if names)
    measured = f"with {max(sizes):,g} nodes {' < '.join(order)}; {order[0]} is best with {listed(enough)} nodes"
    measured += f"; {told}" if told else "; no two change places with any other size"
    text = f"Corollary 1.1: what is best in the limit is best in large systems, too, on the {figure.place}"
    return Claim(text, figure.name, measured, Verdict.YES if len(enough) > 1 else Verdict.UNDECIDED)


def jsq_is_best_at_zero(figure: Figure) -> Claim:
    """JSQ is optimal as delta_t goes to 0."""
    values = dict(figure.by("delta_t"))
    others = [name for name in figure.dispatchers if not name.startswith("JSQ")]
    gaps = {delta_t: part.percent("JSQ", part.best(others)) for delta_t, part in values.items()}
    measured = f"drops beyond those of the best of the others, in percent, {shorts(gaps)}"
    verdict = values[min(values)].is_ahead("JSQ", others)
    return Claim("JSQ is best as delta_t goes to 0", figure.name, measured, verdict, "ties")


def random_is_best_at_infinity(figure: Figure) -> Claim:
    """RND is optimal as delta_t goes to infinity."""
    gaps = {delta_t: part.percent("RND", part.best(part.others("RND"))) for delta_t, part in figure.by("delta_t")}
    last = gaps[max(gaps)]
    measured = f"drops beyond those of the best of the others, in percent, {shorts(gaps)}"
    text = "RND is best as delta_t goes to infinity"
    return Claim(text, figure.name, measured, is_within(last, EQUAL), "", last.seen)


def hundred_nodes_suffice(figure: Figure) -> Claim:
    """Some 100 nodes are enough to train on."""
    parts = {str(kind): figure.at(topology=str(kind)) for kind in dict.fromkeys(figure.rows["topology"])}
    gaps = {part.place: part.percent("trained on 100", "trained on 1,000") for part in parts.values()}
    told = ", ".join(f"{gap.short} on the {place}" for place, gap in gaps.items())
    measured = f"drops with a policy of some 100 nodes beyond one of some 1,000, in percent, {told}"
    text = "The number of nodes that was trained on suffices"
    verdict = all_of(is_within(gap, EQUAL) for gap in gaps.values())
    return Claim(text, figure.name, measured, verdict, "", widest(gaps.values()))


def local_rules_send_less(figure: Figure) -> Claim:
    """Rules that know their neighbourhood need fewer messages than ones that know all queues."""
    part = figure.at(delta_t=5.0)
    sums = part.rows.groupby("dispatcher")[["messages", "arrivals"]].sum()
    per_job = (sums["messages"] / sums["arrivals"]).to_dict()
    nodes = int(part.rows["nodes"].iloc[0])
    everyone = per_job["MF-N"] * nodes / 5.0
    measured = (
        f"messages for each job at delta_t 5: {per_job['MF-N']:.2f} with the own server and four neighbours, "
        f"{per_job['MF-G']:.2f} where one place gathers all queues and tells their distribution, {everyone:,.0f} if "
        "every scheduler heard every server"
    )
    verdict = Verdict.YES if per_job["MF-N"] < per_job["MF-G"] else Verdict.NO
    return Claim("Local rules need fewer messages than global ones", figure.name, measured, verdict)


def time_differs(figure: Figure) -> Claim:
    """The same time with another delta_t gives slightly different results, as rates switch after each epoch."""
    exact = {delta_t: exact_drops(delta_t) for delta_t in (1.0, 5.0, 10.0)}
    found = {delta_t: Interval.of(figure.at(delta_t=delta_t).drops("OWN")).text("{:.2f}") for delta_t in exact}
    apart = 100.0 * (max(exact.values()) / min(exact.values()) - 1.0)
    measured = (
        f"OWN, which delta_t is no matter to, has exactly {each(exact, '{:.3f}')}, up to {apart:.1f} % apart; measured "
        f"{each(found, '{}')}"
    )
    text = "The same time span with another delta_t gives slightly different results"
    return Claim(text, figure.name, measured, Verdict.YES if 0.0 < apart < LIKE else Verdict.NO)


def exact_drops(delta_t: float, horizon: float = 50.0, buffer: int = 5, service_rate: float = 1.0) -> float:
    """Return OWN's expected drops per queue and 50 ms, by the joint law of rate and length (1.2.4, equation 2)."""
    arrivals = Switched()
    rates, leaving = (arrivals.high, arrivals.low), (arrivals.high_to_low, arrivals.low_to_high)
    laws = np.zeros((2, buffer + 1))
    laws[:, 0] = 0.5
    drops = 0.0
    for duration in np.diff(Timetable(delta_t, horizon).times):
        for state, rate in enumerate(rates):
            weight = laws[state].sum()
            law, some = evolve(laws[state] / weight, rate, service_rate, float(duration))
            laws[state] = weight * law
            drops += weight * some
        laws = np.array([(1.0 - leaving[s]) * laws[s] + leaving[1 - s] * laws[1 - s] for s in (0, 1)])
    return drops * REFERENCE_TIME / horizon
