"""`python -m policies.card`: the card of the shipped policies, made from what their files say of themselves."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dispatchers.errors import DispatcherError
from dispatchers.onnx_files.kinds import Policy, kind_of
from dispatchers.view import Floats
from emulator.command_line import BAD_INPUT, Parser
from emulator.errors import InputError
from emulator.machine.starting import start
from emulator.results.estimates import mean_interval
from policies.process.scoring import EPISODES
from policies.provenance import metadata_of

SHELF = Path(__file__).resolve().parent / "trained"

DESCRIPTION = """\
Print the card of the shipped policies, Markdown, made from what their files say of themselves:
python -m policies.card > policies/trained/README.md
"""

HEAD = """\
# Trained policies

ONNX files for the dispatchers `MF-R`, `MF-N`, `MF-G`, `MF-RNN`, `NA-PS` and `SAC`; a scenario names one as
`{{name: MF-R, policy: "trained/torus_{{delta_t}}.onnx"}}`. One command trains the shelf again, but for what is there
already (`--fresh`: all of it):

```sh
python -m policies scenarios/training/*.yaml --out policies/trained
```

On the same machine and versions the same command gives the same networks to the last bit, elsewhere the last digits
may differ. Each file's metadata hold its training scenario, hyperparameters, seed, versions and scores. This page is
made by `python -m policies.card` from them.

`static` is the yardstick: the best fixed decision rule, a probability of offloading for each own queue length, that a
direct search finds. Drops are per server and 50 ms, as expected by the exact law of the queues in an epoch: the mean
over {episodes} episodes, mostly on a larger graph than that of the training, on other random numbers. The paths of the
arrival rate make nearly all of the variance of that mean; all rules met the same paths, so the last column, the
difference from the best fixed rule with its 95 % interval, is paired and far sharper. The rule is the probability of
offloading for 0, 1, ... jobs in the own queue, drawn from `▁` for 0 to `█` for 1 and then in percent; of a policy that
observes more, for all observed queues as long as the own one. Whether to offload is drawn for each job, or, where
`epoch` stands in a file's name, once per epoch; each is compared with the best fixed rule that is drawn alike.
"""

BLOCKS = "▁▂▃▄▅▆▇█"

SCORES = ("score", "score_RND", "score_OWN", "score_JSQ")
"""What a file says of drops: its policy's, and those of others on the same paths."""


class Shipped(NamedTuple):
    """A file of the shelf: what it says of itself, and its rule where it has one that can be drawn."""

    path: Path
    told: dict[str, str]
    rule: str

    @property
    def delta_t(self) -> float:
        """The delta_t it was trained for, ms."""
        return float(self.told["delta_t"])

    @property
    def point(self) -> tuple[str, float, bool]:
        """What it has in common with those that it is compared with: system, delta_t, whether actions hold."""
        return self.told["score_on"], self.delta_t, self.told.get("draws") == "epoch"

    @property
    def episodes(self) -> Floats:
        """Drops per server and 50 ms in each episode that it was scored on."""
        return np.array(self.told["score_episodes"].split(), dtype=np.float64)


def card(folder: Path = SHELF) -> str:
    """Return the card of the policies in a folder as Markdown. Raises `InputError` and `DispatcherError`."""
    shelf = [_shipped(path) for path in sorted(folder.glob("*.onnx"))]
    if not shelf:
        raise InputError(f"{folder}: holds no policies")
    static = {each.point: each for each in shelf if each.told["algorithm"] == "STATIC"}
    families: dict[str, list[Shipped]] = {}
    for each in sorted(shelf, key=lambda each: (*each.point[1:], each.told["algorithm"] != "STATIC", each.path.name)):
        families.setdefault(_family(each), []).append(each)
    text = HEAD.format(episodes=len(shelf[0].episodes))
    for title, members in sorted(families.items()):
        rows = "\n".join(_row(each, static.get(each.point)) for each in members)
        text += f"\n## {title}\n\n{_COLUMNS}\n{rows}\n"
    return text


_COLUMNS = """\
| Δt | File | As | Rule | Drops | RND | OWN | JSQ | Less static, % |
|---|---|---|---|---|---|---|---|---|"""


def _shipped(path: Path) -> Shipped:
    told = metadata_of(path)
    try:
        _check(told)
    except (KeyError, ValueError, TypeError):
        raise InputError(f"{path}: its metadata are not those that python -m policies writes") from None
    rule = ""
    if kind_of(path) == "plain":
        policy = Policy(path)
        probabilities = np.diagonal(policy.rules(np.eye(policy.buffer + 1)))
        blocks = "".join(BLOCKS[round(float(each) * (len(BLOCKS) - 1))] for each in probabilities)
        rule = f"`{blocks}` {' '.join(f'{100.0 * each:.0f}' for each in probabilities)}"
    return Shipped(path, told, rule)


def _check(told: Mapping[str, str]) -> None:
    """Raise one of several errors if a file does not say all that the card tells."""
    for key in ("delta_t", *SCORES):
        float(told[key])
    if len([float(drops) for drops in told["score_episodes"].split()]) != EPISODES:
        raise ValueError
    on = json.loads(told["score_on"])
    _ = told["algorithm"], told["executed_as"], on["topology"]["kind"], on["buffer"], on["service"]


def _family(each: Shipped) -> str:
    """Return what the policies that are compared with each other have in common: the system they are scored on."""
    on = json.loads(each.told["score_on"])
    graph = ", ".join(f"{key} {value}" for key, value in on["topology"].items() if key != "kind")
    title = f"{on['topology']['kind'].replace('_', ' ')}, {graph}"
    if on["buffer"] != 5:
        title += f", buffer {on['buffer']}"
    rates = on["service"].get("rates")
    return title if rates is None else f"{title}, servers of rate {' and '.join(f'{rate:g}' for rate in rates)}"


def _row(each: Shipped, static: Shipped | None) -> str:
    numbers = [f"{float(each.told[key]):.3f}" for key in SCORES]
    difference = "" if static is None or each is static else _difference(each.episodes, static.episodes)
    cells = [f"{each.delta_t:g}", f"`{each.path.name}`", each.told["executed_as"], each.rule]
    return f"| {' | '.join([*cells, *numbers, difference])} |"


def _difference(drops: Floats, yardstick: Floats) -> str:
    """Return how many percent of the yardstick's drops there are beyond those, with the interval if there is one."""
    gaps = drops - yardstick
    if not gaps.any():
        return f"equal in all {len(gaps)} episodes"
    if not yardstick.any():
        return ""
    mean, low, high = (100.0 * end / yardstick.mean() for end in mean_interval(gaps))
    return f"{mean:+.2f} " + (f"[{low:+.2f}, {high:+.2f}]" if math.isfinite(low) else f"in all {len(gaps)} episodes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the card and return the exit status."""
    Parser(prog="python -m policies.card", description=DESCRIPTION).parse_args(arguments)
    try:
        sys.stdout.write(card(SHELF))
    except (DispatcherError, InputError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    start("dispatchers")
    sys.exit(main())
