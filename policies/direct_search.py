"""Decision rules without hidden layers, found directly by CMA-ES: the best fixed one, and those linear in what is seen.

The fixed rule is the yardstick for MF-R, whose policy comes down to one. A rule that is linear in the distribution of
the accessible queues (MF-N) or of all queues (MF-G) has (buffer + 1)**2 numbers: few enough to search for, and it
contains every fixed rule, as the shares of a distribution sum to 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from emulator.system import System
from policies.environment import Floats, ParallelNetworks
from policies.epoch_law import linear_offload
from policies.presets import SearchPreset
from policies.training_log import TrainingLog


def search(
    systems: System | Sequence[System],
    preset: SearchPreset,
    *,
    seed: int,
    start: Floats | None = None,
    log: TrainingLog | None = None,
) -> Floats:
    """Return the weights, buffer + 1 x buffer + 1, of the rule `clip(weights @ distribution, 0, 1)` with least drops.

    A row belongs to an own queue length; it is constant for a fixed rule (`observation: own`). All candidates of a
    generation meet the same random numbers, the next generation others; the middle of the last one is returned.
    The search begins at the rule `start` (buffer + 1 probabilities), by default at that of RND.
    """
    import cma

    systems = [systems] if isinstance(systems, System) else list(systems)
    system = systems[0]
    together = preset.networks * len(systems)
    copies = max(1, round(preset.nodes / system.nodes / together)) * together
    networks = ParallelNetworks(systems, copies=copies, seed=seed, copies_per_path=preset.networks)
    lengths = system.buffer + 1
    if start is None:
        degree = float(np.mean(system.topology.degrees))
        start = np.full(lengths, degree / (degree + 1.0))
    width = 1 if preset.observation == "own" else lengths
    options: dict[str, Any] = {
        "seed": seed + 1,
        "verbose": -9,
        "tolfun": 0.0,
        "tolfunhist": 0.0,
        "tolx": 0.0,
        "tolstagnation": 10**9,
    }
    if preset.observation == "own":
        options["bounds"] = [0.0, 1.0]  # beyond them nothing changes, so a search would lose its way
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its options' names
        strategy = cma.CMAEvolutionStrategy(np.repeat(start, width), preset.deviation, options)
    for generation in range(preset.iterations):
        candidates = strategy.ask()
        drops = [_drops(networks, _weights(numbers, lengths), preset, generation) for numbers in candidates]
        strategy.tell(candidates, drops)
        if log is not None:
            log.note(decisions=(generation + 1) * len(candidates), drops=float(np.mean(drops)))
    return _weights(strategy.result.xfavorite, lengths)


def _weights(numbers: Floats, lengths: int) -> Floats:
    weights = np.asarray(numbers, dtype=np.float64).reshape(lengths, -1)
    return np.repeat(weights, lengths // weights.shape[1], axis=1)


def _drops(networks: ParallelNetworks, weights: Floats, preset: SearchPreset, episode: int) -> float:
    """Return the mean drops per queue and 50 ms of a rule in an episode, whose number says its random numbers."""
    networks.episode = episode - 1
    networks.reset()
    total = 0.0
    while not networks.is_over:
        total += float(networks.step(_offload(networks, weights, preset)).mean())
    return total * 50.0 / networks.system.horizon


def _offload(networks: ParallelNetworks, weights: Floats, preset: SearchPreset) -> Floats:
    if preset.observation == "accessible":
        return linear_offload(networks.queue_lengths, weights, networks.graph_of, networks.offsets, networks.neighbours)
    if preset.observation == "all":
        lengths = networks.system.buffer + 1
        shares = networks.distributions().reshape(-1, preset.networks, lengths).mean(axis=1)
        rules = np.clip(shares @ weights.T, 0.0, 1.0)
        return networks.follow(np.repeat(rules, preset.networks, axis=0))
    return np.clip(weights[:, 0], 0.0, 1.0)[networks.queue_lengths]
