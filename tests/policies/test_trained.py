"""What is shipped: scores, the card, and that none of it needs torch."""

import json

import numpy as np
import onnx
import pytest
from own_process import ROOT, python

from dispatchers.catalogue import make
from emulator.results.estimates import mean_interval
from emulator.scenario.scenario import Scenario
from policies.card import card
from policies.process.scoring import score

FAST = ("torus_3", "torus_epoch_3", "torus_mf_n_3", "torus_mf_g_3", "mf_rnn_5", "na_ps_3", "sac_3_5_3", "unequal_3")
"""A policy of each kind."""


def shelf():
    """Return the shipped policies for some delta_t; but for `FAST` they are left to the slow tests."""
    for path in sorted((ROOT / "policies" / "trained").glob("*.onnx")):
        if path.stem in FAST or path.stem.rpartition("_")[2] in ("3", "10"):
            yield pytest.param(path, id=path.name, marks=[] if path.stem in FAST else pytest.mark.slow)


@pytest.mark.parametrize("path", list(shelf()))
def test_a_shipped_policy_has_the_score_it_claims(path):
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    system = Scenario.model_validate({**json.loads(told["score_on"]), "dispatchers": ["RND"]}).system()
    claimed = np.array(told["score_episodes"].split(), dtype=float)
    dispatcher = make(name=told["executed_as"], options={"policy": str(path)}).dispatcher
    found = score(dispatcher, system, len(claimed))
    np.testing.assert_allclose(found, claimed, rtol=1e-3, atol=1e-4)
    ends = [float(told[key]) for key in ("score", "score_low", "score_high")]
    assert ends == pytest.approx(mean_interval(found), rel=1e-3)
    assert path.stat().st_size < 300_000


TOPOLOGIES = ("cycle", "cube_connected_cycle", "torus", "configuration_model", "bethe")


def metadata(name):
    return {entry.key: entry.value for entry in onnx.load(ROOT / "policies/trained" / name).metadata_props}


PLACES = [(topology, delta_t) for topology in TOPOLOGIES for delta_t in range(1, 11)]


@pytest.mark.parametrize(("topology", "delta_t"), PLACES)
def test_shipped_policies_on_the_own_queue_are_as_good_as_the_best_fixed_rule(topology, delta_t):
    for reading in ("", "_epoch"):
        names = [f"{topology}{middle}{reading}_{delta_t}.onnx" for middle in ("_static", "")]
        static, own = (float(metadata(name)["score"]) for name in names)
        assert own <= 1.01 * static


@pytest.mark.parametrize(("topology", "delta_t"), PLACES)
def test_the_shelf_is_complete_and_more_knowledge_is_worth_more(topology, delta_t):
    names = [f"{topology}{middle}_{delta_t}.onnx" for middle in ("_static", "", "_mf_n", "_mf_g")]
    told = [metadata(name) for name in names]
    assert [(each["executed_as"], each["delta_t"]) for each in told] == [
        (name, str(delta_t)) for name in ("MF-R", "MF-R", "MF-N", "MF-G")
    ]
    assert len({each["score_on"] for each in told}) == 1
    static, _, near, everywhere = (np.mean([float(drops) for drops in each["score_episodes"].split()]) for each in told)
    assert near < static
    assert everywhere < static
    assert static < float(told[0]["score_RND"])


@pytest.mark.parametrize(("topology", "delta_t"), PLACES)
def test_near_queues_are_worth_something_where_actions_hold_for_an_epoch_too(topology, delta_t):
    static, near = (metadata(f"{topology}{middle}_epoch_{delta_t}.onnx") for middle in ("_static", "_mf_n"))
    assert (near["executed_as"], near["draws"], near["score_on"]) == ("MF-N", "epoch", static["score_on"])
    assert float(near["score"]) <= 1.001 * float(static["score"])


def test_the_shelf_is_small():
    assert sum(path.stat().st_size for path in (ROOT / "policies/trained").glob("*.onnx")) < 6_000_000


def test_importing_the_package_does_not_need_torch():
    modules = "policies, policies.command_line, policies.process.scoring, policies.export, policies.presets"
    code = f"import sys, {modules}; assert not {{'torch', 'stable_baselines3', 'gymnasium'}} & set(sys.modules)"
    assert python("-c", code).stderr == ""


def test_the_card_is_what_the_files_say():
    text = (ROOT / "policies/trained/README.md").read_text(encoding="utf-8")
    assert card() == text, "run: python -m policies.card > policies/trained/README.md"
    assert all(f"`{path.name}`" in text for path in (ROOT / "policies/trained").glob("*.onnx"))
