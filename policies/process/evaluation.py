"""How good a policy is: drops per server and 50 ms, by the law of the epochs that it was trained with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dispatchers.contract import Draws
from dispatchers.onnx_files.kinds import RecurrentPolicy
from emulator.machine.compiling import compiled
from emulator.model.system import System
from emulator.randomness import DECISION, SEED_LIMIT, random_uniform
from policies.process.networks import Floats, ParallelNetworks

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


def recurrent(policy: RecurrentPolicy) -> Offload:
    """Execute a policy as MF-RNN: schedulers feed the distribution of all queue lengths and what they carry.

    All of a network carry the same, as they began with zeros and were fed the same: one hidden state per copy.
    """
    hidden = np.zeros((0, policy.hidden))

    def offload(networks: ParallelNetworks) -> Floats:
        nonlocal hidden
        if networks.epoch == 0:
            hidden = np.zeros((networks.copies, policy.hidden))
        rules, hidden = policy.advance(networks.distributions(), hidden)
        return networks.follow(rules)

    return offload


def random_server(networks: ParallelNetworks) -> Floats:
    """Execute RND: uniform over the accessible servers, the own one included."""
    degrees = networks.system.topology.degrees
    return np.broadcast_to(degrees / (degrees + 1.0), networks.queue_lengths.shape)


def own_server(networks: ParallelNetworks) -> Floats:
    """Execute OWN: every scheduler keeps its jobs."""
    return np.zeros(networks.queue_lengths.shape)


def join_shortest_queue(networks: ParallelNetworks) -> Floats:
    """Execute JSQ and return the jobs per ms that come to each server, copies x nodes.

    A scheduler sends all jobs of an epoch to one of the accessible servers with the shortest queues, as the dispatcher
    does.
    """
    return _join_shortest_queue(
        networks.queue_lengths,
        networks.system.access.servers,
        networks.system.access.offsets,
        networks.arrival_rates[:, networks.epoch],
        np.uint64(networks.system.seed),
        networks.replications,
        networks.epoch,
    )


@compiled()
def _join_shortest_queue(queue_lengths, access, offsets, rates, seed, replications, epoch):  # type: ignore[no-untyped-def]
    copies, nodes = queue_lengths.shape
    received = np.zeros((copies, nodes))
    for copy in range(copies):
        for node in range(nodes):
            accessible = access[offsets[node] : offsets[node + 1]]
            least = queue_lengths[copy, accessible[0]]
            ties = 0
            for server in accessible:
                if queue_lengths[copy, server] < least:
                    least, ties = queue_lengths[copy, server], 0
                ties += queue_lengths[copy, server] == least
            left = int(random_uniform(node, epoch, 0, DECISION, seed, replications[copy]) * ties)
            for server in accessible:
                if queue_lengths[copy, server] == least:
                    if left == 0:
                        received[copy, server] += rates[copy]
                        break
                    left -= 1
    return received


def drops(
    system: System, offload: Offload, *, episodes: int, seed: int = EVALUATION_SEED, draws: Draws = "job"
) -> Floats:
    """Return the drops per server and 50 ms in each episode, as expected from its queues at epochs' starts.

    `draws` says how often schedulers draw whether to offload. The same seed gives the same paths of arrival rates
    whatever `offload` is, so differences are paired.
    """
    return _played(system, lambda networks: networks.step(offload(networks)), episodes, seed, draws)


def drops_of_received(system: System, received: Offload, *, episodes: int, seed: int = EVALUATION_SEED) -> Floats:
    """The same for rules that say how many jobs per ms come to each server, copies x nodes."""
    return _played(system, lambda networks: networks.step_received(received(networks)), episodes, seed, "job")


def _played(system: System, advance: Offload, episodes: int, seed: int, draws: Draws) -> Floats:
    networks = ParallelNetworks(system, copies=episodes, seed=seed, draws=draws)
    networks.reset()
    total = np.zeros(episodes)
    while not networks.is_over:
        total += advance(networks).mean(axis=1)
    return total * 50.0 / system.horizon


EXECUTIONS: dict[str, Callable[[Rules, int], Offload]] = {
    "MF-R": own_state,
    "NA-PS": own_state,
    "MF-N": lambda rules, buffer: neighbourhood(rules),
    "MF-G": lambda rules, buffer: global_state(rules),
}
"""How the dispatchers of these names execute a policy."""
