"""The hyperparameters of PPO: the paper's Table 2, and a recipe that is quicker on one core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Observation = Literal["own", "all"]
"""What the upper-level policy observes in training: see `policies.vector_environment`."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One set of hyperparameters; the defaults are those of Table 2, the first of a range."""

    iterations: int
    """PPO iterations: a batch is collected and learned from in each."""

    observation: Observation = "all"
    """What the policy observes while it is trained."""

    epochs: int = 50
    """Decision epochs of an episode, T."""

    batch: int = 4000
    """Decisions per iteration, B_b: about `batch / epochs` copies of the network play one episode each."""

    copies_per_path: int = 1
    """Copies that share one path of arrival rates and whose rewards are centred by their mean; 1 for neither.

    The path is beyond any policy's reach and makes most of the return's variance. Subtracting the mean of n
    copies leaves the expected gradient as it is, times (n - 1) / n.
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

    log_std: float = 0.0
    """Logarithm of the Gaussian's initial standard deviation; actions live on [-1, 1]."""


PRESETS = {
    "paper": Preset(iterations=200),
    "fast": Preset(
        iterations=25,
        observation="own",
        copies_per_path=10,
        minibatch=250,
        learning_rate=3e-4,
        # A decision is felt for a few epochs only; what comes later is noise, which lambda below 1 takes out.
        gae_lambda=0.9,
        kl_coefficient=0.0,
        hidden=(64, 64),
        log_std=-0.5,
    ),
}
