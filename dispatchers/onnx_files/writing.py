"""A network written as text becomes an ONNX model: the only place where models are built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dispatchers.onnx_files.model import CONTRACT_VERSION, metadata_in

if TYPE_CHECKING:
    import onnx


def model_of(graph: str, constants: Mapping[str, Any], metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return the model of a graph in ONNX's own text format; floats become float32, `contract_version` is added."""
    import onnx
    from onnx import numpy_helper, parser

    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17], producer_name: "policies">\n{graph}')
    for name, constant in constants.items():
        array = np.asarray(constant)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    add_metadata(model, {"contract_version": CONTRACT_VERSION, **metadata})
    onnx.checker.check_model(model, full_check=True)
    return model


def add_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Let a model say more of itself; what it said before of the same is replaced."""
    import onnx

    onnx.helper.set_model_props(model, {**metadata_in(model), **metadata})
