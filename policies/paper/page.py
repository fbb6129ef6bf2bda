"""docs/paper.md: the paper's claims, what was measured, why some do not hold, Theorem 1 in numbers, the pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policies.paper import growth, root, tables
from policies.paper.claims import cycles, large_systems, theory, trainings
from policies.paper.figure import READINGS, Claim, Figure, Reading, spoken
from policies.paper.reasons import REASONS, reason_for
from policies.paper.verdict import EQUAL, LIKE, Verdict


class Check(NamedTuple):
    """A claim, or several, and the figures that it is about."""

    figures: tuple[str, ...]
    claim: Callable[..., Claim | Iterable[Claim]]
    has_readings: bool = False
    """Whether it is about a dispatcher that draws whether to offload."""


LARGE = ("07a", "07b", "07c", "07d")

ON_LARGE = (
    large_systems.jsq_is_best,
    large_systems.is_near_jsq,
    large_systems.is_best_between,
    large_systems.approaches_random,
    large_systems.coincides_late,
)

THEOREM_1 = tuple(f"theorem_1_{name}" for name in ("cycle", "cube_connected_cycle", "torus", "configuration_model"))
"""The runs for Theorem 1, which does not apply to the Bethe lattice."""

GROUPS: Mapping[str, Sequence[Check]] = {
    "Simulator and networks (figure 3)": [
        Check(("03a", "why_levels"), large_systems.jsq_levels_off),
        Check(("03b",), trainings.sizes_are_alike),
        Check(("07a",), theory.time_differs),
    ],
    "SAC (figure 4)": [
        Check(("04a",), trainings.sac_takes_longer),
        Check(("04b",), trainings.sac_is_behind, True),
        Check(("04b",), trainings.sac_improves),
        Check(("04b",), trainings.sac_is_suboptimal),
    ],
    "Cycles of six sizes (figure 5)": [
        Check(("05",), cycles.jsq_is_best, True),
        Check(("05",), cycles.is_near_jsq, True),
        Check(("05",), cycles.is_best_between, True),
        Check(("05",), cycles.approaches_random, True),
        Check(("05",), cycles.sharing_is_similar, True),
        Check(("05",), cycles.sharing_is_never_better, True),
        Check(("05",), cycles.random_is_own),
        *(Check((name,), large_systems.jsq_deteriorates) for name in LARGE),
    ],
    "The mean-field limit (figure 6, Theorem 1 and Corollary 1.1)": [
        Check(("06",), cycles.drops_converge),
        Check(("06",), cycles.training_is_reached),
        Check(("training_size",), theory.hundred_nodes_suffice),
        *(Check((name,), growth.drops_converge) for name in THEOREM_1),
        *(Check((name,), theory.order_is_the_limits, True) for name in THEOREM_1),
        Check(("bethe_root",), root.root_differs),
    ],
    "Large systems (figure 7)": [
        *(Check((name,), check, True) for check in ON_LARGE for name in LARGE),
        *(Check((name,), cycles.random_is_own) for name in ("07a", "07b", "07c")),
        Check(("07d",), large_systems.own_is_ahead),
        Check(("delta_t_small",), theory.jsq_is_best_at_zero, True),
        Check(("delta_t_large",), theory.random_is_best_at_infinity, True),
    ],
    "Bethe lattice (figure 8)": [
        Check(("08",), large_systems.own_is_ahead),
        Check(("07d", "08"), large_systems.own_is_further_ahead),
        Check(("08",), large_systems.jsq_is_outperformed, True),
        Check(("08",), large_systems.is_best_at_three, True),
        Check(("08",), large_systems.falls_behind, True),
    ],
    "Recurrent policies and decentralized execution (figure 9)": [
        Check(("09a",), trainings.recurrence_gives_nothing),
        Check(("09b",), large_systems.observations_are_alike, True),
        Check(("09b",), theory.local_rules_send_less),
    ],
    "Larger buffers and unequal servers (figure 10)": [
        Check(("10a",), large_systems.is_best_with_large_buffers, True),
        Check(("training_buffer",), trainings.longer_training),
        Check(("10b",), large_systems.expected_delay_is_best, True),
        Check(("10b",), large_systems.is_comparable, True),
        Check(("10b",), large_systems.outperforms_jsq, True),
    ],
}
"""The paper's claims in its order, by what they are about."""

HEAD = f"""\
# The paper's figures

Made by `python -m policies.paper` from the scenario files in `scenarios/paper`: {{episodes}} for each point,
drops per queue and 50 ms, delta_t in ms, 95 % intervals (Student t). All dispatchers meet the same paths of arrival
rates, and differences are paired by episode. The policies are those of `policies/trained`; each training was done with
one seed unless the page says with how many. What the paper leaves open or misprints stands in
[the model](model.md).{{missing}}

The paper can be read in two ways. Section 1.3.3 lets a scheduler draw for each packet whether to offload it;
Algorithm 1 (lines 10 to 13) and section 2.2 let it draw once, at the epoch's start, for all packets of the epoch. All
that concerns policies was learned and measured under both: **per job** and **per epoch**.

{{count}}

One scale, percent of what is compared with, paired:

- A dispatcher is **ahead** of another if the interval of their difference excludes 0, and **best** if of all others. It
  is not if a lead of {EQUAL:g} % is excluded; else nothing is decided.
- What the paper calls **close, similar, comparable, coinciding or negligible** is within {LIKE:g} %, what it calls
  **equal or converged** within {EQUAL:g} %: yes if the whole interval is, no if none of it is, else not decided.
- **Would be seen**: the smallest difference, in percent, that would have been seen at the level of 5 % with a
  probability of 80 %, at the least precise point of the claim.

## What the paper says, and what was measured
"""


class Row(NamedTuple):
    """A claim under one reading, or under both."""

    claims: tuple[Claim, ...]

    @property
    def first(self) -> Claim:
        """The claim, or that under the first reading."""
        return self.claims[0]

    def verdict(self, reading: Reading) -> Verdict:
        """Return the verdict under a reading, the only one there is if the claim has none."""
        return next((claim.verdict for claim in self.claims if claim.reading == reading), self.first.verdict)


def held(figures: Mapping[str, Figure]) -> dict[str, list[Row]]:
    """Return the claims that the figures at hand can be held against, by group."""
    return {heading: list(_rows(checks, figures)) for heading, checks in GROUPS.items()}


def _rows(checks: Sequence[Check], figures: Mapping[str, Figure]) -> Iterator[Row]:
    for check in checks:
        if not all(name in figures for name in check.figures):
            continue
        own = [figures[name] for name in check.figures]
        if check.has_readings and any(figure.has_readings for figure in own):
            under = [_claims(check, [figure.under(reading) for figure in own], reading) for reading in READINGS]
            yield from map(Row, zip(*under, strict=True))
        else:
            yield from (Row((claim,)) for claim in _claims(check, own, ""))


def _claims(check: Check, figures: Sequence[Figure], reading: Reading) -> list[Claim]:
    found = check.claim(*figures)
    return [claim._replace(reading=reading) for claim in ([found] if isinstance(found, Claim) else found)]


def page(figures: Mapping[str, Figure], missing: Sequence[str] = ()) -> str:
    """Return docs/paper.md; `missing` are sentences on figures that are not there."""
    groups = {heading: found for heading, found in held(figures).items() if found}
    every = [row for found in groups.values() for row in found]
    episodes = sorted({figure.episodes for figure in figures.values() if figure.episodes})
    head = HEAD.format(
        episodes=" or ".join(f"{count:,}" for count in episodes) + " episodes",
        missing="".join(f" {sentence}" for sentence in missing),
        count=_count(every),
    )
    parts = [head, *(_table(heading, found) for heading, found in groups.items())]
    parts += [_contradictions(every, figures), _undecided(every), tables.worth(figures), _theorem(figures)]
    parts += [tables.checked(figures), _pictures(figures)]
    return "\n".join(part for part in parts if part)


def _count(every: Sequence[Row]) -> str:
    both = [[row.verdict(reading) for reading in READINGS] for row in every]
    holds = Counter(tuple(verdict is Verdict.YES for verdict in verdicts) for verdicts in both)
    undecided = sum(Verdict.UNDECIDED in verdicts for verdicts in both)
    return (
        f"Of {len(every)} claims {holds[True, True]} hold under both readings, {holds[False, True]} per epoch only, "
        f"{holds[True, False]} per job only and {holds[False, False]} under none; of {undecided} something is not "
        "decided. What no policy concerns holds under both or none. Why claims do not hold, as far as it is known, "
        "stands below the tables."
    )


def _table(heading: str, found: Sequence[Row]) -> str:
    head = ["| Claim | Figure | Measured | Would be seen | Per job | Per epoch |", "|---|---|---|--:|---|---|"]
    return "\n".join([f"### {heading}\n", *head, *map(_line, found), ""])


def _line(row: Row) -> str:
    first = row.first
    told = [(f"*{READINGS[claim.reading]}*: " if claim.reading else "") + claim.measured for claim in row.claims]
    seen = ["-" if claim.seen is None else f"{claim.seen:.1f} %" for claim in row.claims]
    verdicts = [row.verdict(reading).value for reading in READINGS]
    cells = [first.text, short(first.figure), "<br>".join(told), "<br>".join(dict.fromkeys(seen)), *verdicts]
    return f"| {' | '.join(cells)} |"


def short(name: str) -> str:
    """Return what a figure is called in the page: 7a, Theorem 1, or the name of its run."""
    return "Theorem 1" if name.startswith("theorem") else spoken(name)


def _contradictions(every: Sequence[Row], figures: Mapping[str, Figure]) -> str:
    """Return why claims do not hold: each reason with the claims that it is for, then those without one."""
    failed = [row for row in every if any(claim.verdict is Verdict.NO for claim in row.claims)]
    if not failed:
        return ""
    parts = ["## Where the paper is contradicted\n"]
    rest = []
    for name in [*REASONS, ""]:
        found = [row for row in failed if row.first.reason == name]
        text = reason_for(name, figures) if found else None
        if text is None:
            rest += found
        else:
            parts += [*_bullets(found, Verdict.NO), f"\n{text}\n"]
    if rest:
        text = "What was measured of these stands in the tables; no reason was looked for."
        parts += [*_bullets(rest, Verdict.NO), f"\n{text}\n"]
    return "\n".join(parts)


def _undecided(every: Sequence[Row]) -> str:
    found = [row for row in every if any(claim.verdict is Verdict.UNDECIDED for claim in row.claims)]
    if not found:
        return ""
    text = "\nThe intervals leave both open; the tables say what would have been seen.\n"
    return "\n".join(["## What is not decided\n", *_bullets(found, Verdict.UNDECIDED), text])


def _bullets(found: Iterable[Row], verdict: Verdict) -> list[str]:
    return [f"- {row.first.text} ({short(row.first.figure)}): {_said(row, verdict)}" for row in found]


def _said(row: Row, verdict: Verdict) -> str:
    """Return under which readings a claim has a verdict."""
    readings = [claim.reading for claim in row.claims if claim.verdict is verdict]
    told = " and ".join(READINGS[reading] for reading in readings if reading)
    return f"{verdict.value} {told}".strip()


def _theorem(figures: Mapping[str, Figure]) -> str:
    """Return the tables of Theorem 1."""
    parts = []
    for name in (*THEOREM_1, "theorem_1_bethe"):
        if name in figures:
            parts += [f"### The {figures[name].place}\n", *growth.table(figures[name]), ""]
    text = [growth.TEXT] if parts else []
    if "bethe_root" in figures:
        parts += ["### The root of the Bethe lattice\n", root.TEXT, *root.table(figures["bethe_root"]), ""]
    return "\n".join(["## Theorem 1 in numbers\n", *text, *parts]) if parts else ""


def _pictures(figures: Mapping[str, Figure]) -> str:
    parts = ["## The pictures\n"]
    for figure in figures.values():
        title = figure.name.replace("theorem_1_", "Theorem 1: ").replace("_", " ").capitalize()
        heading = f"Figure {short(figure.name)}" if figure.name[0].isdigit() else title
        parts += [f"### {heading}\n", f"![{heading}](paper/{stem_of(figure.name)}.png)\n"]
    return "\n".join(parts)


def stem_of(name: str) -> str:
    """Return what the scenario file of a figure is called."""
    return f"figure_{name}" if name[0].isdigit() else name
