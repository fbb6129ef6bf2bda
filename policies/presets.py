"""How each algorithm learns: the paper's Table 2, and recipes that are quicker and better on one core."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dispatchers.contract import Draws
    from emulator.scenario.training import Training

Observation = Literal["own", "accessible", "all"]
"""What a policy observes in training: see `policies.process.vector_environment`."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Hyperparameters of PPO; the defaults are those of Table 2, the first of a range."""

    iterations: int
    """PPO iterations: a batch is collected and learned from in each."""

    observation: Observation = "all"
    """What the policy observes while it is trained."""

    rows: Literal["networks", "schedulers"] = "networks"
    """Who decides: the upper level for a network at once, or each scheduler (parameter sharing)."""

    epochs: int | None = 50
    """Decision epochs of an episode, T; None for as many as the scenario's horizon has.

    The rule that is best in the long run is not quite the one with least drops from empty queues up to the horizon.
    """

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

    recurrent: int | None = None
    """Units of the LSTM before the hidden layers, of the policy and of the critic alike; None for no LSTM.

    sb3-contrib's recurrent PPO clips the ratio alone: `kl_coefficient` must be 0.
    """

    start: float = 0.0
    """The Gaussian's initial mean; -0.25 offloads three jobs of eight."""

    log_std: float = 0.0
    """Logarithm of the Gaussian's initial standard deviation; actions live on [-1, 1]."""

    final_log_std: float | None = None
    """What that logarithm falls to, evenly over the first half of the iterations; None to learn the deviation.

    Beside the borders of a probability a wide Gaussian learns a mean that suits itself: how much it strays inside.
    A narrow one learns slowly. With this, the mean goes through tanh too, as one that was beyond a border
    when the Gaussian became narrow would never come back, and it is the mean that is exported.
    """

    def __post_init__(self) -> None:
        if self.observation == "accessible":
            raise ValueError("observation must be own or all with PPO, got accessible")
        if self.recurrent is not None and self.kl_coefficient != 0.0:
            raise ValueError(f"kl_coefficient must be 0 with a recurrent policy, got {self.kl_coefficient:g}")
        if self.final_log_std is not None and self.kl_coefficient != 0.0:
            raise ValueError(f"kl_coefficient must be 0 beside final_log_std, got {self.kl_coefficient:g}")


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

    components: int = 0
    """Principal components of what is observed that a rule depends on."""

    deviation: float = 0.05
    """Initial standard deviation of the candidates, in units of a probability."""


@dataclass(frozen=True, kw_only=True)
class SacPreset:
    """Hyperparameters of the scalable actor-critic; step sizes and restarts are those of its public implementation."""

    iterations: int = 15_000
    """Episodes that are learned from, M: on rings of up to 101 nodes more of them do not help."""

    evaluate_every: int = 100
    """Episodes between two looks at how good the policies are; by `restart`, so that all see the same step sizes."""

    keep_every: int = 1000
    """Episodes between two checkpoints, which are large."""

    discount: float = 0.99
    """Discount factor per epoch, gamma (Table 2)."""

    actor_step: float = 5.0
    """Step size of the policies after episode m is `actor_step / sqrt(m mod restart + 1)`."""

    restart: int = 100
    """Episodes after which the step sizes of actor and critic begin anew; the tables stay.

    That of the critic at transition t of T (from 1) is `1 / sqrt((m mod restart) * T + t)`.
    """


AnyPreset = Preset | SearchPreset | SacPreset


def starts_of(preset: Preset, draws: Draws) -> list[Preset]:
    """Return what a training begins with, one after the other; the best end is kept.

    Where actions hold for an epoch there are several optima, and the wide Gaussian of the quick recipe passes by those
    that seldom offload: it begins again beside never, and narrower.
    """
    if draws == "job" or preset.final_log_std is None:
        return [preset]
    return [preset, replace(preset, start=-0.8, log_std=-0.7)]


MOST_ITERATIONS = 10_000_000
"""Of a training, as in a scenario."""

ITERATION_SECONDS: dict[type, float] = {Preset: 0.3, SearchPreset: 0.03, SacPreset: 3e-4}
"""About how long an iteration takes, by which progress is weighed; of a search, 8000 queues through ten epochs."""

TABLE_2 = Preset(iterations=200)

_FAST = Preset(
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

_SAME_IN_BOTH: dict[str, AnyPreset] = {
    "SAC": SacPreset(),
    "STATIC": SearchPreset(iterations=80, observation="own", deviation=0.2),
    "MF-N": SearchPreset(iterations=200, observation="accessible", components=5),
}

PRESETS: dict[str, dict[str, AnyPreset]] = {
    "fast": {
        "MF-R": replace(_FAST, observation="own"),
        "MF-G": SearchPreset(iterations=200, observation="all", nodes=32_000, networks=20, components=2),
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
        # Table 2 has no LSTM: this one is as wide as the layers. Its KL penalty is left out, see `Preset.recurrent`.
        "MF-RNN": replace(TABLE_2, recurrent=256, kl_coefficient=0.0),
        # Section 3: a batch of 50,000 and minibatches of 8,000 for it to converge on a ring of 5.
        "NA-PS": replace(TABLE_2, observation="own", rows="schedulers", batch=50_000, minibatch=8000),
        **_SAME_IN_BOTH,
    },
}
"""By preset and algorithm. Direct searches and SAC have no place in Table 2: they are the same in both."""


def preset_of(training: Training) -> AnyPreset:
    """Return the hyperparameters that a scenario asks for. Raises `InputError`."""
    from emulator.errors import InputError  # late, for NumPy comes with it, and --help needs the presets' names

    preset = PRESETS[training.preset][training.algorithm]
    if training.iterations is not None:
        preset = replace(preset, iterations=training.iterations)
    if training.observation is not None and isinstance(preset, Preset):
        preset = replace(preset, observation=training.observation)
    if training.copies_per_path is not None:
        if not isinstance(preset, Preset):
            raise InputError(
                f"training.copies_per_path must be left out for {training.algorithm}, which has no batches"
            )
        preset = replace(preset, copies_per_path=training.copies_per_path)
    if training.hidden is not None:
        if not isinstance(preset, Preset):
            raise InputError(
                f"training.hidden must be left out for {training.algorithm} with preset {training.preset}, "
                "which has no hidden layers"
            )
        preset = replace(preset, hidden=tuple(training.hidden))
    return preset
