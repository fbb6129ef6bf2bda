"""A learned policy from an ONNX file, which may come from a stranger: looked at before it is run, tried before use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dispatchers.contract import DispatcherError, Floats

CONTRACT_VERSION = "1"
LARGEST_FILE = 16 * 2**20
"""Bytes."""

OPERATORS = frozenset(
    (
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Div",
        "Elu",
        "Erf",
        "Exp",
        "Flatten",
        "Gemm",
        "Identity",
        "LayerNormalization",
        "LeakyRelu",
        "Log",
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Pow",
        "ReduceMax",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Softplus",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
    )
)
"""What a network of layers needs; nothing random, no control flow, nothing that makes large tensors from small ones."""

PROBES = 64
"""Random distributions on which a new policy is tried."""


class Policy:
    """Decision rules by a network: input `distribution`, output `offload`, both float32 batch x (buffer + 1).

    Raises `DispatcherError` with the file's name for anything that is not such a policy.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        content = _read(self.path)
        self.metadata, self.buffer = _inspect(self.path, content)
        self._session = _session(self.path, content)
        self._probe()

    def rules(self, distributions: ArrayLike) -> Floats:
        """Return the decision rules, rows x (buffer + 1) in [0, 1], for rows of distributions of queue lengths."""
        rows = np.ascontiguousarray(distributions, dtype=np.float32)
        return self._session.run(["offload"], {"distribution": rows})[0].astype(np.float64)

    def _probe(self) -> None:
        generator = np.random.default_rng(0)
        lengths = self.buffer + 1
        rows = np.concatenate([np.eye(lengths), generator.dirichlet(np.full(lengths, 0.5), PROBES)])
        try:
            rules = self.rules(rows)
            again = self.rules(rows)
            alone = np.concatenate([self.rules(row[None, :]) for row in rows])
        except Exception as error:
            raise _refusal(self.path, f"cannot be evaluated: {_line(error)}") from None
        if rules.shape != rows.shape:
            raise _refusal(self.path, f"offload must be {len(rows)} x {lengths} for as many rows, got {rules.shape}")
        if not np.isfinite(rules).all():
            raise _refusal(self.path, "answers with numbers that are not finite")
        if rules.min() < 0.0 or rules.max() > 1.0:
            raise _refusal(
                self.path,
                f"answers with {rules.min():.6g} to {rules.max():.6g}, must be probabilities from 0 to 1",
            )
        if not np.array_equal(rules, again):
            raise _refusal(self.path, "answers the same question in different ways")
        if not np.array_equal(rules, alone):
            raise _refusal(self.path, "answers a row in company otherwise than alone")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise _refusal(path, f"must have at most {LARGEST_FILE // 2**20} MiB")
    if not content:
        raise _refusal(path, "is empty")
    return content


def _inspect(path: Path, content: bytes) -> tuple[dict[str, str], int]:
    """Return metadata and buffer of a model that holds nothing but an allowed network of the right form."""
    import onnx

    damaged = _refusal(path, "is not an ONNX file, or a damaged one")
    try:
        model = onnx.load_from_string(content)
    except Exception:
        raise damaged from None
    if model.functions or model.graph.sparse_initializer or model.training_info:
        raise _refusal(path, "must be a plain network, without functions, sparse tensors or training information")
    # Before the checker, which looks for the files that external data names.
    for tensor in [*model.graph.initializer, *_constants(path, model)]:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise _refusal(path, f"must hold all its data itself, but {tensor.name!r} is in another file")
    try:
        onnx.checker.check_model(model, full_check=False)
    except Exception:
        raise damaged from None
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get("contract_version") != CONTRACT_VERSION:
        raise _refusal(
            path,
            f"is not a policy for this emulator: contract_version in its metadata must be {CONTRACT_VERSION}, "
            f"got {metadata.get('contract_version')!r}",
        )
    lengths = _width(path, "input", model.graph.input, "distribution")
    if _width(path, "output", model.graph.output, "offload") != lengths:
        raise _refusal(path, "distribution and offload must have the same width")
    if metadata.get("buffer", str(lengths - 1)) != str(lengths - 1):
        raise _refusal(path, f"is {lengths} wide, but its metadata says buffer {metadata['buffer']}")
    return metadata, lengths - 1


def _constants(path: Path, model: Any) -> list[Any]:
    """Return the tensors in the nodes' attributes; refuse operators that are not allowed, and graphs in graphs."""
    tensors = []
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise _refusal(path, f"uses the operator {name}, allowed are {', '.join(sorted(OPERATORS))}")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.HasField("sparse_tensor"):
                raise _refusal(path, f"has a graph or a sparse tensor inside the operator {node.op_type}")
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            tensors.extend(attribute.tensors)
    return tensors


def _width(path: Path, side: str, values: Any, name: str) -> int:
    """Return the second dimension of the only input or output, float32 batch x width of the right name."""
    import onnx

    found = ", ".join(value.name for value in values) or "none"
    if [value.name for value in values] != [name]:
        raise _refusal(path, f"must have one {side} named {name}, got {found}")
    tensor = values[0].type.tensor_type
    dimensions = tensor.shape.dim
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(dimensions) != 2 or dimensions[0].HasField("dim_value"):
        raise _refusal(path, f"{name} must be float32 with a free first and a fixed second dimension")
    width = dimensions[1].dim_value
    if not 2 <= width <= 10_001:
        raise _refusal(path, f"{name} must be buffer + 1 wide, got {width or 'no width'}")
    return width


def _session(path: Path, content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread and no waiting for more: a call costs a fifth, and the bits never change.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _refusal(path, f"cannot be run: {_line(error)}") from None


def _refusal(path: Path, why: str) -> DispatcherError:
    return DispatcherError(f"{path}: policy {why}")


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+/", "", text)[:160]
