"""A learned policy as one ONNX file that anybody can run without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatchers.onnx_files.kinds import Policy
from dispatchers.onnx_files.writing import model_of
from emulator.machine.files import whole_file

if TYPE_CHECKING:
    import onnx

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class GaussianPolicy:
    """A diagonal Gaussian over the actions of `policies.process.vector_environment`, all float32.

    Layer k of its mean is `weights[k] @ x + biases[k]`, with tanh between layers. A `deviation` of None stands for one
    that was narrowed, so that the mean is what counts; it has gone through tanh itself.
    """

    weights: list[NDArray[np.float32]]
    biases: list[NDArray[np.float32]]
    deviation: NDArray[np.float32] | None

    @property
    def buffer(self) -> int:
        """Jobs that a server holds."""
        return len(self.biases[-1]) - 1


@dataclass(frozen=True)
class RecurrentGaussianPolicy(GaussianPolicy):
    """A policy that carries a state: an LSTM (S. Hochreiter, J. Schmidhuber, 1997) with H units before the layers.

    Its gates i, f, g, o, as torch has them, are `gate_weights @ (distribution, h) + gate_biases`: float32,
    4 H x (buffer + 1 + H) and 4 H. From the state (h, c), 2 H numbers, they make the next:

        c' = sigmoid(f) c + sigmoid(i) tanh(g),    h' = sigmoid(o) tanh(c').

    The first layer takes h'.
    """

    gate_weights: NDArray[np.float32]
    gate_biases: NDArray[np.float32]


STEP_OF_LSTM = """\
h, c = Split <axis = 1> (hidden)
observed = Concat <axis = 1> (distribution, h)
gates = Gemm <transB = 1> (observed, gate_weights, gate_biases)
gate_i, gate_f, gate_g, gate_o = Split <axis = 1> (gates)
open_i = Sigmoid (gate_i)
open_f = Sigmoid (gate_f)
open_o = Sigmoid (gate_o)
news = Tanh (gate_g)
kept = Mul (open_f, c)
taken = Mul (open_i, news)
next_c = Add (kept, taken)
told = Tanh (next_c)
next_h = Mul (open_o, told)
next_hidden = Concat <axis = 1> (next_h, next_c)
"""


def to_onnx(policy: GaussianPolicy, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return the model with input `distribution` and output `offload`, both float32, batch x buffer + 1.

    A policy that carries a state (h, c), zeros at an episode's start, also has the input `hidden` and the output
    `next_hidden`, float32, batch x 2 H. `offload` is the decision rule that the Gaussian acts with on average. Its
    actions x were clipped to [-1, 1] in training, so with mean m and deviation s it is E[(clip(x) + 1) / 2], or

        s / 2 * (F((m + 1) / s) - F((m - 1) / s)),    F(t) = t Phi(t) + phi(t),

    Phi and phi being the normal distribution and density. The clipped mean would be another rule than the one that
    training found good. Without a deviation it is `(tanh(last layer) + 1) / 2`.
    """
    if not isinstance(policy, RecurrentGaussianPolicy):
        return _model(_actor(policy, "distribution"), _constants(policy), policy.buffer + 1, metadata)
    lines = [*STEP_OF_LSTM.splitlines(), *_actor(policy, "next_h")]
    constants = _constants(policy) | {"gate_weights": policy.gate_weights, "gate_biases": policy.gate_biases}
    return _model(lines, constants, policy.buffer + 1, metadata, hidden=len(policy.gate_biases) // 2)


def _actor(policy: GaussianPolicy, value: str) -> list[str]:
    """Return the lines that lead from what the first layer takes to `offload`."""
    lines = []
    for layer in range(len(policy.weights)):
        lines.append(f"layer_{layer} = Gemm <transB = 1> ({value}, weight_{layer}, bias_{layer})")
        value = f"layer_{layer}"
        if layer < len(policy.weights) - 1:
            lines.append(f"tanh_{layer} = Tanh ({value})")
            value = f"tanh_{layer}"
    if policy.deviation is None:
        lines += [f"action = Tanh ({value})", "shifted = Add (action, one)", "probability = Mul (shifted, half)"]
    else:
        lines += _mean_of_clipped(value)
    return [*lines, "offload = Clip (probability, zero, one)"]  # against rounding: a Tanh may be beyond 1 by an ulp


def _mean_of_clipped(value: str) -> list[str]:
    """Return the lines from the Gaussian's mean to `probability`; see `to_onnx`."""
    lines = []
    for bound, shift in (("above_low", "Add"), ("above_high", "Sub")):
        lines += [
            f"{bound}_distance = {shift} ({value}, one)",
            f"{bound}_t = Div ({bound}_distance, deviation)",
            f"{bound}_scaled = Mul ({bound}_t, sqrt_half)",
            f"{bound}_erf = Erf ({bound}_scaled)",
            f"{bound}_erf_plus_one = Add ({bound}_erf, one)",
            f"{bound}_phi = Mul ({bound}_erf_plus_one, half)",
            f"{bound}_first = Mul ({bound}_t, {bound}_phi)",
            f"{bound}_square = Mul ({bound}_scaled, {bound}_scaled)",
            f"{bound}_exponent = Neg ({bound}_square)",
            f"{bound}_exp = Exp ({bound}_exponent)",
            f"{bound}_density = Mul ({bound}_exp, density_at_zero)",
            f"{bound} = Add ({bound}_first, {bound}_density)",
        ]
    lines += [
        "difference = Sub (above_low, above_high)",
        "half_deviation = Mul (deviation, half)",
        "probability = Mul (difference, half_deviation)",
    ]
    return lines


def _constants(policy: GaussianPolicy) -> dict[str, Any]:
    """Return what `_actor` refers to."""
    constants = {
        **{f"weight_{layer}": weight for layer, weight in enumerate(policy.weights)},
        **{f"bias_{layer}": bias for layer, bias in enumerate(policy.biases)},
        "half": np.float32(0.5),
        "zero": np.float32(0.0),
        "one": np.float32(1.0),
    }
    if policy.deviation is None:
        return constants
    return constants | {
        "deviation": policy.deviation,
        "sqrt_half": np.float32(np.sqrt(0.5)),
        "density_at_zero": np.float32(1.0 / np.sqrt(2.0 * np.pi)),
    }


def linear_to_onnx(weights: ArrayLike, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return the rule `clip(weights @ distribution, 0, 1)` (buffer + 1 x buffer + 1) as a model like `to_onnx`'s."""
    weights = np.asarray(weights, dtype=np.float32)
    lines = ["linear = Gemm <transB = 1> (distribution, weights)", "offload = Clip (linear, zero, one)"]
    constants = {"weights": weights, "zero": np.float32(0.0), "one": np.float32(1.0)}
    return _model(lines, constants, len(weights), metadata)


def fixed_to_onnx(rule: ArrayLike, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return a decision rule (buffer + 1) that answers every distribution as a model like `to_onnx`'s."""
    rule = np.asarray(rule, dtype=np.float32)
    return linear_to_onnx(np.repeat(rule[:, None], len(rule), axis=1), metadata)  # the shares sum to 1


def _model(
    lines: Sequence[str],
    constants: Mapping[str, Any],
    lengths: int,
    metadata: Mapping[str, str],
    hidden: int | None = None,
) -> onnx.ModelProto:
    inputs, outputs = f"float[batch, {lengths}] distribution", f"float[batch, {lengths}] offload"
    if hidden is not None:
        inputs, outputs = f"{inputs}, float[batch, {hidden}] hidden", f"{outputs}, float[batch, {hidden}] next_hidden"
    body = "\n".join(lines)
    return model_of(f"policy ({inputs}) => ({outputs}) {{\n{body}\n}}", constants, metadata)


def rules_of(model: onnx.ModelProto) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Return the model as a function from distributions of queue lengths to decision rules, rows x buffer + 1."""
    return loaded(model, Policy).rules


def loaded(model: onnx.ModelProto, load: Callable[[Path], Loaded]) -> Loaded:
    """Return what is loaded of a model, which goes through a file and the checks of one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        write(path, model)
        return load(path)


def write(path: Path, model: onnx.ModelProto) -> None:
    """Write a model whole or not at all. Raises `InputError` if that cannot be done."""
    with whole_file(path) as file:
        file.write(model.SerializeToString())
