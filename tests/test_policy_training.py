"""Training by PPO, its penalty, and the command; all of it needs the extra `train`."""

import json
import re
import signal
import subprocess
import sys
import time
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

from dispatchers.policy import CONTRACT_VERSION, Policy  # noqa: E402
from emulator.errors import InputError  # noqa: E402
from emulator.system import System  # noqa: E402
from emulator.topology import Topology, torus  # noqa: E402
from emulator.version import __version__  # noqa: E402
from policies import training  # noqa: E402
from policies.command_line import main  # noqa: E402
from policies.direct_search import search  # noqa: E402
from policies.environment import ParallelNetworks  # noqa: E402
from policies.evaluation import drops, own_state, random_server  # noqa: E402
from policies.export import rules_of, to_onnx  # noqa: E402
from policies.presets import PRESETS, Preset, SearchPreset  # noqa: E402
from policies.training import (  # noqa: E402
    PenalisedPolicy,
    adapted_coefficient,
    gaussian_policy,
    train,
)
from policies.training_log import TrainingLog  # noqa: E402
from policies.vector_environment import SchedulersEnvironment, VectorEnvironment  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
BUFFER = 5
METADATA = {"contract_version": CONTRACT_VERSION}
TINY = Preset(iterations=2, batch=80, minibatch=30, passes=2, hidden=(8,), learning_rate=1e-2, kl_coefficient=0.0)


def make_system(side=3, *, horizon=20.0, service_rates=None):
    return System(torus(side), 5.0, horizon, BUFFER, np.ones(side * side))


def make_environment(observation, *, copies=12, copies_per_path=1):
    networks = ParallelNetworks(make_system(), copies=copies, seed=1, copies_per_path=copies_per_path)
    return VectorEnvironment(networks, observation)


# The environment


def test_the_reward_is_minus_the_drops():
    environment = make_environment("all")
    twin = make_environment("all").networks
    environment.reset()
    twin.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (12, BUFFER + 1)).astype(np.float32)
    for _ in range(4):
        _, rewards, over, _ = environment.step(actions)
        expected = -twin.step(twin.follow((actions.astype(float) + 1) / 2)).mean(axis=1)
        np.testing.assert_allclose(rewards, expected, rtol=1e-6)
        assert over.all() == over.any() == twin.is_over
    assert twin.is_over


def test_centred_rewards_differ_by_the_groups_mean_alone():
    environment = make_environment("all", copies_per_path=4)
    environment.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (12, BUFFER + 1)).astype(np.float32)
    twin = make_environment("all", copies_per_path=4).networks
    twin.reset()
    for _ in range(2):
        _, rewards, _, _ = environment.step(actions)
        drops = twin.step(twin.follow((actions.astype(float) + 1) / 2)).mean(axis=1)
    groups = rewards.reshape(3, 4)
    np.testing.assert_allclose(groups.sum(axis=1), 0.0, atol=1e-6)
    shift = groups + drops.reshape(3, 4)
    np.testing.assert_allclose(shift, shift[:, :1] * np.ones(4), rtol=1e-5)
    assert np.ptp(groups) > 0


def test_a_row_of_several_networks_is_one_larger_network():
    networks = ParallelNetworks(make_system(), copies=12, seed=1, copies_per_path=3)
    joined = VectorEnvironment(networks, "all", 3)
    twin = ParallelNetworks(make_system(), copies=12, seed=1, copies_per_path=3)
    joined.reset()
    twin.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (4, BUFFER + 1)).astype(np.float32)
    observed, rewards, _, _ = joined.step(actions)
    drops = twin.step(twin.follow((np.repeat(actions, 3, axis=0).astype(float) + 1) / 2))
    np.testing.assert_allclose(observed, twin.distributions().reshape(4, 3, -1).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(rewards, -drops.reshape(4, -1).mean(axis=1), rtol=1e-6)


def test_schedulers_that_share_a_policy_follow_their_own_entry_and_answer_for_their_own_jobs():
    environment = SchedulersEnvironment(ParallelNetworks(make_system(), copies=2, seed=1))
    twin = ParallelNetworks(make_system(), copies=2, seed=1)
    twin.reset()
    observed = environment.reset()
    generator = np.random.default_rng(1)
    for _ in range(3):
        np.testing.assert_array_equal(observed.argmax(axis=1), twin.queue_lengths.ravel())
        actions = generator.uniform(-1, 1, (18, BUFFER + 1)).astype(np.float32)
        own = (actions[np.arange(18), twin.queue_lengths.ravel()].astype(float).reshape(2, 9) + 1) / 2
        drops = twin.step(own)
        observed, rewards, _, _ = environment.step(actions)
        for copy in range(2):
            share = drops[copy] / twin.received[copy]
            for node in range(9):
                graph = twin.system.topology
                others = graph.neighbours[graph.offsets[node] : graph.offsets[node + 1]]
                kept = (1 - own[copy, node]) * share[node]
                sent = kept + own[copy, node] * share[others].mean()
                expected = -twin.arrival_rates[copy, twin.epoch - 1] * sent
                assert rewards.reshape(2, 9)[copy, node] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        twin.dispatched_drops(drops, own).sum(axis=1), drops.sum(axis=1), rtol=1e-9
    )  # every job that is dropped has been sent by somebody


def test_all_observes_the_distribution_of_each_copy():
    environment = make_environment("all")
    np.testing.assert_array_equal(environment.reset(), np.tile(np.eye(BUFFER + 1)[0], (12, 1)))
    observed, _, _, _ = environment.step(np.zeros((12, BUFFER + 1), dtype=np.float32))
    np.testing.assert_array_equal(observed, environment.networks.distributions().astype(np.float32))
    assert observed.dtype == np.float32


def test_own_observes_a_one_hot_that_every_queue_length_has_an_equal_share_of():
    environment = make_environment("own", copies=1200)
    observed = [environment.reset()]
    for _ in range(4):  # into the next episode
        observed.append(environment.step(np.zeros((1200, BUFFER + 1), dtype=np.float32))[0])
    assert {row.tobytes() for rows in observed for row in rows} == {row.tobytes() for row in np.eye(6, dtype="f4")}
    assert all(stats.chisquare(rows.sum(axis=0)).pvalue > 1e-6 for rows in observed)
    assert len({rows.tobytes() for rows in observed}) == 5


def test_an_episode_that_ends_is_followed_by_the_next():
    environment = make_environment("all")
    environment.reset()
    for epoch in range(8):
        _, _, over, infos = environment.step(np.zeros((12, BUFFER + 1), dtype=np.float32))
        assert over.all() == (epoch % 4 == 3)
        assert infos == [{}] * 12
    assert environment.networks.episode == 2


# Training


def exported(system, preset, seed=1):
    return to_onnx(train(system, preset, seed=seed), METADATA).SerializeToString()


@pytest.mark.parametrize("preset", [TINY, replace(TINY, kl_coefficient=0.2, copies_per_path=5, observation="own")])
def test_the_same_seed_gives_the_same_bytes(preset):
    first = exported(make_system(), preset)
    assert exported(make_system(), preset) == first
    assert exported(make_system(), preset, seed=2) != first
    assert exported(make_system(), replace(preset, iterations=3)) != first


def test_every_hyperparameter_reaches_ppo(monkeypatch):
    made = []

    class Watched(training.PPO):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(training, "PPO", Watched)
    preset = Preset(
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
    policy = train(make_system(), preset, seed=1)
    (ppo,) = made
    assert (ppo.gamma, ppo.gae_lambda, ppo.clip_range(1), ppo.lr_schedule(1)) == (0.8, 0.7, 0.15, 2e-3)
    assert (ppo.batch_size, ppo.n_epochs, ppo.n_steps, ppo.n_envs) == (26, 3, 4, 33)
    assert [weight.shape for weight in policy.weights] == [(5, 6), (4, 5), (6, 4)]
    np.testing.assert_allclose(policy.deviation, np.exp(-3.0), rtol=0.2)


def test_each_iteration_is_told_the_drops_of_its_batch(tmp_path):
    # Without neighbours no decision matters, so the same numbers give the same drops.
    system = replace(
        make_system(), topology=Topology("none", np.zeros(10, dtype=np.int64), np.empty(0, dtype=np.int64))
    )
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


@pytest.mark.parametrize("preset", [TINY, replace(TINY, kl_coefficient=0.2, copies_per_path=5, observation="own")])
def test_a_training_that_was_cut_off_goes_on_to_the_same_bits(preset, tmp_path):
    class CutOffError(Exception):
        pass

    def cut_off():
        raise CutOffError

    preset = replace(preset, iterations=5)
    whole = TrainingLog(tmp_path / "whole", {"seed": 1})
    expected = to_onnx(train(make_system(), preset, seed=1, log=whole), METADATA).SerializeToString()
    parts = tmp_path / "parts"
    for _ in range(3):  # each gets one iteration further, and is cut off before it has been learned from
        log = TrainingLog(parts, {"seed": 1}, cut_off)
        with pytest.raises(CutOffError):
            train(make_system(), preset, seed=1, log=log)
        log = TrainingLog(parts, {"seed": 1})
        train(make_system(), replace(preset, iterations=max(1, len(log.rows) + 1)), seed=1, log=log)
    log = TrainingLog(parts, {"seed": 1})
    assert len(log.rows) in (2, 3)
    assert to_onnx(train(make_system(), preset, seed=1, log=log), METADATA).SerializeToString() == expected
    lines = [pd.read_csv(folder / "iterations.csv").drop(columns="seconds") for folder in (parts, tmp_path / "whole")]
    pd.testing.assert_frame_equal(*lines)
    assert list((tmp_path / "whole").glob("events.out.tfevents.*"))


def test_the_log_of_another_training_is_not_gone_on_with(tmp_path):
    TrainingLog(tmp_path, {"seed": 1})
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
    train(make_system(), replace(TINY, kl_coefficient=0.2, kl_target=target), seed=1)
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
        train(make_system(), replace(once, kl_coefficient=coefficient), seed=1)
    assert moved[0] > moved[1] > moved[2] > 0


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
    system = System(torus(11), 5.0, 250.0, BUFFER, np.ones(121))
    rules = rules_of(to_onnx(train(system, PRESETS["fast"]["MF-R"], seed=12345), METADATA))
    test = System(torus(20), 5.0, 50.0, BUFFER, np.ones(400))
    own, random = (drops(test, each, episodes=60) for each in (own_state(rules, BUFFER), random_server))
    # At least 20 % fewer drops; by chance alone in one of a million trainings no better than that.
    assert stats.ttest_1samp(own - 0.8 * random, 0.0, alternative="less").pvalue < 1e-6
    # And at most 1 % more than the best fixed rule.
    search_preset = PRESETS["fast"]["STATIC"]
    assert isinstance(search_preset, SearchPreset)
    best = np.clip(search(replace(system, horizon=50.0), search_preset, seed=54321)[:, 0], 0.0, 1.0)
    fixed = drops(test, lambda networks: best[networks.queue_lengths], episodes=60)
    assert own.mean() < 1.01 * fixed.mean()


# The command

SCENARIO = """\
topology: {kind: torus, side: 3}
delta_t: 2.5
horizon: 12
dispatchers: [RND]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    fast = {
        "MF-R": replace(PRESETS["fast"]["MF-R"], batch=100, networks=1, iterations=2),
        "NA-PS": replace(PRESETS["fast"]["NA-PS"], batch=450, minibatch=450, copies_per_path=1, iterations=2),
        **{name: replace(PRESETS["fast"][name], nodes=180, iterations=2) for name in ("STATIC", "MF-N", "MF-G")},
    }
    monkeypatch.setitem(PRESETS, "fast", fast)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SCENARIO)
    return tmp_path


def call(capsys, *arguments):
    """Return status, standard output and standard error."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


def test_the_command_trains_scores_and_writes_a_policy(folder, capsys):
    status, out, err = call(capsys, "small.yaml", "--quiet", "--seed", "7")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"torus_2\.5\.onnx: \d\.\d+ drops per server and 50 ms as MF-R, .*, RND .* small\)\n", out)
    assert {path.name for path in folder.iterdir()} == {"small.yaml", "torus_2.5.onnx", "runs"}
    logs = {path.name.partition(".1")[0] for path in (folder / "runs/training/torus_2.5").iterdir()}
    assert logs == {"iterations.csv", "checkpoint.pt", "training.json", "events.out.tfevents"}
    metadata = Policy("torus_2.5.onnx").metadata
    expected = {
        "buffer": "5",
        "delta_t": "2.5",
        "topology": "torus",
        "observation": "own",
        "preset": "fast",
        "iterations": "2",
        "seed": "7",
        "version": __version__,
        "command": "python -m policies small.yaml --quiet --seed 7",
        "score_episodes": "100",
    }
    assert expected.items() <= metadata.items()
    assert float(metadata["score_low"]) < float(metadata["score"]) < float(metadata["score_high"])
    told = json.loads(metadata["training_scenario"])
    assert told["topology"] == {"kind": "torus", "side": 3}
    assert str(folder) not in str(metadata)


def test_options_reach_the_training(folder, capsys):
    (folder / "larger.yaml").write_text("extends: small.yaml\ntopology: {kind: cycle, nodes: 12}\n")
    call(capsys, "small.yaml", "--quiet", "--out", "a.onnx")
    status, out, _ = call(
        capsys,
        *("small.yaml", "--out", "b.onnx", "--iterations", "1", "--observation", "all", "--seed", "3"),
        *("--evaluate", "larger.yaml", "--set", "delta_t=3", "--quiet"),
    )
    assert status == 0
    assert "as MF-G" in out
    assert "of larger" in out
    first, second = Policy("a.onnx").metadata, Policy("b.onnx").metadata
    told = ("observation", "seed", "iterations", "delta_t")
    assert [first[key] for key in told] == ["own", "1", "2", "2.5"]
    assert [second[key] for key in told] == ["all", "3", "1", "3"]
    assert json.loads(second["score_scenario"])["topology"]["kind"] == "cycle"


def test_every_algorithm_of_a_sweep_gets_its_policy(folder, capsys):
    arguments = ("small.yaml", "--quiet", "--out", ".", "--set", "training.algorithm=[STATIC,MF-R,MF-N,MF-G,NA-PS]")
    status, out, _ = call(capsys, *arguments)
    assert status == 0
    names = [f"small{middle}_2.5.onnx" for middle in ("_static", "", "_mf_n", "_mf_g", "_na_ps")]
    assert [line.split(":")[0] for line in out.splitlines()] == names
    assert [line.partition(" as ")[2][:4] for line in out.splitlines()] == ["MF-R", "MF-R", "MF-N", "MF-G", "MF-R"]
    static = Policy("small_static_2.5.onnx").rules(np.random.default_rng(1).dirichlet(np.ones(6), 5))
    np.testing.assert_allclose(static, static[:1] * np.ones((5, 1)), rtol=1e-5)
    first = {name: (folder / name).read_bytes() for name in names}
    call(capsys, *arguments, "--fresh")
    assert {name: (folder / name).read_bytes().replace(b" --fresh", b"") for name in names}.keys() == first.keys()
    for name in names:
        np.testing.assert_array_equal(Policy(name).rules(np.eye(6)), _rules_in(first[name], folder))


def _rules_in(content, folder):
    (folder / "first.onnx").write_bytes(content)
    return Policy(folder / "first.onnx").rules(np.eye(6))


def test_a_scenario_says_how_its_policies_are_trained(folder, capsys):
    (folder / "larger.yaml").write_text("extends: small.yaml\ntopology: {kind: cycle, nodes: 12}\n")
    section = "training: {observation: all, iterations: 1, hidden: [7], graphs: 1, score: larger.yaml}\n"
    (folder / "said.yaml").write_text("extends: small.yaml\n" + section)
    status, out, _ = call(capsys, "said.yaml", "--quiet")
    assert status == 0
    assert "as MF-G" in out
    assert "of larger" in out
    metadata = Policy("torus_2.5.onnx").metadata
    assert (metadata["observation"], metadata["iterations"], metadata["algorithm"]) == ("all", "1", "MF-R")
    assert float(metadata["training_drops_low"]) < float(metadata["training_drops"])


def test_an_interrupted_command_goes_on_where_it_was(folder, capsys, monkeypatch):
    call(capsys, "small.yaml", "--quiet", "--out", "whole.onnx", "--logs", "logs")
    real = TrainingLog.note

    def interrupted(log, **line):
        real(log, **line)
        if len(log.rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "note", interrupted)
        assert call(capsys, "small.yaml", "--quiet", "--out", "part.onnx")[0] == 130
    assert not (folder / "part.onnx").exists()
    assert call(capsys, "small.yaml", "--quiet", "--out", "part.onnx")[0] == 0
    np.testing.assert_array_equal(Policy("part.onnx").rules(np.eye(6)), Policy("whole.onnx").rules(np.eye(6)))


def test_each_delta_t_gets_its_policy(folder, capsys):
    (folder / "shelf").mkdir()
    (folder / "test.yaml").write_text("extends: small.yaml\ndelta_t: [1, 2, 3]\n")
    arguments = ("small.yaml", "--iterations", "1", "--set", "delta_t=[1,3]", "--evaluate", "test.yaml")
    status, out, _ = call(capsys, *arguments, "--out", "shelf", "--quiet")
    assert status == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["shelf/small_1.onnx", "shelf/small_3.onnx"]
    for delta_t in ("1", "3"):
        metadata = Policy(f"shelf/small_{delta_t}.onnx").metadata
        assert metadata["delta_t"] == delta_t
        assert json.loads(metadata["training_scenario"])["delta_t"] == float(delta_t)
        assert json.loads(metadata["score_scenario"])["delta_t"] == float(delta_t)


def test_progress_goes_to_standard_error(folder, capsys):
    status, out, err = call(capsys, "small.yaml", "--iterations", "1")
    assert status == 0
    assert out.count("\n") == 1
    assert "torus_2.5.onnx" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (
            ["small.yaml", "--set", "buffer=[1,2]"],
            "small.yaml: buffer must have one value here, but is swept",
        ),
        (
            ["small.yaml", "--set", "delta_t=[1,2]", "--out", "a.onnx"],
            "--out must be a folder that can be written to where delta_t is swept, got a.onnx",
        ),
        (
            ["small.yaml", "--set", "delta_t=[1,2]", "--evaluate", "other.yaml"],
            "other.yaml: delta_t must take the value 1 too",
        ),
        (
            ["small.yaml", "--set", "service.work=deterministic"],
            "small.yaml: service.work must be exponential here, got deterministic",
        ),
        (["small.yaml", "--evaluate", "deep.yaml"], "deep.yaml: buffer must be 5 as in training, got 7"),
        (["small.yaml", "--iterations", "0"], "--iterations must be at least 1, got 0"),
        (["small.yaml", "--seed", "-1"], "--seed must be between 0 and 4294967294, got -1"),
        (["small.yaml", "--seed", "4294967295"], "--seed must be between 0 and 4294967294, got 4294967295"),
        (
            ["small.yaml", "--out", "a/b.onnx"],
            "--out must be a file in a folder that can be written to, got a/b.onnx",
        ),
        (["small.yaml", "--out", "."], "--out must be a file in a folder that can be written to, got ."),
        (["small.yaml", "--preset", "slow"], "invalid choice: 'slow'"),
        ([], "SCENARIO"),
    ],
)
def test_bad_input_is_told_in_one_line(folder, capsys, arguments, message):
    (folder / "deep.yaml").write_text("extends: small.yaml\nbuffer: 7\n")
    (folder / "other.yaml").write_text("extends: small.yaml\ndelta_t: [3, 7]\n")
    status, out, err = call(capsys, *arguments, "--quiet")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(folder.glob("**/*.onnx"))


def test_without_torch_the_extra_is_named(folder, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "policies.training")
    monkeypatch.delattr("policies.training", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    status, _, err = call(capsys, "small.yaml", "--quiet")
    assert status == 2
    assert err == "training needs torch, which is not installed: pip install 'load-balancing-emulator[train]'\n"


def test_ctrl_c_leaves_what_was_there(folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    (folder / "torus_2.5.onnx").write_bytes(b"older")
    monkeypatch.setattr(training, "train", interrupted)
    status, out, err = call(capsys, "small.yaml")
    assert (status, out) == (130, "")
    assert err == "\ninterrupted: the same command goes on from here\n"
    assert (folder / "torus_2.5.onnx").read_bytes() == b"older"
    assert {path.name for path in folder.iterdir()} == {"small.yaml", "torus_2.5.onnx", "runs"}


@pytest.mark.slow
def test_a_running_command_can_be_interrupted(tmp_path):
    command = [sys.executable, "-m", "policies", str(ROOT / "scenarios" / "training" / "torus.yaml")]
    command += ["--set", "delta_t=5", "--set", "training.algorithm=MF-R", "--logs", str(tmp_path / "logs")]
    out = tmp_path / "policy.onnx"
    with subprocess.Popen(
        [*command, "--iterations", "1000", "--out", str(out)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        time.sleep(12)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.endswith("interrupted: the same command goes on from here\n")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_help_is_quick_to_come():
    code = "import sys; from policies.command_line import parser; parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert not {"torch", "numpy", "numba", "pydantic"} & set(loaded.stdout.split())


def test_the_presets_say_what_table_2_says():
    paper = PRESETS["paper"]["MF-R"]
    assert (paper.discount, paper.gae_lambda, paper.kl_coefficient, paper.kl_target) == (0.99, 1.0, 0.2, 0.01)
    assert (paper.clip, paper.learning_rate, paper.hidden) == (0.3, 5e-5, (256, 256))
    assert 4000 <= paper.batch <= 24000
    assert 128 <= paper.minibatch <= 4000
    assert 5 <= paper.passes <= 8
    assert (paper.observation, paper.copies_per_path) == ("all", 1)
