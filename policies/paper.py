"""`python -m policies.paper`: emulate the paper's figures and write docs/paper.md, its pictures and a table of claims.

A figure is a scenario file in scenarios/paper; its run can be stopped and taken up again like any other. A claim of the
paper is held against paired 95 % intervals.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import emulator
from emulator.errors import InputError
from emulator.statistics import mean_interval

ROOT = Path(__file__).resolve().parent.parent
TOPOLOGIES = {"07a": "cycle", "07b": "cube-connected cycle", "07c": "torus", "07d": "configuration model"}
REGULAR = ("07a", "07b", "07c")

HEAD = """\
# The paper's figures

Made by `python -m policies.paper` from the scenario files in `scenarios/paper`: {replications} episodes for each point,
drops per queue and 50 ms, 95 % intervals (Student t), differences paired by episode. The policies are those of
`policies/trained`. Not here yet: figures 3b, 4, 5, 9 and 10, which need policies and baselines that are not trained so
far.

## What the paper says, and what was measured

| Claim | Figure | Measured | Holds |
|---|---|---|---|
{claims}

"""


class Claim(NamedTuple):
    """What the paper says, where, what was measured, and whether it holds."""

    text: str
    figure: str
    measured: str
    holds: bool


class Figure(NamedTuple):
    """The episodes of one figure."""

    name: str
    episodes: pd.DataFrame

    def difference(self, one: str, other: str, delta_t: float) -> tuple[float, float, float]:
        """Return mean and interval of the paired difference in drops, of one dispatcher from another."""
        at = self.episodes[self.episodes.delta_t == delta_t].set_index(["dispatcher", "replication"]).drops_per_queue
        return mean_interval(at[one] - at[other])

    @property
    def delta_ts(self) -> list[float]:
        """The values of delta_t."""
        return sorted(self.episodes.delta_t.unique())


def run_figure(path: Path, out: Path, replications: int | None, workers: int | None, engine: str | None) -> Figure:
    """Emulate a figure's scenario, or take up its run again, and return its episodes."""
    summary = emulator.run(path, out=out, replications=replications, workers=workers, engine=engine)
    folder = Path(summary.attrs["folder"])
    return Figure(path.stem.removeprefix("figure_"), pd.read_parquet(folder / "episodes.parquet"))


def _text(difference: tuple[float, float, float]) -> str:
    mean, low, high = difference
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def jsq_first(figure: Figure) -> Claim:
    """At delta_t 1 nothing is better than JSQ."""
    gain = figure.difference("JSQ", "MF-R", 1.0)
    text = f"JSQ is best at delta_t 1 on the {TOPOLOGIES[figure.name]}, MF-R near"
    return Claim(text, figure.name, f"JSQ less MF-R {_text(gain)}", gain[2] < 0.0)


def middle_range(figure: Figure) -> Claim:
    """MF-R is best for delta_t from 2 to 7."""
    best = [
        delta_t
        for delta_t in figure.delta_ts
        if all(figure.difference(other, "MF-R", delta_t)[1] > 0.0 for other in ("JSQ", "RND", "OWN"))
    ]
    text = f"MF-R is best for delta_t 2 to 7 on the {TOPOLOGIES[figure.name]}"
    return Claim(
        text, figure.name, f"best at {', '.join(f'{x:g}' for x in best) or 'none'}", {2, 3, 4, 5, 6, 7} <= set(best)
    )


def coincides_late(figure: Figure) -> Claim:
    """MF-R coincides with RND for delta_t 8 to 10."""
    gaps = [figure.difference("RND", "MF-R", delta_t) for delta_t in (8.0, 9.0, 10.0)]
    text = f"MF-R coincides with RND for delta_t 8 to 10 on the {TOPOLOGIES[figure.name]}"
    measured = f"RND less MF-R at 10 {_text(gaps[-1])}, at 5 {_text(figure.difference('RND', 'MF-R', 5.0))}"
    return Claim(text, figure.name, measured, all(low <= 0.0 <= high for _, low, high in gaps))


def random_equals_own(figure: Figure) -> Claim:
    """On a regular graph RND and OWN have the same drops on average."""
    gaps = [figure.difference("RND", "OWN", delta_t) for delta_t in figure.delta_ts]
    inside = sum(low <= 0.0 <= high for _, low, high in gaps)
    widest = max(gaps, key=lambda gap: abs(gap[0]))
    measured = f"0 is in {inside} of {len(gaps)} intervals of the difference; largest {_text(widest)}"
    return Claim(
        f"RND and OWN are equal on the {TOPOLOGIES[figure.name]}", figure.name, measured, inside >= len(gaps) - 2
    )


def random_is_not_own(figure: Figure) -> Claim:
    """Where degrees differ, RND and OWN do too."""
    gaps = [figure.difference("RND", "OWN", delta_t) for delta_t in figure.delta_ts]
    measured = f"RND less OWN at 5 {_text(figure.difference('RND', 'OWN', 5.0))}"
    holds = all(low > 0.0 for _, low, _ in gaps)
    return Claim("RND and OWN differ on the configuration model, OWN ahead", figure.name, measured, holds)


def bethe(figure: Figure) -> list[Claim]:
    """On the Bethe lattice OWN is ahead of RND, and MF-R falls behind OWN as delta_t grows."""
    own = [figure.difference("RND", "OWN", delta_t) for delta_t in figure.delta_ts]
    behind = [delta_t for delta_t in figure.delta_ts if figure.difference("MF-R", "OWN", delta_t)[1] > 0.0]
    at_three = [figure.difference(other, "MF-R", 3.0) for other in ("JSQ", "RND", "OWN")]
    return [
        Claim(
            "OWN is ahead of RND on the Bethe lattice",
            "08",
            f"RND less OWN at 5 {_text(own[4])}",
            all(x[1] > 0 for x in own),
        ),
        Claim(
            "MF-R eventually does worse than OWN there",
            "08",
            f"worse at {', '.join(f'{x:g}' for x in behind)}"
            if behind
            else "never up to 10; OWN less MF-R at 10 " + _text(figure.difference("OWN", "MF-R", 10.0)),
            bool(behind),
        ),
        Claim(
            "MF-R is best at delta_t 3 there",
            "08",
            f"OWN less MF-R {_text(at_three[2])}",
            all(low > 0.0 for _, low, _ in at_three),
        ),
    ]


def converges(figure: Figure) -> Claim:
    """The drops of MF-R converge as the ring grows."""
    means = figure.episodes.groupby("topology.nodes").drops_per_queue.mean()
    gaps = (means - means.iloc[-1]).abs()
    measured = ", ".join(f"{nodes}: {mean:.3f}" for nodes, mean in means.items())
    return Claim(
        "MF-R's drops converge as the cycle grows", "06", measured, bool(gaps[means.index >= 1001].max() < 0.05)
    )


def jsq_worsens(figure: Figure) -> Claim:
    """JSQ loses more the older its knowledge is, ever more slowly."""
    means = figure.episodes.groupby("delta_t").drops_per_queue.mean()
    steps = means.diff().dropna()
    measured = f"{means.iloc[0]:.2f} at 1, {means.iloc[4]:.2f} at 5, {means.iloc[-1]:.2f} at 10"
    return Claim(
        "JSQ's drops grow with delta_t and level off",
        "03a",
        measured,
        bool((steps > 0).all() and steps.iloc[-1] < steps.iloc[0]),
    )


def claims(figures: dict[str, Figure]) -> list[Claim]:
    """Return the claims that the figures at hand can be held against."""
    checks: dict[str, list[Callable[[Figure], Claim]]] = {
        "03a": [jsq_worsens],
        "06": [converges],
        **{name: [jsq_first, middle_range, coincides_late, random_equals_own] for name in REGULAR},
        "07d": [jsq_first, middle_range, coincides_late, random_is_not_own],
    }
    found = [check(figure) for name, figure in figures.items() for check in checks.get(name, [])]
    return found + (bethe(figures["08"]) if "08" in figures else [])


def page(figures: dict[str, Figure], replications: int) -> str:
    """Return docs/paper.md."""
    rows = "\n".join(
        f"| {claim.text} | {claim.figure} | {claim.measured} | {'yes' if claim.holds else '**no**'} |"
        for claim in claims(figures)
    )
    pictures = "\n".join(
        f"## Figure {name.lstrip('0')}\n\n![Figure {name}](paper/figure_{name}.png)\n" for name in figures
    )
    return HEAD.format(claims=rows, replications=replications) + pictures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m policies.paper", description=__doc__)
    parser.add_argument("--replications", type=int, help="instead of the scenarios' 100")
    parser.add_argument("--engine", choices=["auto", "simpy", "compiled"], help="instead of the scenarios'")
    parser.add_argument("--workers", type=int, help="cores to use (default: all)")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/paper"), help="where the runs go (default: %(default)s)"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where page and pictures go (default: docs)")
    options = parser.parse_args(arguments)
    figures = {}
    (options.docs / "paper").mkdir(parents=True, exist_ok=True)
    try:
        for path in sorted((ROOT / "scenarios" / "paper").glob("figure_*.yaml")):
            print(f"{path.stem} ...", file=sys.stderr)
            figure = run_figure(path, options.runs / path.stem, options.replications, options.workers, options.engine)
            figures[figure.name] = figure
            shutil.copy(options.runs / path.stem / "summary.png", options.docs / "paper" / f"{path.stem}.png")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    count = int(min(figure.episodes.replication.max() + 1 for figure in figures.values()))
    (options.docs / "paper.md").write_text(page(figures, count), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
