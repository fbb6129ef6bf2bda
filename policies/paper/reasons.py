"""Why measurements contradict the paper, where they do: texts made of numbers, some from small runs made for this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from policies.paper.figure import PER_EPOCH, READINGS, Figure, Reading, each, shorts
from policies.paper.interval import quotient


class Reason(NamedTuple):
    """The figures that a reason needs, and what it says of them."""

    figures: tuple[str, ...]
    text: Callable[..., str]


def ties(figure: Figure) -> str:
    """Return how breaking ties and the age of knowledge change JSQ's drops at small delta_t."""
    now, fresher = figure.at(delta_t=1.0), figure.at(delta_t=0.5)
    return (
        "JSQ's choice between equally short queues holds for a whole epoch, as all actions do (section 2.2): all "
        "schedulers that see the same shortest queue, up to five on a torus, may send it all their jobs. There "
        f"JSQ has, in percent, {now.percent('JSQ', 'MF-R').short} drops beyond MF-R's at 1; "
        f"{now.percent('JSQ per job', 'MF-R').short} there if ties are broken for each job; "
        f"{fresher.percent('JSQ', 'MF-R').short} with messages every 0.5 ms. That JSQ is best is guaranteed for "
        "current knowledge only, in the limit of delta_t 0."
    )


def near(*figures: Figure) -> str:
    """Return how far MF-R is on the way from JSQ to RND at delta_t 1."""

    def way(figure: Figure, mf_r: str) -> float:
        part = figure.at(delta_t=1.0)
        return 100.0 * quotient(part.mean(mf_r) - part.mean("JSQ"), part.mean("RND") - part.mean("JSQ"))

    told = ", ".join(
        f"{way(figure, 'MF-R'):.0f} and {way(figure, f'MF-R{PER_EPOCH}'):.0f} on the {figure.place}"
        for figure in figures
    )
    return (
        "Beside what JSQ leaves to gain, RND's drops, the two look close, as they do in the paper's pictures: of "
        f"the way from JSQ's drops to RND's MF-R is, in percent, per job and per epoch, {told}. In drops they are not."
    )


def between(figure: Figure) -> str:
    """Return what is left to gain where actions hold for an epoch."""
    gaps = {x: gap for x, gap in figure.under("epoch").gaps("MF-R", "RND").items() if x >= 5.0}
    return (
        "Where actions hold for an epoch, a scheduler that offloads sends all its jobs away, and at large delta_t the "
        "best that MF-R can do is hardly better than to keep them: on the torus it has, in percent, "
        f"{shorts(gaps)} drops beyond RND's. Drawn for each job they never come to that (figure 7)."
    )


def _lead(figure: Figure, name: str, form: str) -> str:
    """Return by how many percent a dispatcher is ahead of RND, by delta_t."""
    return each({delta_t: -gap.mean for delta_t, gap in figure.gaps(name, "RND").items()}, form)


def late(figure: Figure) -> str:
    """Return how far a rule that was not learned, and a long horizon, leave RND behind at large delta_t."""

    def lead(name: str, horizon: float) -> str:
        return _lead(figure.at(horizon=horizon), name, "{:.1f} %")

    return (
        "Drawn for each job, the policies here are better than those that coincide with RND, and that takes no "
        "learning: even after 10 ms the own queue length tells something, and RND ignores it. A rule that nobody "
        "learned, to offload with a tenth of the own queue length as probability, has fewer drops than RND by "
        f"{lead('a tenth', 50)}, MF-R by {lead('MF-R', 50)}. Nor is it because 50 ms are few epochs of that "
        f"length, from empty queues on: over 500 ms it is {lead('a tenth', 500)}, and {lead('MF-R', 500)}."
    )


def leaves(figure: Figure) -> str:
    """Return how two rules do that are alike on a regular graph, on a Bethe lattice and on cube-connected cycles."""

    def beyond_own(name: str, graph: Figure) -> str:
        return shorts(graph.gaps(name, "OWN"))

    (_, regular), (nodes, lattice) = figure.by("nodes")
    one, other = "a tenth", "40 % more"
    return (
        "Never to offload is one of MF-R's decision rules, so a policy that is worse than OWN has not learned what its "
        f"graph needs. Of {nodes:,.0f} nodes of the lattice {50.0 * (nodes + 2) / nodes:.0f} % are leaves, and what is "
        "offloaded gathers at the nodes beside them; on a regular graph it evens out, and how much is offloaded hardly "
        "matters, only from where. Two rules that nobody learned show it, drawn for each job: to offload with a "
        "tenth of "
        "the own queue length as probability, and with 0.4 more. On cube-connected cycles the first has, in percent, "
        f"{beyond_own(one, regular)} drops beyond OWN's, the second {beyond_own(other, regular)}; on the Bethe lattice "
        f"the first {beyond_own(one, lattice)}, the second {beyond_own(other, lattice)}. The policies here were "
        "learned on a Bethe lattice, leaves included, and offload little, or nothing where that is best."
    )


def delay(figure: Figure) -> str:
    """Return how variants of SED do with unequal servers."""

    def beyond_learned(name: str) -> str:
        return shorts(figure.gaps(name, "MF-R"))

    return (
        "SED, too, sends all jobs of an epoch to one server, and as fewer servers tie than under JSQ, more schedulers "
        "agree on the same one. On a torus of 900 nodes SED has, in percent, "
        f"{beyond_learned('SED')} drops beyond MF-R's, with ties broken for each job {beyond_learned('SED per job')}; "
        f"JSQ {beyond_learned('JSQ')}. A rule of like costs that also counts the jobs it has sent since the last "
        f"messages (JSQ-M) does as the paper's SED: {beyond_learned('SED with memory')}."
    )


def slow_servers(figure: Figure) -> str:
    """Return how much the own queue length tells of a server's rate."""
    return (
        "A policy that does not know its server's rate still meets the long queues of the slow servers, and what it "
        "offloads goes to fast ones as often as not. That takes no learning: to offload with a tenth of the own queue "
        f"length as probability, drawn for each job, has fewer drops than RND by "
        f"{_lead(figure, 'a tenth', '{:.0f} %')}, MF-R by {_lead(figure, 'MF-R', '{:.0f} %')}."
    )


def observation(figure: Figure, own: Figure) -> str:
    """Return how the policies of figure 9b do on the own queue beside those that were learned for it."""

    def beyond(name: str) -> str:
        parts = ((x, part.mean(name), own.at(delta_t=x).mean(name)) for x, part in figure.by("delta_t"))
        return each({x: 100.0 * (quotient(one, other) - 1.0) for x, one, other in parts}, "{:+.1f}")

    return (
        "The policies of figure 9b were learned on the distribution of all queues, as Algorithm 1 has it. Fed with the "
        "own queue alone they meet distributions that they never met: beyond the drops of figure 7c's policies, which "
        f"were learned on the own queue, theirs are, in percent, {beyond('MF-R')} drawn for each job, "
        f"{beyond(f'MF-R{PER_EPOCH}')} once per epoch."
    )


def sizes(trainings: Figure) -> str:
    """Return how far behind larger networks are when the training ends."""
    window = max(1, round(0.1 * trainings.rows["iteration"].max()))
    means = trainings.rows.groupby(["training.hidden", "iteration"], sort=False)["drops"].mean()
    smooth = {size: rows.rolling(window).mean().tolist() for size, rows in means.groupby(level=0, sort=False)}
    worst = max(drops[-1] for drops in smooth.values())
    told = ", ".join(
        f"{next(number for number, mean in enumerate(drops, start=1) if mean <= worst)} with {str(size).strip('[]')}"
        for size, drops in smooth.items()
    )
    return (
        "The four differ in pace, and none has finished at the paper's learning rate: the return that the worst of "
        f"them ends with, {-worst:.3f}, was reached after so many iterations: {told} (means of {window} iterations and "
        "of the seeds). Where they would end cannot be told from that."
    )


def sac(trainings: Figure, figure: Figure) -> str:
    """Return how SAC's drops go in training."""
    told = {}
    for nodes, part in trainings.by("nodes"):
        drops = part.rows.groupby("iteration")["drops"].mean()
        means = drops.rolling(min(5, len(drops))).mean()
        told[nodes] = f"{drops.iloc[0]:.2f}, {means.min():.2f}, {means.iloc[-1]:.2f}"
    jsq = {nodes: part.mean("JSQ") for nodes, part in figure.by("nodes")}
    return (
        "In training its drops were at first, at best and at last (means of the seeds and, but for the first, of five "
        f"looks) {each(told, '{}')}. On small cycles the policies get worse again, as their steps grow anew every 100 "
        "episodes; on large ones, where each agent's gradient has the factor 1 / N, they do not get as far. JSQ, which "
        f"sees the same queues, has {each(jsq, '{:.2f}')}."
    )


def selfishness(figure: Figure) -> str:
    """Return where NA-PS is furthest from MF-R, and what it learns from."""

    def worst(reading: Reading) -> str:
        parts = figure.under(reading).by("nodes")
        cases = [(gap.mean, n, x) for n, part in parts for x, gap in part.gaps("NA-PS", "MF-R").items()]
        return "; ".join(f"{gap:+.1f} % with {n:,g} nodes at {x:g}" for gap, n, x in sorted(cases)[:-4:-1])

    return (
        "NA-PS learns from the drops among the jobs that a scheduler has sent itself, and offloads more from short "
        "queues than is best for all; more iterations do not mend it (docs/policies.md). It is furthest from MF-R, "
        f"drawn for each job, with {worst('job')}; once per epoch with {worst('epoch')}."
    )


def sharing(figure: Figure) -> str:
    """Return where NA-PS is ahead of MF-R."""
    cases = [
        f"{gap.short} with {nodes:,g} nodes at {delta_t:g} {words}"
        for reading, words in READINGS.items()
        for nodes, part in figure.under(reading).by("nodes")
        for delta_t, gap in part.gaps("NA-PS", "MF-R").items()
        if gap.high < 0.0
    ]
    return (
        "NA-PS was learned on 5 nodes, MF-R on 101, and what is best on the one graph is not quite so on the other. "
        f"NA-PS has, in percent, {'; '.join(cases)} drops beyond MF-R's."
    )


def levels(figure: Figure, longer: Figure) -> str:
    """Return how JSQ's drops go on beyond the axis of figure 3a."""
    drops = {delta_t: part.mean("JSQ") for delta_t, part in longer.by("delta_t")}
    return (
        "Up to 10 ms, where the axis of figure 3a ends, nothing levels off. Over 500 ms there are "
        f"{each(drops, '{:.2f}')} drops, and {figure.at(delta_t=10.0).mean('JSQ'):.2f} over 50 ms at 10, "
        "which are five epochs from empty queues."
    )


def root(figure: Figure) -> str:
    """Return what evens the root out under MF-R."""
    rows = figure.rows[figure.rows["nodes"] == figure.rows["nodes"].max()]
    told = ", ".join(f"{row['distance']:.4f} under {row['dispatcher']}" for row in rows.to_dict("records"))
    return (
        "Under RND a leaf receives three quarters of the jobs that the root does, its only neighbour one and a half "
        "times as many. MF-R offloads little and from long queues only, which evens that out. The distance of the two "
        f"distributions is {told}."
    )


REASONS: Mapping[str, Reason] = {
    "levels": Reason(("03a", "why_levels"), levels),
    "sizes": Reason(("03b",), sizes),
    "sac": Reason(("04a", "04b"), sac),
    "ties": Reason(("why_ties",), ties),
    "near": Reason(("07a", "07b", "07c", "07d"), near),
    "between": Reason(("07c",), between),
    "selfishness": Reason(("05",), selfishness),
    "sharing": Reason(("05",), sharing),
    "late": Reason(("why_late",), late),
    "leaves": Reason(("why_leaves",), leaves),
    "observation": Reason(("09b", "07c"), observation),
    "delay": Reason(("why_delay",), delay),
    "slow": Reason(("why_delay",), slow_servers),
    "root": Reason(("bethe_root",), root),
}
"""By the name that claims have for them, in the order of the page."""


def reason_for(name: str, figures: Mapping[str, Figure]) -> str | None:
    """Return a reason in words, None if there is none or a figure that it needs is not there."""
    reason = REASONS.get(name)
    if reason is None or not all(needed in figures for needed in reason.figures):
        return None
    return reason.text(*(figures[needed] for needed in reason.figures))
