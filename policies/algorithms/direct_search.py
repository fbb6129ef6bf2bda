"""Decision rules without hidden layers, found directly by CMA-ES: the best fixed one, and those linear in what is seen.

The fixed rule is the yardstick for MF-R, whose policy comes down to one. A rule that is linear in the distribution of
the accessible queues (MF-N) or of all queues (MF-G) has (buffer + 1)**2 numbers: few enough to search for, and it
contains every fixed rule, as the shares of a distribution sum to 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dispatchers.contract import Draws
from dispatchers.view import Floats
from emulator.model.system import System
from emulator.results.measures import REFERENCE_TIME
from policies.algorithms.algorithm import BY_OBSERVATION, Algorithm
from policies.export import linear_to_onnx
from policies.log import TrainingLog
from policies.process.epoch_law import linear_offload
from policies.process.networks import Observation, ParallelNetworks

if TYPE_CHECKING:
    import onnx

    from emulator.scenario.scenario import Scenario

SECONDS_PER_QUEUE = 3.75e-7
"""About what a generation takes for each queue of a candidate and epoch."""

TRIALS = 20
"""Episodes by which rules are told apart that a search may begin at, or end at."""


@dataclass(frozen=True, kw_only=True)
class DirectSearch(Algorithm):
    """CMA-ES (N. Hansen, A. Ostermeier, 2001) for the numbers of a rule without hidden layers, in some generations."""

    title: ClassVar[str] = "SearchPreset"

    observation: Observation
    """own: a fixed decision rule; else one that is linear in the distribution of the accessible queues, or of all."""

    nodes: int = 8000
    """Queues that a candidate is tried on, in as many copies of the network as that takes."""

    networks: int = 1
    """Copies that share one path of arrival rates and are observed together, as one large network would be."""

    components: int = 0
    """Principal components of what is observed that a rule depends on."""

    deviation: float = 0.05
    """Initial standard deviation of the candidates, in units of a probability."""

    @property
    def executed_as(self) -> str:
        """See `Algorithm.executed_as`."""
        return BY_OBSERVATION[self.observation]

    def seconds_per_step(self, scenario: Scenario) -> float:
        """See `Algorithm.seconds_per_step`."""
        return SECONDS_PER_QUEUE * self.nodes * scenario.horizon / scenario.delta_t

    def learn(
        self, systems: Sequence[System], *, seed: int, draws: Draws, log: TrainingLog, metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """See `Algorithm.learn`; the best fixed rule is quickly found and a good place for the others to begin at."""
        start = None
        if self.observation != "own":
            start = search(systems, STATIC, seed=seed, draws=draws)[:, 0]
        return linear_to_onnx(search(systems, self, seed=seed, start=start, log=log, draws=draws), metadata)


STATIC = DirectSearch(iterations=80, observation="own", deviation=0.2)
"""The search for the best fixed decision rule."""


def search(
    systems: System | Sequence[System],
    preset: DirectSearch,
    *,
    seed: int,
    start: Floats | None = None,
    log: TrainingLog | None = None,
    draws: Draws = "job",
) -> Floats:
    """Return the weights, buffer + 1 x buffer + 1, of the rule `clip(weights @ distribution, 0, 1)` with least drops.

    A row belongs to an own queue length; it is constant for a fixed rule (`observation: own`). The search begins at the
    rule `start` (buffer + 1 probabilities), by default at that of RND. If actions hold for an epoch there are several
    optima, and by default it begins at, and ends no worse than, the best rule that offloads from some length on.
    """
    systems = [systems] if isinstance(systems, System) else list(systems)
    system = systems[0]
    together = preset.networks * len(systems)
    copies = max(1, round(preset.nodes / system.nodes / together)) * together
    networks = ParallelNetworks(systems, copies=copies, seed=seed, copies_per_path=preset.networks, draws=draws)
    if start is not None:
        return _search_from(networks, start, preset, seed, log)
    degree = float(np.mean(system.graph.degrees))
    random = np.full(system.buffer + 1, degree / (degree + 1.0))
    if draws == "job":
        return _search_from(networks, random, preset, seed, log)
    lengths = np.arange(system.buffer + 1)
    # Never to offload comes first: on regular graphs always to offload is the same.
    thresholds = [(lengths >= least).astype(np.float64) for least in reversed(range(system.buffer + 2))]
    first = range(preset.iterations, preset.iterations + TRIALS)  # which no generation meets
    fixed = [np.repeat(rule[:, None], len(rule), axis=1) for rule in (*thresholds, random)]
    best = _best(networks, fixed, preset, first)
    found = _search_from(networks, best[:, 0], preset, seed, log)
    return _best(networks, [best, found], preset, range(first.stop, first.stop + TRIALS))


def _best(networks: ParallelNetworks, rules: Sequence[Floats], preset: DirectSearch, episodes: Iterable[int]) -> Floats:
    """Return the weights with least drops in some episodes."""
    return min(rules, key=lambda weights: sum(_drops(networks, weights, preset, episode) for episode in episodes))


def _search_from(
    networks: ParallelNetworks, start: Floats, preset: DirectSearch, seed: int, log: TrainingLog | None
) -> Floats:
    """Return the weights that a search from a fixed rule ends at, of whose generations each meets its own numbers."""
    import cma

    features = _features(networks, start, preset)
    numbers = np.zeros((len(start), len(features)))
    numbers[:, 0] = start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its options' names
        strategy = cma.CMAEvolutionStrategy(numbers.ravel(), preset.deviation, _options(numbers.shape, seed))
    middles = []
    for generation in range(preset.iterations):
        candidates = strategy.ask()
        drops = [_drops(networks, _weights(numbers, features), preset, generation) for numbers in candidates]
        strategy.tell(candidates, drops)
        middles.append(strategy.result.xfavorite)
        if log is not None:
            log.note(decisions=(generation + 1) * len(candidates), drops=float(np.mean(drops)))
    # What the generations met by chance averages out.
    return _weights(np.mean(middles[len(middles) // 2 :], axis=0), features)


def _options(shape: tuple[int, int], seed: int) -> dict[str, Any]:
    never: dict[str, Any] = {"tolfun": 0.0, "tolfunhist": 0.0, "tolx": 0.0, "tolstagnation": 10**9}
    # Beyond 0 and 1 a rule no longer changes, so a search would lose its way: what it is in the mean stays within.
    bounds = np.full((2, *shape), [[[-np.inf]], [[np.inf]]])
    bounds[:, :, 0] = [[0.0], [1.0]]
    return {"seed": seed + 1, "verbose": -9, "bounds": bounds.reshape(2, -1).tolist(), **never}


def _features(networks: ParallelNetworks, start: Floats, preset: DirectSearch) -> Floats:
    """Return the features that rules are linear in, each a linear function of the distribution: some x buffer + 1.

    The first is 1. The others are the principal components of the distributions met under the rule `start`, of mean 0
    and variance 1 there, so that a change of any number changes a rule about equally.
    """
    ones = np.ones((1, len(start)))
    if preset.components == 0:
        return ones
    networks.reset()
    met = []
    while not networks.is_over:
        networks.step(np.clip(start, 0.0, 1.0)[networks.queue_lengths])
        met.append(_observed(networks, preset))
    observed = np.concatenate(met)
    mean = observed.mean(axis=0)
    _, sizes, directions = np.linalg.svd(observed - mean, full_matrices=False)
    kept = directions[: min(preset.components, len(start) - 1)]
    deviations = sizes[: len(kept), None] / np.sqrt(len(observed))
    # As the shares of a distribution sum to 1, subtracting a number from a row subtracts it from the feature.
    return np.concatenate([ones, (kept - (kept @ mean)[:, None]) / deviations])


def _observed(networks: ParallelNetworks, preset: DirectSearch) -> Floats:
    """Return what is observed, some number x buffer + 1: distributions of accessible queues, or of networks."""
    if preset.observation == "accessible":
        return networks.accessible_distributions()[0]
    lengths = networks.system.buffer + 1
    return networks.distributions().reshape(-1, preset.networks, lengths).mean(axis=1)


def _weights(numbers: Floats, features: Floats) -> Floats:
    return np.asarray(numbers, dtype=np.float64).reshape(features.shape[1], -1) @ features


def _drops(networks: ParallelNetworks, weights: Floats, preset: DirectSearch, episode: int) -> float:
    """Return the mean drops per queue and 50 ms of a rule in an episode, whose number says its random numbers."""
    networks.episode = episode - 1
    networks.reset()
    total = 0.0
    while not networks.is_over:
        total += float(networks.step(_offload(networks, weights, preset)).mean())
    return total * REFERENCE_TIME / networks.system.horizon


def _offload(networks: ParallelNetworks, weights: Floats, preset: DirectSearch) -> Floats:
    if preset.observation == "accessible":
        return linear_offload(networks.queue_lengths, weights, networks.graph_of, networks.offsets, networks.neighbours)
    if preset.observation == "all":
        rules = np.clip(_observed(networks, preset) @ weights.T, 0.0, 1.0)
        return networks.follow(np.repeat(rules, preset.networks, axis=0))
    return np.clip(weights[:, 0], 0.0, 1.0)[networks.queue_lengths]
