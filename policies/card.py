"""`python -m policies.card`: the card of the shipped policies, made from what their files say of themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from dispatchers.policy import Policy

SHELF = Path(__file__).resolve().parent / "trained"

HEAD = """\
# Trained policies

ONNX files for the dispatcher MF-R, called `<topology>_<delta_t>.onnx`, and as a yardstick the best fixed decision rules
that a direct search finds, called `<topology>_static_<delta_t>.onnx`. A scenario names one as
`{name: MF-R, policy: "trained/torus_{delta_t}.onnx"}`. This page is made by `python -m policies.card` from the files'
metadata, which also hold the training scenario, seed and versions.

Drops are per server and 50 ms, as expected by the exact law of the queues in an epoch: the mean over 100 episodes on a
larger graph than that of the training, on other random numbers, with its 95 % interval. The paths of the arrival rate
make nearly all of the interval's width; RND is on the same paths. The rule is the probability of offloading a job for
0, 1, ... jobs in the own queue, in percent.
"""

COMMANDS = """
The commands that trained them, some 15 s of one core for each file; the same command gives the same bytes on the same
machine and versions, elsewhere the last digits may differ:

```sh
{commands}
```
"""


def card(folder: Path = SHELF) -> str:
    """Return the card of the policies in a folder as Markdown."""
    paths = sorted(
        folder.glob("*.onnx"), key=lambda path: (path.stem.rpartition("_")[0], float(path.stem.split("_")[-1]))
    )
    policies = [Policy(path) for path in paths]
    rows = "\n".join(map(_row, policies))
    commands = "\n".join(dict.fromkeys(policy.metadata["command"] for policy in policies))
    header = "| File | Scored on | Drops | 95 % interval | RND | Rule, % |\n|---|---|---|---|---|---|\n"
    return f"{HEAD}\n{header}{rows}\n{COMMANDS.format(commands=commands)}"


def _row(policy: Policy) -> str:
    told = policy.metadata
    topology = json.loads(told["score_scenario"])["topology"]
    graph = ", ".join(f"{key} {value}" for key, value in topology.items() if key != "kind")
    rule = np.diagonal(policy.rules(np.eye(policy.buffer + 1)))
    drops, low, high, rnd = (f"{float(told[key]):.3f}" for key in ("score", "score_low", "score_high", "score_random"))
    percent = " ".join(f"{100 * value:.0f}" for value in rule)
    return f"| `{policy.path.name}` | {topology['kind']}, {graph} | {drops} | {low} to {high} | {rnd} | {percent} |"


if __name__ == "__main__":
    sys.stdout.write(card())
