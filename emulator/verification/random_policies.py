"""Small random policies as ONNX files, of the kinds that carry a state or have one policy for each scheduler."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher
from dispatchers.onnx_files.writing import model_of
from dispatchers.rules.actor_critic import ScalableActorCritic
from dispatchers.rules.recurrent import MeanFieldRecurrent

if TYPE_CHECKING:
    import onnx

RECURRENT = """
    policy (float[batch, {lengths}] distribution, float[batch, {hidden}] hidden)
        => (float[batch, {lengths}] offload, float[batch, {hidden}] next_hidden) {{
        observed = Concat <axis = 1> (distribution, hidden)
        excitation = Gemm (observed, weight_in, bias_in)
        next_hidden = Tanh (excitation)
        logits = Gemm (next_hidden, weight_out, bias_out)
        offload = Sigmoid (logits)
    }}
"""

PER_AGENT = """
    policy (int64[batch] scheduler, int64[batch, {columns}] queue_lengths)
        => (float[batch, {columns}] probabilities) {{
        known = Cast <to = 1> (queue_lengths)
        slopes = Gather (slope, scheduler)
        biases = Gather (bias, scheduler)
        inclination = Mul (known, slopes)
        logits = Add (inclination, biases)
        probabilities = Softmax <axis = -1> (logits)
    }}
"""


def recurrent(generator: np.random.Generator, buffer: int, hidden: int) -> onnx.ModelProto:
    """Return a policy for MF-RNN: one recurrent layer, one linear one and a sigmoid."""
    lengths = buffer + 1
    constants = {
        "weight_in": generator.normal(size=(lengths + hidden, hidden)),
        "bias_in": generator.normal(size=hidden),
        "weight_out": generator.normal(size=(hidden, lengths)),
        "bias_out": generator.normal(size=lengths),
    }
    return model_of(RECURRENT.format(lengths=lengths, hidden=hidden), constants, {})


def per_agent(generator: np.random.Generator, buffer: int, degrees: NDArray[np.int64]) -> onnx.ModelProto:
    """Return a policy for SAC: a linear softmax for each scheduler, given how many neighbours each has."""
    columns = int(degrees.max()) + 1
    size = len(degrees), columns
    accessible = np.arange(columns) <= degrees[:, None]
    constants = {
        "slope": generator.normal(size=size),
        "bias": np.where(accessible, generator.normal(size=size), -1e9),
    }
    metadata = {"nodes": str(len(degrees)), "buffer": str(buffer)}
    return model_of(PER_AGENT.format(columns=columns), constants, metadata)


def dispatcher_of(rule: type[MeanFieldRecurrent | ScalableActorCritic], model: onnx.ModelProto) -> Dispatcher:
    """Make a dispatcher with a model for its policy, by way of a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        path.write_bytes(model.SerializeToString())
        return rule(str(path))
