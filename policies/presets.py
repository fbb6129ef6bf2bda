"""How each algorithm learns: the paper's Table 2, and recipes that are quicker and better on one core."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from emulator.errors import InputError

if TYPE_CHECKING:
    from emulator.training_spec import Training

Observation = Literal["own", "accessible", "all"]
"""What a policy observes in training: see `policies.vector_environment`."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Hyperparameters of PPO; the defaults are those of Table 2, the first of a range."""

    iterations: int
    """PPO iterations: a batch is collected and learned from in each."""

    observation: Observation = "all"
    """What the policy observes while it is trained."""

    rows: Literal["networks", "schedulers"] = "networks"
    """Who decides: the upper level for a network at once, or each scheduler (parameter sharing)."""

    epochs: int = 50
    """Decision epochs of an episode, T."""

    batch: int = 4000
    """Decisions of a batch, B_b: about `batch / epochs` rows play one episode each."""

    networks: int = 1
    """Networks that a row consists of, under one decision rule and one path of arrival rates.

    The drops of more queues say more precisely how good a rule is: nearer to the limit of section 1.3.
    """

    copies_per_path: int = 1
    """Rows that share one path of arrival rates and whose rewards are centred by their mean; 1 for neither.

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

    export: Literal["mean", "mode"] = "mean"
    """The rule that is exported: the mean of the Gaussian's clipped actions, or its clipped mean.

    The mean is what was good in training, the mode what a Gaussian that goes on narrowing would end at.
    """


@dataclass(frozen=True, kw_only=True)
class SearchPreset:
    """A direct search by CMA-ES (N. Hansen, A. Ostermeier, 2001) for the numbers of a rule without hidden layers."""

    iterations: int
    """Generations."""

    observation: Observation
    """own: a fixed decision rule; else one that is linear in the distribution of the accessible queues, or of all."""

    nodes: int = 8000
    """Queues that a candidate is tried on, in as many copies of the network as that takes."""

    networks: int = 1
    """Copies that share one path of arrival rates and are observed together, as one large network would be."""

    deviation: float = 0.2
    """Initial standard deviation of the candidates, in units of a probability."""


AnyPreset = Preset | SearchPreset

TABLE_2 = Preset(iterations=200)

_FAST = Preset(
    iterations=25,
    networks=10,
    copies_per_path=10,
    minibatch=250,
    passes=10,
    learning_rate=3e-4,
    # A decision is felt for a few epochs only; what comes later is noise, which lambda below 1 takes out.
    gae_lambda=0.9,
    kl_coefficient=0.0,
    hidden=(64, 64),
    log_std=-0.5,
    export="mode",
)

_SEARCHES = {
    "STATIC": SearchPreset(iterations=80, observation="own"),
    "MF-N": SearchPreset(iterations=200, observation="accessible"),
}

PRESETS: dict[str, dict[str, AnyPreset]] = {
    "fast": {
        "MF-R": replace(_FAST, observation="own"),
        "MF-G": SearchPreset(iterations=200, observation="all", nodes=16_000, networks=20),
        "NA-PS": replace(_FAST, observation="own", rows="schedulers", networks=1, batch=50_000, minibatch=2000),
        **_SEARCHES,
    },
    "paper": {
        "MF-R": TABLE_2,
        "MF-G": TABLE_2,
        # Section 3: a batch of 50,000 and minibatches of 8,000 for it to converge on a ring of 5.
        "NA-PS": replace(TABLE_2, observation="own", rows="schedulers", batch=50_000, minibatch=8000),
        **_SEARCHES,
    },
}
"""By preset and algorithm. Direct searches have no place in Table 2: they are the same in both."""


def preset_of(training: Training) -> AnyPreset:
    """Return the hyperparameters that a scenario asks for. Raises `InputError`."""
    preset = PRESETS[training.preset][training.algorithm]
    if training.iterations is not None:
        preset = replace(preset, iterations=training.iterations)
    if training.observation is not None and isinstance(preset, Preset):
        preset = replace(preset, observation=training.observation)
    if training.hidden is not None:
        if not isinstance(preset, Preset):
            raise InputError(
                f"training.hidden must be left out for {training.algorithm} with preset {training.preset}, "
                "which has no hidden layers"
            )
        preset = replace(preset, hidden=tuple(training.hidden))
    return preset
