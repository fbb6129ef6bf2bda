"""How good a policy is: drops per server and 50 ms, by the law of the epochs that it was trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emulator.randomness import SEED_LIMIT
from emulator.statistics import mean_interval
from emulator.system import System
from policies.environment import Floats, ParallelNetworks
from policies.presets import Observation

EVALUATION_SEED = SEED_LIMIT - 1
"""Kept for evaluation, so that no policy was trained on it and all are scored on the same numbers."""

Rules = Callable[[Floats], Floats]
"""From distributions of queue lengths to decision rules, both rows x buffer + 1."""

Offload = Callable[[ParallelNetworks], Floats]
"""From networks at an epoch's start to offload probabilities, copies x nodes."""


def own_state(rules: Rules, buffer: int) -> Offload:
    """Execute a policy as MF-R: each scheduler feeds the one-hot of its own length and takes that entry."""
    rule = np.diagonal(rules(np.eye(buffer + 1)))
    return lambda networks: rule[networks.queue_lengths]


def global_state(rules: Rules) -> Offload:
    """Execute a policy as MF-G: all schedulers feed the distribution of all queue lengths."""
    return lambda networks: networks.follow(rules(networks.distributions()))


def neighbourhood(rules: Rules) -> Offload:
    """Execute a policy as MF-N: each scheduler feeds the distribution of the queues that it can access."""

    def offload(networks: ParallelNetworks) -> Floats:
        observations, which = networks.accessible_distributions()
        own = networks.queue_lengths
        return rules(observations)[which.ravel(), own.ravel()].reshape(own.shape)

    return offload


def random_server(networks: ParallelNetworks) -> Floats:
    """Execute RND: uniform over the accessible servers, the own one included."""
    degrees = networks.system.topology.degrees
    return np.broadcast_to(degrees / (degrees + 1.0), networks.queue_lengths.shape)


def drops(system: System, offload: Offload, *, episodes: int, seed: int = EVALUATION_SEED) -> Floats:
    """Return the drops per server and 50 ms in each episode, as expected from its queues at epochs' starts.

    The same seed gives the same paths of arrival rates whatever `offload` is, so differences are paired.
    """
    networks = ParallelNetworks(system, copies=episodes, seed=seed)
    networks.reset()
    total = np.zeros(episodes)
    while not networks.is_over:
        total += networks.step(offload(networks)).mean(axis=1)
    return total * 50.0 / system.horizon


@dataclass(frozen=True)
class Score:
    """Mean drops per server and 50 ms, with the ends of a 95 % interval, and RND's on the same paths."""

    episodes: int
    drops: float
    low: float
    high: float
    random_drops: float


EXECUTIONS: dict[Observation, Callable[[Rules, int], Offload]] = {
    "own": own_state,
    "accessible": lambda rules, buffer: neighbourhood(rules),
    "all": lambda rules, buffer: global_state(rules),
}
"""How a policy is executed that was trained for an observation."""


def score(system: System, rules: Rules, observation: Observation, *, episodes: int = 100) -> Score:
    """Score a policy in the way it is executed: as MF-R, MF-N or MF-G, by what it was trained for."""
    offload = EXECUTIONS[observation](rules, system.buffer)
    mean, low, high = mean_interval(drops(system, offload, episodes=episodes))
    random_mean = float(drops(system, random_server, episodes=episodes).mean())
    return Score(episodes, mean, low, high, random_mean)
