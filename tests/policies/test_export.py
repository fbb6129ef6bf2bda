"""The exported file of a policy."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from scipy import stats
from scipy.integrate import quad

from dispatchers.onnx_files.kinds import CONTRACT_VERSION, Policy
from emulator.errors import InputError
from policies.export import GaussianPolicy, rules_of, to_onnx, write

ROOT = Path(__file__).resolve().parents[2]
BUFFER = 5


def random_policy(buffer=BUFFER, hidden=(7, 9), scale=1.0):
    generator = np.random.default_rng(3)
    sizes = [buffer + 1, *hidden, buffer + 1]
    draw = generator.standard_normal
    return GaussianPolicy(
        weights=[(scale * draw((after, before))).astype(np.float32) for before, after in pairwise(sizes)],
        biases=[draw(size).astype(np.float32) for size in sizes[1:]],
        deviation=generator.uniform(0.05, 1.0, buffer + 1).astype(np.float32),
    )


def exported(policy):
    return to_onnx(policy, {"contract_version": CONTRACT_VERSION})


def test_the_exported_rule_is_the_mean_of_the_clipped_gaussian():
    policy = random_policy()
    distributions = np.random.default_rng(1).dirichlet(np.ones(BUFFER + 1), 20)
    value = distributions
    for number, (weight, bias) in enumerate(zip(policy.weights, policy.biases, strict=True)):
        value = value @ weight.T + bias
        if number < len(policy.weights) - 1:
            value = np.tanh(value)
    middle, deviation = (value + 1) / 2, policy.deviation / 2
    expected = [
        [
            quad(lambda x, m=m, s=s: stats.norm.sf(x, m, s), 0, 1, points=[min(max(m, 0), 1)])[0]
            for m, s in zip(row, deviation, strict=True)
        ]
        for row in middle
    ]
    assert value.min() < -1 < 1 < value.max()  # both bounds matter
    np.testing.assert_allclose(rules_of(exported(policy))(distributions), expected, atol=2e-6)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_exported_rule_stays_within_0_and_1(scale):
    policy = random_policy(scale=scale)
    small = replace(policy, deviation=np.full(BUFFER + 1, 1e-3, dtype=np.float32))
    for each in (policy, small):
        offload = rules_of(exported(each))(np.eye(BUFFER + 1))
        assert np.isfinite(offload).all()
        assert ((offload >= 0) & (offload <= 1)).all()


def test_a_tanh_that_is_beyond_1_by_an_ulp_does_not_leave_the_bounds():
    policy = replace(random_policy(), deviation=None)
    places = np.random.default_rng(1).dirichlet(np.ones(BUFFER + 1), 5)
    for shift in np.linspace(-12.0, 12.0, 150):
        moved = replace(policy, biases=[*policy.biases[:-1], np.full(BUFFER + 1, shift, dtype=np.float32)])
        offload = rules_of(exported(moved))(places)
        assert ((offload >= 0) & (offload <= 1)).all()


def test_the_exported_model_is_one_closed_file():
    metadata = {"contract_version": CONTRACT_VERSION, "buffer": "3"}
    model = to_onnx(random_policy(buffer=3, hidden=(4,)), metadata)
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    for value, name in ((model.graph.input, "distribution"), (model.graph.output, "offload")):
        (only,) = value
        shape = only.type.tensor_type.shape.dim
        assert (only.name, shape[0].dim_param, shape[1].dim_value) == (name, "batch", 4)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "policy.onnx"
    write(path, exported(random_policy()))
    assert [file.name for file in tmp_path.iterdir()] == ["policy.onnx"]
    assert Policy(path).buffer == BUFFER
    with pytest.raises(InputError, match=r"nowhere.*cannot be written"):
        write(tmp_path / "nowhere" / "policy.onnx", exported(random_policy()))


def metadata(name):
    return {entry.key: entry.value for entry in onnx.load(ROOT / "policies/trained" / name).metadata_props}
