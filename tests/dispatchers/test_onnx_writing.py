"""Models from text: what they hold, what they say, and that nonsense is not built."""

import numpy as np
import pytest
from onnx import numpy_helper

from dispatchers.onnx_files.model import metadata, metadata_in
from dispatchers.onnx_files.writing import add_metadata, model_of

GRAPH = """
    policy (float[batch, 3] distribution) => (float[batch, 3] offload) {
        shifted = Add (distribution, shift)
        offload = Clip (shifted, zero, shift)
    }
"""


def made(**metadata):
    return model_of(GRAPH, {"shift": 0.5, "zero": np.float64(0.0)}, metadata)


def test_floats_are_written_as_float32_and_whole_numbers_as_they_are():
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made().graph.initializer}
    assert {name: (each.dtype, float(each)) for name, each in tensors.items()} == {
        "shift": (np.float32, 0.5),
        "zero": (np.float32, 0.0),
    }
    graph = GRAPH.replace("float[", "int64[")
    (count,) = model_of(graph, {"shift": np.int64(1), "zero": np.int64(0)}, {}).graph.initializer[:1]
    assert numpy_helper.to_array(count).dtype == np.int64


def test_it_says_the_version_of_the_contract_and_what_else_is_told(tmp_path):
    model = made(buffer="2")
    assert metadata_in(model) == {"contract_version": "1", "buffer": "2"}
    add_metadata(model, {"buffer": "3", "seed": "7"})
    (tmp_path / "p.onnx").write_bytes(model.SerializeToString())
    assert metadata(tmp_path / "p.onnx") == {"contract_version": "1", "buffer": "3", "seed": "7"}
    assert metadata_in(made(contract_version="9")) == {"contract_version": "9"}


def test_nonsense_is_not_built():
    with pytest.raises(Exception, match="Nonsense"):
        model_of(GRAPH.replace("Add", "Nonsense"), {"shift": 0.5, "zero": 0.0}, {})
