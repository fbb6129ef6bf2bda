"""Training by PPO, its penalty and its log; all of it needs the extra `train`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from gymnasium import spaces  # noqa: E402
from scipy import stats  # noqa: E402
from stable_baselines3.common.policies import ActorCriticPolicy  # noqa: E402

from dispatchers.onnx_files.kinds import CONTRACT_VERSION  # noqa: E402
from dispatchers.rules.basic import Random  # noqa: E402
from dispatchers.rules.mean_field import MeanFieldOwn  # noqa: E402
from emulator.errors import InputError  # noqa: E402
from emulator.model.system import System  # noqa: E402
from emulator.model.topologies import torus  # noqa: E402
from emulator.model.topology import Topology  # noqa: E402
from emulator.scenario.plan import load  # noqa: E402
from policies.algorithms import stable_baselines as training  # noqa: E402
from policies.algorithms.direct_search import DirectSearch, search  # noqa: E402
from policies.algorithms.ppo import ProximalPolicyOptimization  # noqa: E402
from policies.algorithms.stable_baselines import (  # noqa: E402
    NarrowedPolicy,
    PenalisedPolicy,
    adapted_coefficient,
    gaussian_policy,
    train,
)
from policies.export import rules_of, to_onnx  # noqa: E402
from policies.log import TrainingLog  # noqa: E402
from policies.presets import PRESETS  # noqa: E402
from policies.process.networks import ParallelNetworks  # noqa: E402
from policies.process.scoring import dispatcher_of, score  # noqa: E402
from policies.tasks import Overrides, systems_of, tasks_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
BUFFER = 5
METADATA = {"contract_version": CONTRACT_VERSION}
TINY = ProximalPolicyOptimization(
    iterations=2, batch=80, minibatch=30, passes=2, hidden=(8,), learning_rate=1e-2, kl_coefficient=0.0
)
PENALISED = replace(TINY, kl_coefficient=0.2, copies_per_path=5, observation="own")
NARROWED = replace(TINY, final_log_std=-2.0, observation="own")


SYSTEM = System(torus(3), horizon=20.0)


def exported(system, preset, seed=1):
    return to_onnx(train(system, preset, seed=seed), METADATA).SerializeToString()


@pytest.mark.parametrize("preset", [TINY, PENALISED, NARROWED])
def test_the_same_seed_gives_the_same_bytes(preset):
    first = exported(SYSTEM, preset)
    assert exported(SYSTEM, preset) == first
    assert exported(SYSTEM, preset, seed=2) != first
    assert exported(SYSTEM, replace(preset, iterations=3)) != first


def test_every_hyperparameter_reaches_ppo(monkeypatch):
    made = []

    class Watched(training.PPO):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(training, "PPO", Watched)
    preset = ProximalPolicyOptimization(
        iterations=1,
        batch=130,
        copies_per_path=3,
        minibatch=26,
        passes=3,
        learning_rate=2e-3,
        discount=0.8,
        gae_lambda=0.7,
        clip=0.15,
        kl_coefficient=0.0,
        hidden=(5, 4),
        log_std=-3.0,
    )
    policy = train(SYSTEM, preset, seed=1)
    (ppo,) = made
    assert (ppo.gamma, ppo.gae_lambda, ppo.clip_range(1), ppo.lr_schedule(1)) == (0.8, 0.7, 0.15, 2e-3)
    assert (ppo.batch_size, ppo.n_epochs, ppo.n_steps, ppo.n_envs) == (26, 3, 4, 33)
    assert [weight.shape for weight in policy.weights] == [(5, 6), (4, 5), (6, 4)]
    np.testing.assert_allclose(policy.deviation, np.exp(-3.0), rtol=0.2)


def test_each_iteration_is_told_the_drops_of_its_batch(tmp_path):
    # Without neighbours no decision matters, so the same numbers give the same drops.
    system = replace(SYSTEM, topology=Topology("none", np.zeros(10, dtype=np.int64), np.empty(0, dtype=np.int64)))
    log = TrainingLog(tmp_path, {})
    train(system, TINY, seed=1, log=log)
    networks = ParallelNetworks(system, copies=20, seed=1)
    lines = pd.read_csv(tmp_path / "iterations.csv")
    for each in lines.drops:
        networks.reset()
        expected = np.sum([networks.step(np.zeros((20, 9))).mean() for _ in range(4)]) * 50.0 / 20.0
        assert each == pytest.approx(expected)
    assert list(lines.iteration) == [1, 2]
    assert list(lines.decisions) == [80, 160]
    assert lines.seconds.is_monotonic_increasing


@pytest.mark.parametrize("preset", [TINY, PENALISED, NARROWED])
def test_a_training_that_was_cut_off_goes_on_to_the_same_bits(preset, tmp_path):
    class CutOffError(Exception):
        pass

    def cut_off_at_the_second():
        notes = iter([None, CutOffError])

        def told(_):
            if (error := next(notes)) is not None:
                raise error

        return told

    preset = replace(preset, iterations=5)
    whole = TrainingLog(tmp_path / "whole", {"seed": 1})
    expected = to_onnx(train(SYSTEM, preset, seed=1, log=whole), METADATA).SerializeToString()
    parts = tmp_path / "parts"
    for _ in range(3):  # each gets one iteration further, and is cut off before the next has been learned from
        with pytest.raises(CutOffError):
            train(SYSTEM, preset, seed=1, log=TrainingLog(parts, {"seed": 1}, cut_off_at_the_second()))
    log = TrainingLog(parts, {"seed": 1})
    assert len(log.rows) == 3
    assert to_onnx(train(SYSTEM, preset, seed=1, log=log), METADATA).SerializeToString() == expected
    lines = [pd.read_csv(folder / "iterations.csv").drop(columns="seconds") for folder in (parts, tmp_path / "whole")]
    pd.testing.assert_frame_equal(*lines)
    assert list((tmp_path / "whole").glob("events.out.tfevents.*"))


def test_the_log_of_another_training_is_not_gone_on_with(tmp_path):
    TrainingLog(tmp_path, {"seed": 1}).note(decisions=1, drops=1.0)
    with pytest.raises(InputError, match="--fresh starts anew"):
        TrainingLog(tmp_path, {"seed": 2})


def test_the_exported_layers_are_the_torch_policys():
    torch.manual_seed(5)
    policy = ActorCriticPolicy(
        spaces.Box(0, 1, (BUFFER + 1,)),
        spaces.Box(-1, 1, (BUFFER + 1,)),
        lambda progress: 1e-3,
        net_arch={"pi": [16, 8], "vf": [4]},
        activation_fn=torch.nn.Tanh,
        log_std_init=-0.7,
        ortho_init=False,
    )
    distributions = np.random.default_rng(1).dirichlet(np.ones(BUFFER + 1), 5)
    with torch.no_grad():
        gaussian = policy.get_distribution(torch.as_tensor(distributions, dtype=torch.float32)).distribution
        actions = gaussian.sample((200_000,)).clamp(-1, 1).numpy()
    rules = (actions.astype(float) + 1) / 2
    error = rules.std(axis=0) / np.sqrt(len(rules))
    difference = rules_of(to_onnx(gaussian_policy(policy), METADATA))(distributions) - rules.mean(axis=0)
    assert np.abs(difference / error).max() < 5.5  # 30 normal numbers: one in a million


@pytest.mark.parametrize(
    ("divergence", "factor"),
    [(0.021, 1.5), (0.02, 1.0), (0.01, 1.0), (0.005, 1.0), (0.0049, 0.5), (0.0, 0.5)],
)
def test_the_coefficient_follows_the_divergence(divergence, factor):
    assert adapted_coefficient(0.2, divergence, target=0.01) == pytest.approx(0.2 * factor)


@pytest.mark.parametrize(("target", "factor"), [(1e-9, 1.5), (1e9, 0.5)])
def test_the_coefficient_is_adapted_after_each_iteration(monkeypatch, target, factor):
    coefficients = []

    class Watched(training.PenalisedPPO):
        def train(self):
            collector = self.policy.action_net.weight.detach().clone()
            super().train()
            coefficients.append(self.ent_coef)
            assert torch.equal(self.policy.collector[1].weight, collector)
            assert not torch.equal(self.policy.action_net.weight, collector)

    monkeypatch.setattr(training, "PenalisedPPO", Watched)
    train(SYSTEM, replace(TINY, kl_coefficient=0.2, kl_target=target), seed=1)
    assert coefficients == pytest.approx([0.2 * factor, 0.2 * factor**2])


def test_the_penalty_holds_the_policy_back(monkeypatch):
    moved = []

    class Watched(training.PenalisedPPO):
        def train(self):
            super().train()
            observations = torch.as_tensor(self.rollout_buffer.observations)
            moved.append(self.policy.divergence(observations).mean().item())

    monkeypatch.setattr(training, "PenalisedPPO", Watched)
    once = replace(TINY, iterations=1, passes=20)
    for coefficient in (1e-6, 1.0, 100.0):
        train(SYSTEM, replace(once, kl_coefficient=coefficient), seed=1)
    assert moved[0] > moved[1] > moved[2] > 0


def test_a_deviation_falls_evenly_over_half_of_the_iterations_and_is_not_learned(monkeypatch):
    seen = []

    class Watched(training.PPO):
        def collect_rollouts(self, *arguments, **options):
            collected = super().collect_rollouts(*arguments, **options)
            seen.append(self.policy.log_std.tolist())
            return collected

    monkeypatch.setattr(training, "PPO", Watched)
    policy = train(SYSTEM, replace(NARROWED, iterations=8, log_std=0.5, final_log_std=-1.5), seed=1)
    np.testing.assert_allclose(seen, np.repeat([[0.5], [0.0], [-0.5], [-1.0], *[[-1.5]] * 4], 6, axis=1), atol=1e-6)
    assert policy.deviation is None


def test_a_narrowed_policys_mean_keeps_within_the_bounds():
    policy = NarrowedPolicy(
        spaces.Box(0, 1, (2,)), spaces.Box(-1, 1, (2,)), lambda progress: 1e-3, net_arch=[], ortho_init=False
    )
    with torch.no_grad():
        policy.action_net.bias.copy_(torch.tensor([0.5, -9.0]))
        policy.action_net.weight.zero_()
        gaussian = policy.get_distribution(torch.eye(2)).distribution
    np.testing.assert_allclose(gaussian.mean, np.tanh([[0.5, -9.0]] * 2), atol=1e-6)
    np.testing.assert_allclose(gaussian.stddev, 1.0)


@pytest.mark.parametrize(("epochs", "horizon"), [(None, 50.0), (9, 63.0)])
def test_an_episode_has_the_presets_epochs_or_ends_at_the_scenarios_horizon(epochs, horizon):
    plan = load(ROOT / "scenarios/training/torus.yaml", ["delta_t=7", "training.algorithm=MF-R", "training.draws=job"])
    (task,) = tasks_of([plan], Overrides(), None)
    (system,) = systems_of(replace(task, algorithm=replace(TINY, epochs=epochs)))
    assert system.horizon == horizon


def test_the_penalty_and_a_narrowed_deviation_exclude_each_other():
    with pytest.raises(ValueError, match=r"^kl_coefficient must be 0 beside final_log_std, got 0\.2$"):
        replace(NARROWED, kl_coefficient=0.2)


def test_the_divergence_is_that_of_the_policy_that_collected_the_batch():
    policy = PenalisedPolicy(
        spaces.Box(0, 1, (2,)), spaces.Box(-1, 1, (2,)), lambda progress: 1e-3, net_arch=[], ortho_init=False
    )
    observations = torch.eye(2)
    policy.remember()
    assert policy.divergence(observations).abs().max().item() == 0.0
    with torch.no_grad():
        policy.action_net.bias += torch.tensor([0.3, 0.0])
        policy.log_std += torch.log(torch.tensor([1.0, 2.0]))
    shifted, widened = 0.3**2 / 2, np.log(2.0) + 1 / 8 - 1 / 2
    np.testing.assert_allclose(policy.divergence(observations).detach(), shifted + widened, rtol=1e-5)
    policy.remember()
    assert policy.divergence(observations).abs().max().item() == 0.0


@pytest.mark.slow
def test_the_fast_preset_beats_random_offloading():
    # The paper's training system. Another seed than the shipped policy's.
    system = System(torus(11))
    rules = rules_of(to_onnx(train(system, PRESETS["fast"]["MF-R"], seed=12345), METADATA))(np.eye(BUFFER + 1))
    test = System(torus(20))
    own, random = (score(each, test, 60) for each in (MeanFieldOwn(rule=np.diagonal(rules)), Random()))
    # At least 20 % fewer drops; by chance alone in one of a million trainings no better than that.
    assert stats.ttest_1samp(own - 0.8 * random, 0.0, alternative="less").pvalue < 1e-6
    # And at most 1 % more than the best fixed rule.
    search_preset = PRESETS["fast"]["STATIC"]
    assert isinstance(search_preset, DirectSearch)
    best = np.clip(search(system, search_preset, seed=54321)[:, 0], 0.0, 1.0)
    fixed = score(MeanFieldOwn(rule=best), test, 60)
    assert own.mean() < 1.01 * fixed.mean()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "delta_t", "draws"), [("bethe", 1, "job"), ("cycle", 8, "epoch")])
def test_with_another_seed_mf_r_is_as_good_as_the_best_fixed_rule(name, delta_t, draws, tmp_path):
    settings = [f"delta_t={delta_t}", "training.algorithm=MF-R", f"training.draws={draws}"]
    plan = load(ROOT / f"scenarios/training/{name}.yaml", settings)
    (task,) = tasks_of([plan], Overrides(seed=12345), None)
    log = TrainingLog(tmp_path, {})
    model = task.algorithm.learn(systems_of(task), seed=task.seed, draws=draws, log=log, metadata=task.identity)
    test = task.test.system()
    file = f"{name}_static_epoch_{delta_t}" if draws == "epoch" else f"{name}_static_{delta_t}"
    fixed = MeanFieldOwn(str(ROOT / f"policies/trained/{file}.onnx"))
    assert score(dispatcher_of(model, "MF-R"), test).mean() < 1.01 * score(fixed, test).mean()


def test_the_presets_say_what_table_2_says():
    paper = PRESETS["paper"]["MF-R"]
    assert (paper.discount, paper.gae_lambda, paper.kl_coefficient, paper.kl_target) == (0.99, 1.0, 0.2, 0.01)
    assert (paper.clip, paper.learning_rate, paper.hidden) == (0.3, 5e-5, (256, 256))
    assert 4000 <= paper.batch <= 24000
    assert 128 <= paper.minibatch <= 4000
    assert 5 <= paper.passes <= 8
    assert (paper.observation, paper.copies_per_path) == ("all", 1)
