"""Hyperparameters of proximal policy optimization: those of Table 2, or others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from policies.algorithms.algorithm import Algorithm
from policies.process.networks import Observation


@dataclass(frozen=True, kw_only=True)
class Hyperparameters(Algorithm):
    """Those of PPO; the defaults are those of Table 2, the first of a range. An iteration learns from a batch."""

    title: ClassVar[str] = "Preset"
    writes_events: ClassVar[bool] = True

    observation: Observation = "all"
    """What the policy observes while it is trained."""

    rows: Literal["networks", "schedulers"] = "networks"
    """Who decides: the upper level for a network at once, or each scheduler (parameter sharing)."""

    epochs: int | None = 50
    """Decision epochs of an episode, T; None for as many as the scenario's horizon has."""

    batch: int = 4000
    """Decisions of a batch, B_b: about `batch / epochs` rows play one episode each."""

    networks: int = 1
    """Networks of a row, under one rule and one path of arrival rates: the more, the nearer to the limit (1.3)."""

    copies_per_path: int = 1
    """Rows that share one path of arrival rates and whose rewards are centred by their mean; 1 for neither.

    The path makes most of the return's variance; without the mean of n copies the gradient is (n - 1) / n of itself.
    """

    minibatch: int = 128
    """Decisions per gradient step, B_m."""

    passes: int = 8
    """Passes over the batch in each iteration, I_m (5 to 8)."""

    learning_rate: float = 5e-5
    """Step size of Adam, l_r."""

    discount: float = 0.99
    """Discount factor per epoch, gamma."""

    gae_lambda: float = 1.0
    """Lambda of the generalised advantage estimate; 1 sums up all rewards until the episode ends."""

    clip: float = 0.3
    """How far the probability ratio counts on either side of 1, epsilon."""

    kl_coefficient: float = 0.2
    """Initial weight of the penalty on leaving the policy that collected the batch; 0 for none."""

    kl_target: float = 0.01
    """The KL divergence that the weight is adapted to."""

    hidden: tuple[int, ...] = (256, 256)
    """Units of the hidden tanh layers, of the policy and of the critic alike (section 1.4.2)."""

    recurrent: int | None = None
    """Units of the LSTM before the hidden layers; `kl_coefficient` must be 0 then, sb3-contrib has no penalty."""

    start: float = 0.0
    """The Gaussian's initial mean; -0.25 offloads three jobs of eight."""

    log_std: float = 0.0
    """Logarithm of the Gaussian's initial standard deviation; actions live on [-1, 1]."""

    final_log_std: float | None = None
    """What that logarithm falls to, evenly over the first half of the iterations; None to learn the deviation.

    Beside 0 and 1 a wide Gaussian learns a mean that suits how it strays inside, and a narrow one learns slowly. With
    this, the mean goes through tanh too, so that it can come back from beyond a border, and it is what is exported.
    """

    def __post_init__(self) -> None:
        if self.observation == "accessible":
            raise ValueError("observation must be own or all with PPO, got accessible")
        if self.recurrent is not None and self.kl_coefficient != 0.0:
            raise ValueError(f"kl_coefficient must be 0 with a recurrent policy, got {self.kl_coefficient:g}")
        if self.final_log_std is not None and self.kl_coefficient != 0.0:
            raise ValueError(f"kl_coefficient must be 0 beside final_log_std, got {self.kl_coefficient:g}")
