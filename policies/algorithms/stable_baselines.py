"""PPO as stable-baselines3 has it, with the KL penalty of Table 2, narrowed Gaussians, and checkpoints."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch.distributions import Normal, kl_divergence

from dispatchers.contract import Draws
from emulator.errors import InputError
from emulator.model.system import System
from emulator.results.measures import REFERENCE_TIME
from policies.algorithms.hyperparameters import Hyperparameters
from policies.export import GaussianPolicy, RecurrentGaussianPolicy
from policies.log import TrainingLog
from policies.process.networks import ParallelNetworks
from policies.process.vector_environment import NetworksEnvironment, SchedulersEnvironment, VectorEnvironment

NARROWED_AFTER = 0.5
"""Share of the iterations after which a deviation has reached `final_log_std`."""


def train(
    systems: System | Sequence[System],
    preset: Hyperparameters,
    *,
    seed: int,
    log: TrainingLog | None = None,
    draws: Draws = "job",
) -> GaussianPolicy:
    """Learn a policy. On one machine the same arguments give the same policy to the last bit.

    `log` takes a line for each iteration and a checkpoint after it, and training goes on from the one that it has.
    Seeds the global generators, which stable-baselines3 draws from, and leaves torch with one thread: more are slower
    here and give other bits.
    """
    torch.set_num_threads(1)
    systems = [systems] if isinstance(systems, System) else list(systems)
    environment = _environment(systems, preset, seed, draws)
    algorithm = _algorithm(environment, preset, seed)
    algorithm.policy.action_net.bias.data.fill_(preset.start)  # type: ignore[operator]
    checkpoint = None if log is None else log.checkpoint()
    if log is not None and checkpoint is not None:
        with log.taking_up():
            _restore(algorithm, environment, checkpoint)
    batch = environment.networks.epochs * environment.num_envs
    left = preset.iterations * batch - algorithm.num_timesteps
    if left > 0:
        algorithm.set_logger(Logger(None, []) if log is None else configure(str(log.folder), ["tensorboard"]))
        callbacks: list[BaseCallback] = [] if log is None else [_Notes(log, checkpoint)]
        if preset.final_log_std is not None:
            callbacks.append(_Narrowing(preset.log_std, preset.final_log_std, preset.iterations * batch))
        algorithm.learn(left, callback=callbacks, reset_num_timesteps=checkpoint is None)
    return gaussian_policy(algorithm.policy)


def _environment(systems: Sequence[System], preset: Hyperparameters, seed: int, draws: Draws) -> NetworksEnvironment:
    epochs = systems[0].timetable.epochs
    each = systems[0].nodes if preset.rows == "schedulers" else 1
    groups = max(1, round(preset.batch / epochs / each / preset.copies_per_path))
    rows = groups * preset.copies_per_path
    if rows * preset.networks < len(systems):
        raise InputError(f"training.graphs must be at most {rows * preset.networks}, the networks, got {len(systems)}")
    networks = ParallelNetworks(
        systems,
        copies=rows * preset.networks,
        seed=seed,
        copies_per_path=preset.copies_per_path * preset.networks,
        draws=draws,
    )
    if preset.rows == "schedulers":
        return SchedulersEnvironment(networks)
    return VectorEnvironment(networks, preset.observation, preset.networks)


def _algorithm(environment: NetworksEnvironment, preset: Hyperparameters, seed: int) -> OnPolicyAlgorithm:
    options: dict[str, Any] = {
        "n_steps": environment.networks.epochs,
        "batch_size": preset.minibatch,
        "n_epochs": preset.passes,
        "learning_rate": preset.learning_rate,
        "gamma": preset.discount,
        "gae_lambda": preset.gae_lambda,
        "clip_range": preset.clip,
        "ent_coef": preset.kl_coefficient,  # PenalisedPPO's penalty has the place of the entropy
        "seed": seed,
        "device": "cpu",
    }
    layers: dict[str, Any] = {
        "net_arch": {"pi": list(preset.hidden), "vf": list(preset.hidden)},
        "activation_fn": torch.nn.Tanh,
        "log_std_init": preset.log_std,
    }
    with warnings.catch_warnings():
        # A last minibatch may be smaller than the others. That is no harm, and Table 2 has it (4000 by 128).
        warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
        narrowed = preset.final_log_std is not None
        if preset.recurrent is not None:
            layers["lstm_hidden_size"] = preset.recurrent
            recurrent = NarrowedRecurrentPolicy if narrowed else RecurrentActorCriticPolicy
            return EpisodicPPO(recurrent, environment, policy_kwargs=layers, **options)
        if preset.kl_coefficient == 0.0:
            plain = NarrowedPolicy if narrowed else ActorCriticPolicy
            return PPO(plain, environment, policy_kwargs=layers, **options)
        # Table 2 takes many small steps, of which a fused one takes a third of the time.
        layers["optimizer_kwargs"] = {"eps": 1e-5, "fused": True}
        algorithm = PenalisedPPO(PenalisedPolicy, environment, policy_kwargs=layers, **options)
    algorithm.kl_target = preset.kl_target
    return algorithm


class EpisodicPPO(RecurrentPPO):
    """Recurrent PPO (MF-RNN) whose batch is one episode of each row, begun with a hidden state of zeros."""

    _last_lstm_states: Any

    def collect_rollouts(self, *arguments: Any, **options: Any) -> bool:
        """Make the state zero and collect the batch, with no step marked as a start: three times faster."""
        for state in (*self._last_lstm_states.pi, *self._last_lstm_states.vf):
            state.zero_()
        self._last_episode_starts = np.zeros(self.n_envs, dtype=bool)
        return super().collect_rollouts(*arguments, **options)


class PenalisedPPO(PPO):
    """PPO with the adaptive KL penalty of Table 2 (RLlib's) in the place of the entropy: see `PenalisedPolicy`."""

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

    def divergence(self, observations: torch.Tensor, present: Normal | None = None) -> torch.Tensor:
        """Return KL(collector, present policy) for each observation; `present` is what the policy gives, if known."""
        with torch.no_grad():
            collector = _gaussian(observations, *self.collector)
        if present is None:
            present = _gaussian(observations, *self._actor())
        return kl_divergence(collector, present).sum(dim=1)

    def _actor(self) -> tuple[torch.nn.Module, torch.nn.Module, torch.Tensor]:
        return self.mlp_extractor.policy_net, self.action_net, self.log_std

    def evaluate_actions(
        self, obs: PyTorchObs, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values, log-probabilities and what PPO takes for the entropy."""
        assert isinstance(obs, torch.Tensor)
        values, log_probabilities, _ = super().evaluate_actions(obs, actions)
        return values, log_probabilities, -self.divergence(obs, self.given)

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        result = super()._get_action_dist_from_latent(latent_pi)
        assert isinstance(result.distribution, Normal)
        self.given = result.distribution  # for the penalty, which would take the same way through the layers again
        return result


class NarrowedPolicy(ActorCriticPolicy):
    """A policy whose Gaussian has its mean within the actions' bounds, by tanh; see `final_log_std`."""

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        return self.action_dist.proba_distribution(torch.tanh(self.action_net(latent_pi)), self.log_std)


class NarrowedRecurrentPolicy(NarrowedPolicy, RecurrentActorCriticPolicy):
    """The same with an LSTM."""


def _gaussian(
    observations: torch.Tensor, hidden: torch.nn.Module, last: torch.nn.Module, log_std: torch.Tensor
) -> Normal:
    return Normal(last(hidden(observations)), log_std.exp())


class _Narrowing(BaseCallback):
    """Sets the Gaussian's deviation before each batch, as `final_log_std` says; `steps` are those of all."""

    def __init__(self, first: float, last: float, steps: int):
        super().__init__()
        self.first = first
        self.last = last
        self.steps = steps

    def _on_training_start(self) -> None:
        log_std = self.model.policy.log_std
        assert isinstance(log_std, torch.Tensor)
        self.log_std = log_std.requires_grad_(False)

    def _on_rollout_start(self) -> None:
        done = self.num_timesteps / (NARROWED_AFTER * self.steps)
        self.log_std.fill_(self.first + (self.last - self.first) * min(1.0, done))

    def _on_step(self) -> bool:
        return True


class _Notes(BaseCallback):
    """Tells the log the mean drops of each batch, and leaves a checkpoint when it has been learned from."""

    def __init__(self, log: TrainingLog, checkpoint: Mapping[str, Any] | None):
        super().__init__()
        self.log = log
        self.checkpoint = checkpoint

    def _on_training_start(self) -> None:
        if self.checkpoint is not None:
            with self.log.taking_up():
                torch.set_rng_state(self.checkpoint["torch_generator"])
                keys = self.checkpoint["numpy_generator"].numpy().astype(np.uint32)
                np.random.set_state(("MT19937", keys, *self.checkpoint["numpy_position"]))  # noqa: NPY002

    def _on_rollout_start(self) -> None:
        self._keep()
        self.drops: list[float] = []

    def _on_step(self) -> bool:
        self.drops.append(self._environment.drops)
        return True

    def _on_rollout_end(self) -> None:
        drops = sum(self.drops) * REFERENCE_TIME / self._environment.networks.system.horizon
        self.logger.record("rollout/drops", drops)
        self.log.note(decisions=self.num_timesteps, drops=drops)

    def _on_training_end(self) -> None:
        self._keep()

    def _keep(self) -> None:
        if self.num_timesteps > 0:
            self.log.keep(_state(self.model, self._environment))

    @property
    def _environment(self) -> NetworksEnvironment:
        assert isinstance(self.training_env, NetworksEnvironment)
        return self.training_env


def _state(algorithm: Any, environment: NetworksEnvironment) -> dict[str, Any]:
    """Return all that training goes on from, at the end of an iteration, when an episode has just begun."""
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - stable-baselines3 draws from it
    assert name == "MT19937"
    return {
        "policy": algorithm.policy.state_dict(),
        "optimizer": algorithm.policy.optimizer.state_dict(),
        "decisions": algorithm.num_timesteps,
        "updates": algorithm._n_updates,
        "kl_coefficient": float(algorithm.ent_coef),
        "episode": environment.networks.episode,
        "torch_generator": torch.get_rng_state(),
        "numpy_generator": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy_position": (position, has_gauss, cached),
    }


def _restore(algorithm: Any, environment: NetworksEnvironment, state: Mapping[str, Any]) -> None:
    algorithm.policy.load_state_dict(state["policy"])
    algorithm.policy.optimizer.load_state_dict(state["optimizer"])
    algorithm.num_timesteps = state["decisions"]
    algorithm._n_updates = state["updates"]
    algorithm.ent_coef = state["kl_coefficient"]
    environment.networks.episode = state["episode"] - 1  # learning begins by resetting


def gaussian_policy(policy: ActorCriticPolicy) -> GaussianPolicy:
    """Return what is exported of a stable-baselines3 policy: its actor."""
    modules = (*policy.mlp_extractor.policy_net, policy.action_net)
    layers = [layer for layer in modules if isinstance(layer, torch.nn.Linear)]
    plain = GaussianPolicy(
        weights=[_array(layer.weight) for layer in layers],
        biases=[_array(layer.bias) for layer in layers],
        deviation=None if isinstance(policy, NarrowedPolicy) else _array(policy.log_std.exp()),
    )
    if not isinstance(policy, RecurrentActorCriticPolicy):
        return plain
    ((weights, weights_of_state, biases, biases_of_state),) = policy.lstm_actor.all_weights
    return RecurrentGaussianPolicy(
        **vars(plain),
        gate_weights=_array(torch.cat([weights, weights_of_state], dim=1)),
        gate_biases=_array(biases + biases_of_state),
    )


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().numpy().copy()
