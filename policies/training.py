"""Algorithm 1: learn the upper-level policy by PPO on a finite system."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch.distributions import Normal, kl_divergence

from emulator.system import System
from emulator.workload import epoch_times
from policies.environment import ParallelNetworks
from policies.export import GaussianPolicy
from policies.presets import Preset
from policies.vector_environment import VectorEnvironment


def train(
    system: System,
    preset: Preset,
    *,
    seed: int,
    on_iteration: Callable[[float], None] = lambda drops: None,
) -> GaussianPolicy:
    """Learn a policy. On one machine the same arguments give the same policy to the last bit.

    An episode is the system's, up to its horizon. `on_iteration` is told, in each iteration, the mean drops
    per node and epoch that its batch met. Seeds the global generators of Python, NumPy and torch, which
    stable-baselines3 draws from, and leaves torch with one thread: more are slower here and give other bits.
    """
    torch.set_num_threads(1)
    epochs = len(epoch_times(system.delta_t, system.horizon)) - 1
    copies = max(1, round(preset.batch / epochs / preset.copies_per_path)) * preset.copies_per_path
    networks = ParallelNetworks(system, copies=copies, seed=seed, copies_per_path=preset.copies_per_path)
    penalised = preset.kl_coefficient > 0.0
    with warnings.catch_warnings():
        # A last minibatch may be smaller than the others. That is no harm, and Table 2 has it (4000 by 128).
        warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
        algorithm = (PenalisedPPO if penalised else PPO)(
            PenalisedPolicy if penalised else ActorCriticPolicy,
            VectorEnvironment(networks, preset.observation),
            n_steps=epochs,
            batch_size=preset.minibatch,
            n_epochs=preset.passes,
            learning_rate=preset.learning_rate,
            gamma=preset.discount,
            gae_lambda=preset.gae_lambda,
            clip_range=preset.clip,
            ent_coef=preset.kl_coefficient,  # 0, or PenalisedPPO's penalty
            policy_kwargs={
                "net_arch": {"pi": list(preset.hidden), "vf": list(preset.hidden)},
                "activation_fn": torch.nn.Tanh,
                "log_std_init": preset.log_std,
            },
            seed=seed,
            device="cpu",
        )
    if isinstance(algorithm, PenalisedPPO):
        algorithm.kl_target = preset.kl_target
    algorithm.learn(preset.iterations * epochs * copies, callback=_Report(on_iteration))
    return gaussian_policy(algorithm.policy)


class PenalisedPPO(PPO):
    """PPO with the adaptive KL penalty of Table 2 (RLlib's) beside the clipped ratio.

    The penalty enters the loss where stable-baselines3 has the entropy: see `PenalisedPolicy`.
    """

    kl_target: float

    def train(self) -> None:
        """Learn from the batch, then adapt the coefficient to how far the policy has moved."""
        policy = self.policy
        assert isinstance(policy, PenalisedPolicy)
        policy.remember()
        super().train()
        with torch.no_grad():
            observations = torch.as_tensor(self.rollout_buffer.observations).flatten(end_dim=-2)
            divergence = policy.divergence(observations).mean().item()
        self.ent_coef = adapted_coefficient(self.ent_coef, divergence, self.kl_target)


def adapted_coefficient(coefficient: float, divergence: float, target: float) -> float:
    """Return the weight of the KL penalty for the next iteration, by RLlib's rule."""
    if divergence > 2.0 * target:
        return coefficient * 1.5
    if divergence < 0.5 * target:
        return coefficient * 0.5
    return coefficient


class PenalisedPolicy(ActorCriticPolicy):
    """A policy whose "entropy" is minus its KL divergence from the policy that collected the batch."""

    def remember(self) -> None:
        """Take the present policy as the one that collected the batch."""
        self.collector = copy.deepcopy(self._actor())

    def divergence(self, observations: torch.Tensor) -> torch.Tensor:
        """Return KL(collector, present policy) for each observation."""
        with torch.no_grad():
            collector = _gaussian(observations, *self.collector)
        return kl_divergence(collector, _gaussian(observations, *self._actor())).sum(dim=1)

    def _actor(self) -> tuple[torch.nn.Module, torch.nn.Module, torch.Tensor]:
        return self.mlp_extractor.policy_net, self.action_net, self.log_std

    def evaluate_actions(
        self, obs: PyTorchObs, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values, log-probabilities and what PPO takes for the entropy."""
        assert isinstance(obs, torch.Tensor)
        values, log_probabilities, _ = super().evaluate_actions(obs, actions)
        return values, log_probabilities, -self.divergence(obs)


def _gaussian(
    observations: torch.Tensor, hidden: torch.nn.Module, last: torch.nn.Module, log_std: torch.Tensor
) -> Normal:
    return Normal(last(hidden(observations)), log_std.exp())


class _Report(BaseCallback):
    """Tells the mean drops of each batch."""

    def __init__(self, on_iteration: Callable[[float], None]):
        super().__init__()
        self.on_iteration = on_iteration

    def _on_rollout_start(self) -> None:
        self.drops: list[float] = []

    def _on_step(self) -> bool:
        assert isinstance(self.training_env, VectorEnvironment)
        self.drops.append(float(self.training_env.drops.mean()))
        return True

    def _on_rollout_end(self) -> None:
        self.on_iteration(sum(self.drops) / len(self.drops))


def gaussian_policy(policy: ActorCriticPolicy) -> GaussianPolicy:
    """Return what is exported of a stable-baselines3 policy: the actor's layers and deviations."""
    layers = [
        layer for layer in (*policy.mlp_extractor.policy_net, policy.action_net) if isinstance(layer, torch.nn.Linear)
    ]

    def array(tensor: torch.Tensor) -> NDArray[np.float32]:
        return tensor.detach().numpy().copy()

    return GaussianPolicy(
        weights=[array(layer.weight) for layer in layers],
        biases=[array(layer.bias) for layer in layers],
        deviation=array(policy.log_std.exp()),
    )
