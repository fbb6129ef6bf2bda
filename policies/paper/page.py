"""docs/paper.md: the paper's claims, what was measured, why some do not hold, Theorem 1 in numbers, the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policies.paper import claims, limits
from policies.paper.claims import LIKE, NEAR
from policies.paper.figure import Claim, Figure
from policies.paper.reasons import REASONS, reason_for


class Check(NamedTuple):
    """A claim, or several, and the figures that it is about."""

    figures: tuple[str, ...]
    claim: Callable[..., Claim | Iterable[Claim]]


LARGE = (
    claims.jsq_is_best,
    claims.is_near_jsq,
    claims.is_best_between,
    claims.approaches_random,
    claims.coincides_late,
)

THEOREM_1 = tuple(f"theorem_1_{name}" for name in ("cycle", "cube_connected_cycle", "torus", "configuration_model"))
"""The runs for Theorem 1, which does not apply to the Bethe lattice."""

GROUPS: Mapping[str, Sequence[Check]] = {
    "Simulator and networks (figure 3)": [
        Check(("03a",), claims.jsq_levels_off),
        Check(("03b",), claims.sizes_are_alike),
    ],
    "SAC (figure 4)": [
        Check(("04a",), claims.sac_takes_longer),
        Check(("04b",), claims.sac_is_behind),
        Check(("04b",), claims.sac_improves),
        Check(("04b",), claims.sac_is_suboptimal),
    ],
    "Cycles of six sizes (figure 5)": [
        Check(("05",), claims.jsq_is_best_on_cycles),
        Check(("05",), claims.is_near_jsq_on_cycles),
        Check(("05",), claims.is_best_between_on_cycles),
        Check(("05",), claims.approaches_random_on_cycles),
        Check(("05",), claims.sharing_is_similar),
        Check(("05",), claims.sharing_is_never_better),
        Check(("05",), claims.random_is_own),
    ],
    "The mean-field limit (figure 6 and Theorem 1)": [
        Check(("06",), claims.drops_converge),
        Check(("06",), claims.training_is_reached),
        *(Check((name,), limits.drops_converge) for name in THEOREM_1),
        Check(("bethe_root",), limits.root_differs),
    ],
    "Large systems (figure 7)": [
        *(Check((name,), check) for check in LARGE for name in ("07a", "07b", "07c", "07d")),
        *(Check((name,), claims.random_is_own) for name in ("07a", "07b", "07c")),
        Check(("07d",), claims.own_is_ahead),
    ],
    "Bethe lattice (figure 8)": [
        Check(("08",), claims.own_is_ahead),
        Check(("07d", "08"), claims.own_is_further_ahead),
        Check(("08",), claims.jsq_is_outperformed),
        Check(("08",), claims.is_best_at_three),
        Check(("08",), claims.falls_behind),
    ],
    "Recurrent policies and decentralized execution (figure 9)": [
        Check(("09a",), claims.recurrence_gives_nothing),
        Check(("09b",), claims.observations_are_alike),
    ],
    "Larger buffers and unequal servers (figure 10)": [
        Check(("10a",), claims.is_best_with_large_buffers),
        Check(("10b",), claims.expected_delay_is_best),
        Check(("10b",), claims.is_comparable),
        Check(("10b",), claims.outperforms_jsq),
    ],
}
"""The paper's claims in its order, by what they are about."""

HEAD = f"""\
# The paper's figures

Made by `python -m policies.paper` from the scenario files in `scenarios/paper`: {{episodes}} for each point,
drops per queue and 50 ms, delta_t in ms, 95 % intervals (Student t). All dispatchers meet the same paths of arrival
rates, and differences are paired by episode. The policies are those of `policies/trained`.{{missing}}

{{count}}

- A dispatcher is **ahead** of another if the interval of their difference excludes 0, and **best** if of all others.
- Two are **equal** if no more intervals of their differences exclude 0 than chance has 1 time in 100.
- What the paper calls **similar, comparable or coinciding** may be {LIKE:g} % apart.
- MF-R is **close** to JSQ if it is less than {NEAR:g} % of the way from JSQ to RND.

## What the paper says, and what was measured
"""


def held(figures: Mapping[str, Figure]) -> dict[str, list[Claim]]:
    """Return the claims that the figures at hand can be held against, by group."""
    return {heading: list(_claims(checks, figures)) for heading, checks in GROUPS.items()}


def _claims(checks: Sequence[Check], figures: Mapping[str, Figure]) -> Iterator[Claim]:
    for check in checks:
        if all(name in figures for name in check.figures):
            found = check.claim(*(figures[name] for name in check.figures))
            yield from [found] if isinstance(found, Claim) else found


def page(figures: Mapping[str, Figure], missing: Sequence[str] = ()) -> str:
    """Return docs/paper.md; `missing` are sentences on figures that are not there."""
    groups = {heading: found for heading, found in held(figures).items() if found}
    every = [claim for found in groups.values() for claim in found]
    episodes = sorted({figure.episodes for figure in figures.values() if figure.episodes})
    head = HEAD.format(
        episodes=" or ".join(f"{count:,}" for count in episodes) + " episodes",
        missing="".join(f" {sentence}" for sentence in missing),
        count=_count(every),
    )
    parts = [head, *(_table(heading, found) for heading, found in groups.items())]
    parts += [_contradictions(every, figures), _theorem(figures), _pictures(figures)]
    return "\n".join(part for part in parts if part)


def _count(every: Sequence[Claim]) -> str:
    hold = sum(claim.holds for claim in every)
    return (
        f"Of {len(every)} claims {hold} hold and {len(every) - hold} do not; why not, as far as it is known, stands "
        "below the tables."
    )


def _table(heading: str, found: Sequence[Claim]) -> str:
    rows = [
        f"| {claim.text} | {_short(claim.figure)} | {claim.measured} | {'yes' if claim.holds else '**no**'} |"
        for claim in found
    ]
    return "\n".join([f"### {heading}\n", "| Claim | Figure | Measured | Holds |", "|---|---|---|---|", *rows, ""])


def _short(name: str) -> str:
    """Return what a figure is called in the page: 7a, Theorem 1, or the name of its run."""
    return "Theorem 1" if name.startswith("theorem") else name.lstrip("0").replace("_", " ")


def _contradictions(every: Sequence[Claim], figures: Mapping[str, Figure]) -> str:
    """Return why claims do not hold: each reason with the claims that it is for, then those without one."""
    failed = [claim for claim in every if not claim.holds]
    if not failed:
        return ""
    parts = ["## Where the paper is contradicted\n"]
    rest = []
    for name in [*REASONS, ""]:
        found = [claim for claim in failed if claim.reason == name]
        text = reason_for(name, figures) if found else None
        if text is None:
            rest += found
        else:
            parts += [*_bullets(found), f"\n{text}\n"]
    if rest:
        parts += [*_bullets(rest), "\nWhat was measured of these stands in the tables; no reason was looked for.\n"]
    return "\n".join(parts)


def _bullets(found: Iterable[Claim]) -> list[str]:
    return [f"- {claim.text} ({_short(claim.figure)}): **no**" for claim in found]


def _theorem(figures: Mapping[str, Figure]) -> str:
    """Return the tables of Theorem 1."""
    parts = []
    for name in (*THEOREM_1, "theorem_1_bethe"):
        if name in figures:
            parts += [f"### The {figures[name].place}\n", *limits.growth_table(figures[name]), ""]
    if "bethe_root" in figures:
        parts += ["### The root of the Bethe lattice\n", limits.ROOT, *limits.root_table(figures["bethe_root"]), ""]
    return "\n".join(["## Theorem 1 in numbers\n", limits.GROWTH, *parts]) if parts else ""


def _pictures(figures: Mapping[str, Figure]) -> str:
    parts = ["## The pictures\n"]
    for figure in figures.values():
        heading = f"Figure {_short(figure.name)}" if figure.name[0].isdigit() else _title(figure.name)
        parts += [f"### {heading}\n", f"![{heading}](paper/{stem_of(figure.name)}.png)\n"]
    return "\n".join(parts)


def _title(name: str) -> str:
    return name.replace("theorem_1_", "Theorem 1: ").replace("_", " ").capitalize()


def stem_of(name: str) -> str:
    """Return what the scenario file of a figure is called."""
    return f"figure_{name}" if name[0].isdigit() else name
