"""Claims on trainings and on SAC: figures 3b, 4a, 4b, 9a and the training with buffers of 20."""

from __future__ import annotations

import re
from itertools import pairwise

import pandas as pd

from policies.paper.figure import Claim, Figure, all_above, each, shorts
from policies.paper.interval import Interval, Seeds
from policies.paper.verdict import LIKE, all_of, is_above, is_below, is_within

SEED = "training.seed"


def last_iterations(rows: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return the last iterations of trainings, a share of those that all of them have."""
    keys = [key for key in rows.columns if key.startswith("training.")]
    count = int(rows.groupby(keys)["iteration"].max().min())
    return rows[rows["iteration"].between(count - max(1, round(count * share)) + 1, count)]


def ends(trainings: Figure, key: str, share: float) -> dict[object, list[float]]:
    """Return the mean drops of each training over its last iterations, by the values of a column, for all seeds."""
    last = last_iterations(trainings.rows, share)
    by = [key, SEED] if SEED in last else [key]
    means = last.groupby(by, sort=False)["drops"].mean()
    return {value: some.tolist() for value, some in means.groupby(level=0, sort=False)}


def sizes_are_alike(trainings: Figure) -> Claim:
    """Networks of four sizes learn equally well."""
    seeds = Seeds(ends(trainings, "training.hidden", 0.1))
    means = {size: seeds.mean(size) for size in seeds.logs}
    best, worst = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    gap = seeds.percent(worst, best)
    apart = max(100.0 * float(some.max() - some.min()) for some in seeds.logs.values())
    told = ", ".join(f"{-mean:.3f} with {str(size).strip('[]')}" for size, mean in means.items())
    measured = (
        f"return in the last tenth of the iterations, mean of {_count(seeds)}: {told}; worst beyond best, in percent, "
        f"{_skewed(gap)}; seeds of one are up to {apart:.1f} % apart"
    )
    text = "Networks of four sizes perform alike"
    return Claim(text, trainings.name, measured, is_within(gap), "sizes", gap.seen)


def _count(seeds: Seeds) -> str:
    counts = sorted({len(some) for some in seeds.logs.values()})
    return " or ".join(map(str, counts)) + (" seeds" if counts != [1] else " seed")


def _skewed(gap: Interval) -> str:
    """Return a percentage of a ratio, whose interval is not even."""
    return gap.text("{:+.1f}")


def recurrence_gives_nothing(trainings: Figure) -> Claim:
    """A recurrent policy learns hardly better than a plain one; it can even be worse."""
    seeds = Seeds(ends(trainings, "algorithm", 0.25))
    gap = seeds.percent("MF-RNN", "MF-R")
    measured = (
        f"return in the last quarter of the iterations, mean of {_count(seeds)}: {-seeds.mean('MF-R'):.3f} without, "
        f"{-seeds.mean('MF-RNN'):.3f} with; drops with beyond those without, in percent, {_skewed(gap)}"
    )
    text = "The effect of recurrent policies is negligible"
    return Claim(text, trainings.name, measured, is_within(gap), "", gap.seen)


def longer_training(trainings: Figure) -> Claim:
    """With buffers of 20 the training takes longer until it has converged."""
    seeds = Seeds({buffer: _seconds(part) for buffer, part in trainings.by("buffer")})
    small, large = sorted(seeds.logs)
    gap = seeds.percent(large, small)
    told = each({buffer: seeds.mean(buffer) for buffer in (small, large)}, "{:.1f} s")
    measured = f"until within {LIKE:g} % of their ends {told}, mean of {_count(seeds)}: in percent {_skewed(gap)}"
    return Claim("Buffers of 20 make the training longer", trainings.name, measured, is_above(gap))


def _seconds(part: Figure) -> list[float]:
    """Return the seconds that each training takes until means of five iterations stay near the end's."""
    found = []
    for _, rows in part.rows.groupby(SEED):
        means = rows["drops"].rolling(min(5, len(rows))).mean().bfill()
        far = (means - means.iloc[-1]).abs() > LIKE / 100.0 * means.iloc[-1]
        found.append(float(rows["seconds"].iloc[int(far.to_numpy().nonzero()[0].max(initial=-1)) + 1]))
    return found


def sac_takes_longer(trainings: Figure) -> Claim:
    """The larger the ring, the longer SAC takes to converge."""
    seconds = {}
    for nodes, part in trainings.by("nodes"):
        each_seed = part.rows.groupby(SEED) if SEED in part.rows else [(0, part.rows)]
        seconds[nodes] = [float(rows["converged_seconds"].iloc[0]) for _, rows in each_seed]
    seeds = Seeds(seconds)
    means = {nodes: seeds.mean(nodes) for nodes in seconds}
    sizes = list(seconds)
    growth = {larger: seeds.percent(larger, smaller) for smaller, larger in pairwise(sizes)}
    measured = (
        f"mean of {_count(seeds)} {each(means, '{:.2f} s')}: {means[sizes[-1]] / means[sizes[0]]:.0f} times as long; "
        f"longer than with the size before, in percent, {each({n: _skewed(gap) for n, gap in growth.items()}, '{}')}"
    )
    text = "SAC's training takes longer to converge, the more agents there are"
    return Claim(text, trainings.name, measured, all_above(growth))


def sac_policies(figure: Figure) -> list[str]:
    """Return the dispatchers that are SAC, one for each seed."""
    return [name for name in figure.dispatchers if re.fullmatch(r"SAC( \d+)?", name)]


def _over_seeds(part: Figure, other: str) -> Interval:
    """Return by how many percent SAC is beyond another dispatcher: the mean over seeds, which it scatters by."""
    gaps = [part.percent(name, other) for name in sac_policies(part)]
    return Interval.of(gap.mean for gap in gaps) if len(gaps) > 1 else gaps[0]


def sac_is_behind(figure: Figure) -> Claim:
    """SAC is worse than MF-R at every number of agents."""
    gaps = {nodes: _over_seeds(part, "MF-R") for nodes, part in figure.by("nodes")}
    measured = f"drops beyond MF-R's, in percent, mean of {len(sac_policies(figure))} seeds, {shorts(gaps)}"
    text = "SAC is worse than MF-R for every N from 5 to 101"
    return Claim(text, figure.name, measured, all_above(gaps))


def sac_improves(figure: Figure) -> Claim:
    """SAC gets better as the number of agents rises."""
    drops = {nodes: [part.mean(name) for name in sac_policies(part)] for nodes, part in figure.by("nodes")}
    seeds = Seeds(drops)
    sizes = sorted(drops)
    gap = seeds.percent(sizes[-1], sizes[0])
    told = each({nodes: f"{min(some):.2f} to {max(some):.2f}" for nodes, some in drops.items()}, "{}")
    measured = f"by seed {told}; {sizes[-1]:g} agents beyond {sizes[0]:g}, in percent, {_skewed(gap)}"
    return Claim("SAC gets better as the number of agents rises", figure.name, measured, is_below(gap), "sac")


def sac_is_suboptimal(figure: Figure) -> Claim:
    """SAC stays behind what needs no learning."""
    gaps = {other: {nodes: _over_seeds(part, other) for nodes, part in figure.by("nodes")} for other in ("RND", "OWN")}
    measured = "; ".join(f"drops beyond {other}'s, in percent, {shorts(some)}" for other, some in gaps.items())
    verdict = all_of(is_above(gap) for some in gaps.values() for gap in some.values())
    return Claim("SAC stays suboptimal: behind RND and OWN, too", figure.name, measured, verdict)
