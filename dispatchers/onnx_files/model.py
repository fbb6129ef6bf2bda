"""A network in an ONNX file, which may come from a stranger: looked at before it is run, tried before use."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dispatchers.errors import DispatcherError, one_line
from dispatchers.files import read_regular
from dispatchers.view import Floats

CONTRACT_VERSION = "1"
LARGEST_FILE = 16 * 2**20
"""Bytes."""

SUM_TOLERANCE = 1e-4
"""How far from 1 probabilities in float32 may sum."""

LONGEST_PATH, LONGEST_VALUE, LONGEST_REASON = 130, 40, 120
"""Characters that a message shows of the file's own name, of a value from it, and of what ONNX Runtime says."""

# fmt: off
OPERATORS = frozenset((
    "Abs", "Add", "Cast", "Clip", "Concat", "Constant", "Div", "Elu", "Erf", "Exp", "Flatten", "Gather", "Gemm",
    "Identity", "LayerNormalization", "LeakyRelu", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "ReduceMax",
    "ReduceMean", "ReduceSum", "Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
))
# fmt: on
"""What a network of layers needs; nothing random, no control flow, nothing that makes large tensors from small ones."""

WIDTHS = {"buffer + 1": range(2, 10_002), "hidden": range(1, 10_001), "columns": range(1, 10_001)}
"""What a second dimension can mean, and how large it may be; one meaning has one width in all of a file."""


class Tensor(NamedTuple):
    """An input or output: its first dimension counts rows and is free, the second, if any, is one of `WIDTHS`."""

    name: str
    type: str
    """The element type as NumPy calls it."""
    width: str | None = None
    is_probability: bool = False
    """Whether it must be from 0 to 1."""
    sums_to_one: bool = False
    """Whether each row must sum to 1."""


class ModelFile:
    """A network with a subclass's inputs and outputs, rows in, rows out. Raises `DispatcherError` for another file."""

    inputs: ClassVar[tuple[Tensor, ...]]
    outputs: ClassVar[tuple[Tensor, ...]]

    def __init__(self, path: str | Path):
        self.path = Path(path)
        content, model = opened(self.path)
        self.metadata = _texts(self.path, model)
        self.widths: dict[str, int] = {}
        """How wide each of `WIDTHS` is here."""
        self._note_widths("input", self.inputs, model.graph.input)
        self._note_widths("output", self.outputs, model.graph.output)
        self._session = _session(self.path, content)

    def run(self, **inputs: ArrayLike) -> list[Floats]:
        """Return the outputs, in order and as float64, for rows of inputs. Raises `DispatcherError` for wrong ones."""
        rows = {tensor.name: np.ascontiguousarray(inputs[tensor.name], dtype=tensor.type) for tensor in self.inputs}
        try:
            outputs = self._session.run([tensor.name for tensor in self.outputs], rows)
        except Exception as error:
            raise refusal(self.path, f"cannot be evaluated: {_line(error)}") from None
        with np.errstate(invalid="ignore"):  # NaN, which is told below
            answers = [output.astype(np.float64) for output in outputs]
        for tensor, answer in zip(self.outputs, answers, strict=True):
            self._check_answer(tensor, answer, len(rows[self.inputs[0].name]))
        return answers

    def _check_answer(self, tensor: Tensor, answer: Floats, rows: int) -> None:
        shape = rows, self.widths[tensor.width or ""]
        if answer.shape != shape:
            wanted = " x ".join(map(str, shape))
            raise refusal(self.path, f"{tensor.name} must be {wanted} for as many rows, got {shown(answer.shape)}")
        if not rows:
            return
        low, high = answer.min(), answer.max()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise refusal(self.path, "answers with numbers that are not finite")
        if tensor.is_probability and (low < 0.0 or high > 1.0):
            raise refusal(self.path, f"answers with {low:.6g} to {high:.6g}, must be probabilities from 0 to 1")
        sums = np.einsum("ij->i", answer) if tensor.sums_to_one else np.ones(1)  # a third of the time of `sum`
        errors = np.abs(sums - 1.0)
        if errors.max() > SUM_TOLERANCE:
            worst = sums[errors.argmax()]
            raise refusal(self.path, f"answers with probabilities that sum to {worst:.6g}, must be 1")

    def probe(self, **inputs: Any) -> list[Floats]:
        """Return the outputs after trying repeatability on these rows, alone and in company."""
        answers = self.run(**inputs)
        again = self.run(**inputs)
        count = len(next(iter(inputs.values())))
        rows = [self.run(**{name: value[row : row + 1] for name, value in inputs.items()}) for row in range(count)]
        alone = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        if not all(map(np.array_equal, answers, again)):
            raise refusal(self.path, "answers the same question in different ways")
        if not all(map(np.array_equal, answers, alone)):
            raise refusal(self.path, "answers a row in company otherwise than alone")
        return answers

    def _note_widths(self, side: str, tensors: Sequence[Tensor], values: Any) -> None:
        found = {value.name: value.type.tensor_type for value in values}
        wanted = [tensor.name for tensor in tensors]
        if set(found) != set(wanted):
            raise refusal(self.path, f"must have as {side} {' and '.join(wanted)}, got {shown_names(found)}")
        for tensor in tensors:
            self._note_width(tensor, found[tensor.name])

    def _note_width(self, tensor: Tensor, found: Any) -> None:
        import onnx

        name = tensor.name
        dimensions = found.shape.dim
        is_free = [not dimension.HasField("dim_value") for dimension in dimensions[:1]] == [True]
        right_type = found.elem_type == onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.type))
        if not right_type or not is_free or len(dimensions) != (1 if tensor.width is None else 2):
            second = "" if tensor.width is None else " and a fixed second"
            raise refusal(self.path, f"{name} must be {tensor.type} with a free first{second} dimension")
        if tensor.width is None:
            return
        width, allowed = dimensions[1].dim_value, WIDTHS[tensor.width]
        if width not in allowed:
            limits = f"{tensor.width} wide, from {allowed[0]} to {allowed[-1]}"
            raise refusal(self.path, f"{name} must be {limits}, got {width or 'no width'}")
        if self.widths.setdefault(tensor.width, width) != width:
            first = next(other for other in self.inputs + self.outputs if other.width == tensor.width)
            raise refusal(self.path, f"{first.name} and {name} must have the same width")


def metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of an ONNX file, of which nothing else is looked at. Raises `DispatcherError`."""
    return _texts(Path(path), _parsed(Path(path))[1])


def opened(path: Path) -> tuple[bytes, Any]:
    """Return a file's content and the model in it, which holds nothing but an allowed network of this contract."""
    import onnx

    content, model = _parsed(path)
    if model.functions or model.graph.sparse_initializer or model.training_info:
        raise refusal(path, "must be a plain network, without functions, sparse tensors or training information")
    # Before the checker, which looks for the files that external data names.
    for tensor in [*model.graph.initializer, *_constants(path, model)]:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise refusal(path, f"must hold all its data itself, but {shown(tensor.name)} is in another file")
    try:
        onnx.checker.check_model(model, full_check=False)
        is_hazardous = _divides_whole_numbers(model)
    except Exception:
        raise _damaged(path) from None
    if is_hazardous:
        raise refusal(path, "divides whole numbers, which it must make floats of first (operator Cast)")
    version = metadata_in(model).get("contract_version")
    if version != CONTRACT_VERSION:
        raise refusal(
            path,
            f"is not a policy for this emulator: contract_version in its metadata must be {CONTRACT_VERSION}, "
            f"got {shown(version)}",
        )
    return content, model


def refusal(path: Path, why: str) -> DispatcherError:
    """Return the error that says in one line why a file is no policy; a long path gives way to the reason."""
    return DispatcherError(f"{one_line(str(path), LONGEST_PATH)}: policy {why}")


def shown(value: object) -> str:
    """Return how a message shows a value from a file: quoted if it is text, and short."""
    return one_line(repr(value), LONGEST_VALUE)


def shown_names(names: Collection[str]) -> str:
    """Return how a message shows the names of a file's inputs or outputs."""
    return shown(" and ".join(names)) if names else "none"


def _damaged(path: Path) -> DispatcherError:
    return refusal(path, "is not an ONNX file, or a damaged one")


def _parsed(path: Path) -> tuple[bytes, Any]:
    """Return a file's content and the ONNX model in it, of which nothing is known yet."""
    import onnx

    try:
        content = read_regular(path, LARGEST_FILE)
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from None
    if not content:
        raise refusal(path, "is empty")
    try:
        return content, onnx.load_from_string(content)
    except Exception:
        raise _damaged(path) from None


def metadata_in(model: Any) -> dict[str, str]:
    """Return the metadata of an ONNX model."""
    return {entry.key: entry.value for entry in model.metadata_props}


def _texts(path: Path, model: Any) -> dict[str, str]:
    """Return the metadata of a file's model; refuse bytes that are no text, which a damaged file may have."""
    found = metadata_in(model)
    wrong = [part for entry in found.items() for part in entry if not isinstance(part, str)]
    if wrong:
        raise refusal(path, f"has metadata that is no text: {shown(wrong[0])}")
    return found


def _constants(path: Path, model: Any) -> list[Any]:
    """Return the tensors in the nodes' attributes; refuse operators that are not allowed, and graphs in graphs."""
    tensors = []
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise refusal(path, _not_allowed(node))
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.HasField("sparse_tensor"):
                raise refusal(path, f"has a graph or a sparse tensor inside the operator {node.op_type}")
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            tensors.extend(attribute.tensors)
    return tensors


def _divides_whole_numbers(model: Any) -> bool:
    """Return whether a quotient may be a whole number: the least one there is over -1 ends the process."""
    import onnx

    if all(node.op_type != "Div" for node in model.graph.node):
        return False
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.output]}
    floats = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16
    return any(types.get(node.output[0]) not in floats for node in graph.node if node.op_type == "Div")


def _not_allowed(node: Any) -> str:
    name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    near = difflib.get_close_matches(node.op_type[:LONGEST_VALUE], OPERATORS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"uses the operator {shown(name)}{hint}, docs/dispatchers.md lists those allowed"


def _session(path: Path, content: bytes) -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # which tells of a home that cannot be written to, and more
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
        raise refusal(path, f"cannot be run: {_line(error)}") from None


UNTELLING = re.compile(r"^(\[ONNXRuntimeError\] : \d+ : \w+ : )?(Non-zero status .* Status Message: )?|/\S+/")
"""What messages of ONNX Runtime hold beside the reason."""


def _line(error: Exception) -> str:
    return one_line(UNTELLING.sub("", " ".join(str(error).split())), LONGEST_REASON)
