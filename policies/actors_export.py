"""The policies of all agents as one ONNX file, which the dispatcher SAC takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dispatchers.policy import CONTRACT_VERSION
from policies.export import IR_VERSION, OPSET, set_metadata
from policies.scalable_actor_critic import Actors, places

if TYPE_CHECKING:
    import onnx

GRAPH = """
    policy (int64[batch] scheduler, int64[batch, {columns}] queue_lengths)
        => (float[batch, {columns}] probabilities) {{
        lengths = Clip (queue_lengths, zero, buffer)
        state = MatMul (lengths, places)
        agent = Clip (scheduler, zero, last_agent)
        first_row = Mul (agent, states)
        row = Add (first_row, state)
        probabilities = Gather <axis = 0> (table, row)
    }}
"""


def actors_to_onnx(actors: Actors, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return the model that looks an agent's probabilities up in a table; numbers out of range count as the nearest.

    Inputs: `scheduler`, int64, batch; `queue_lengths`, int64, batch x columns. Output: `probabilities`, float32, batch
    x columns, 0 in padded columns. To `metadata` are added contract_version, nodes, buffer and topology_hash.
    """
    import onnx
    from onnx import numpy_helper, parser

    agents, states, columns = actors.table.shape
    model = parser.parse_model(
        f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}], producer_name: "policies">\n'
        + GRAPH.format(columns=columns)
    )
    constants = {
        "table": actors.table.reshape(agents * states, columns).astype(np.float32),
        "places": places(actors.buffer, columns),
        "zero": np.int64(0),
        "buffer": np.int64(actors.buffer),
        "last_agent": np.int64(agents - 1),
        "states": np.int64(states),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(constant), name) for name, constant in constants.items()
    )
    own = {
        "contract_version": CONTRACT_VERSION,
        "nodes": str(agents),
        "buffer": str(actors.buffer),
        "topology_hash": actors.topology.graph_hash,
    }
    set_metadata(model, {**metadata, **own})
    onnx.checker.check_model(model, full_check=True)
    return model
