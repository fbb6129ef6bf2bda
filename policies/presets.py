"""How each algorithm learns: the paper's Table 2, and recipes that are quicker and better on one core."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.algorithms.actor_critic import ScalableActorCritic
from policies.algorithms.algorithm import Algorithm
from policies.algorithms.direct_search import STATIC, DirectSearch
from policies.algorithms.ppo import ProximalPolicyOptimization

if TYPE_CHECKING:
    from emulator.scenario.training import Training

TABLE_2 = ProximalPolicyOptimization(iterations=200)

_FAST = ProximalPolicyOptimization(
    iterations=60,
    epochs=None,
    networks=10,
    copies_per_path=10,
    minibatch=1000,
    passes=10,
    learning_rate=1e-2,
    # What comes long after a decision is noise, which lambda below 1 takes out. With short epochs 0.9 is too low.
    gae_lambda=0.98,
    clip=0.4,
    kl_coefficient=0.0,
    hidden=(),
    start=-0.25,
    log_std=0.1,
    final_log_std=-1.8,
)

_SAME_IN_BOTH: dict[str, Algorithm] = {
    "SAC": ScalableActorCritic(),
    "STATIC": STATIC,
    "MF-N": DirectSearch(iterations=200, observation="accessible", components=5),
}

PRESETS: dict[str, dict[str, Algorithm]] = {
    "fast": {
        "MF-R": replace(_FAST, observation="own"),
        "MF-G": DirectSearch(iterations=200, observation="all", nodes=32_000, networks=20, components=2),
        # A minibatch is 20 episodes: an LSTM takes whole sequences in little more time than single epochs.
        "MF-RNN": replace(_FAST, iterations=50, networks=20, learning_rate=2e-3, recurrent=64),
        # One scheduler's drops say less than a network's: a lower lambda, and with long epochs longer episodes.
        "NA-PS": replace(
            _FAST,
            iterations=48,
            observation="own",
            rows="schedulers",
            epochs=50,
            networks=1,
            batch=50_000,
            minibatch=2000,
            gae_lambda=0.97,
        ),
        **_SAME_IN_BOTH,
    },
    "paper": {
        "MF-R": TABLE_2,
        "MF-G": TABLE_2,
        # Table 2 has no LSTM: this one is as wide as the layers. It does without the KL penalty, see `recurrent`.
        "MF-RNN": replace(TABLE_2, recurrent=256, kl_coefficient=0.0),
        # Section 3: a batch of 50,000 and minibatches of 8,000 for it to converge on a ring of 5.
        "NA-PS": replace(TABLE_2, observation="own", rows="schedulers", batch=50_000, minibatch=8000),
        **_SAME_IN_BOTH,
    },
}
"""By preset and algorithm. Direct searches and SAC have no place in Table 2: they are the same in both."""


def algorithm_of(training: Training) -> Algorithm:
    """Return the algorithm, with its hyperparameters, that a scenario asks for. Raises `InputError`."""
    return PRESETS[training.preset][training.algorithm].asked(training)
