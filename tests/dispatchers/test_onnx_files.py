"""Policies from files: what a good one answers, and that a stranger's file is refused with one clear line."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dispatchers.errors import LONGEST_LINE, DispatcherError
from dispatchers.information import information_of
from dispatchers.onnx_files import model as model_file
from dispatchers.onnx_files.kinds import CONTRACT_VERSION, KINDS, AgentPolicy, Policy, RecurrentPolicy, kind_of
from dispatchers.onnx_files.model import OPERATORS, metadata
from dispatchers.rules.actor_critic import ScalableActorCritic
from dispatchers.rules.mean_field import MeanFieldGlobal, MeanFieldNeighbourhood, MeanFieldOwn, ParameterSharing
from dispatchers.rules.recurrent import MeanFieldRecurrent
from dispatchers.view import an_epoch_later, random_view
from emulator.verification import random_policies as random_networks

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "policies" / "trained").glob("*.onnx"))
LENGTHS = 4


def linear(lengths=LENGTHS, seed=3):
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(lengths, lengths)).astype(np.float32)
    return weights, generator.normal(size=lengths).astype(np.float32)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=np.float64)))


def network(lengths=LENGTHS):
    """Return the nodes and tensors of sigmoid(distribution @ weights + bias)."""
    weights, bias = linear(lengths)
    nodes = [
        helper.make_node("Gemm", ["distribution", "weights", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["offload"]),
    ]
    return nodes, [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]


def value(name, shape=("batch", LENGTHS), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes=None, tensors=None, *, inputs=None, outputs=None, metadata=None, opset=17, functions=(), domains=()
) -> onnx.ModelProto:
    plain_nodes, plain_tensors = network()
    graph = helper.make_graph(
        plain_nodes if nodes is None else nodes,
        "policy",
        [value("distribution")] if inputs is None else inputs,
        [value("offload")] if outputs is None else outputs,
        plain_tensors if tensors is None else tensors,
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made = helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8)
    helper.set_model_props(made, {"contract_version": CONTRACT_VERSION} if metadata is None else metadata)
    return made


def then(*nodes, tensors=()):
    """Return the network with further nodes between its answer, there called `answer`, and `offload`."""
    plain_nodes, plain_tensors = network()
    plain_nodes[-1].output[0] = "answer"
    return model([*plain_nodes, *nodes], [*plain_tensors, *tensors])


@pytest.fixture
def saved(tmp_path):
    def save(content):
        path = tmp_path / "policy.onnx"
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    return save


class TestAnswers:
    def test_rules_are_those_of_the_network(self, saved):
        policy = Policy(saved(model()))
        rows = np.random.default_rng(0).dirichlet(np.ones(LENGTHS), 50).astype(np.float32)
        weights, bias = linear()
        assert policy.buffer == LENGTHS - 1
        assert policy.rules(rows) == pytest.approx(sigmoid(rows @ weights + bias), abs=1e-6)
        assert policy.rules(rows).dtype == np.float64

    def test_a_row_is_answered_with_the_same_bits_in_any_company(self, saved):
        policy = Policy(saved(model()))
        rows = np.random.default_rng(1).dirichlet(np.ones(LENGTHS), 300)
        whole = policy.rules(rows)
        assert np.array_equal(np.concatenate([policy.rules(rows[i : i + 1]) for i in range(300)]), whole)
        assert np.array_equal(policy.rules(rows[::-1]), whole[::-1])

    def test_metadata_is_kept(self, saved):
        metadata = {"contract_version": CONTRACT_VERSION, "buffer": "3", "topology": "torus"}
        assert Policy(saved(model(metadata=metadata))).metadata == metadata

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
    def test_what_is_shipped_is_a_policy(self, path):
        policy = KINDS[kind_of(path)](path)
        assert policy.metadata["buffer"] == str(policy.buffer)
        assert {"delta_t", "topology", "executed_as", "seed", "version"} <= set(policy.metadata)

    def test_something_is_shipped(self):
        assert SHIPPED


def offloaded(view, rules):
    """Return the probabilities that follow from a decision rule for each row."""
    answer = np.zeros(view.accessible.shape)
    for row in range(len(answer)):
        neighbours = np.flatnonzero(view.accessible[row])[1:]
        offload = rules[row][view.queue_lengths[row, 0]]
        answer[row, neighbours] = offload / max(len(neighbours), 1)
        answer[row, 0] = 1.0 - offload if len(neighbours) else 1.0
    return answer


class TestMeanField:
    """The dispatchers against the network worked out by hand."""

    def rule_of(self, distribution):
        weights, bias = linear(6)
        return sigmoid(np.asarray(distribution) @ weights + bias)

    @pytest.fixture
    def path(self, saved):
        nodes, tensors = network(6)
        return saved(
            model(nodes, tensors, inputs=[value("distribution", ["n", 6])], outputs=[value("offload", ["n", 6])])
        )

    @pytest.mark.parametrize("rule", [MeanFieldOwn, ParameterSharing])
    def test_own_state(self, rule, path, view):
        rules = [self.rule_of(np.eye(6)[length]) for length in view.queue_lengths[:, 0]]
        assert rule(str(path)).route(view) == pytest.approx(offloaded(view, rules), abs=1e-6)

    def test_neighbourhood(self, path, view):
        rules = []
        for lengths, accessible in zip(view.queue_lengths, view.accessible, strict=True):
            rules.append(self.rule_of(np.bincount(lengths[accessible], minlength=6) / accessible.sum()))
        assert MeanFieldNeighbourhood(str(path)).route(view) == pytest.approx(offloaded(view, rules), abs=1e-6)

    def test_all_queues(self, path, view):
        rules = [self.rule_of(view.distribution)] * len(view.queue_lengths)
        assert MeanFieldGlobal(str(path)).route(view) == pytest.approx(offloaded(view, rules), abs=1e-6)

    def test_each_distinct_observation_is_evaluated_once(self, path, view, monkeypatch):
        asked = []
        rules = Policy.rules
        monkeypatch.setattr(Policy, "rules", lambda self, rows: asked.extend(map(bytes, rows)) or rules(self, rows))
        dispatcher = MeanFieldNeighbourhood(str(path))
        first = dispatcher.route(view)
        assert np.array_equal(dispatcher.route(view), first)
        assert len(asked) == len(set(asked)) > 1

    def test_remembering_is_bounded(self, path, view, monkeypatch):
        monkeypatch.setattr("dispatchers.remembered.MOST", 5)
        bounded = MeanFieldNeighbourhood(str(path))
        for _ in range(2):
            assert np.array_equal(bounded.route(view), MeanFieldNeighbourhood(str(path)).route(view))


HIDDEN = 7


def recurrent(buffer=5, hidden=HIDDEN):
    return random_networks.recurrent(np.random.default_rng(4), buffer, hidden)


def per_agent(degrees=(0, 1, 2, 4) * 16, buffer=5):
    return random_networks.per_agent(np.random.default_rng(5), buffer, np.array(degrees))


def constants(made):
    return {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in made.graph.initializer}


def changed(made, **tensors):
    """Return a model with other constants."""
    for tensor in made.graph.initializer:
        if tensor.name in tensors:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(tensors[tensor.name], dtype=np.float32), tensor.name))
    return made


def retold(made, **metadata):
    """Return a model with other metadata, without those that are None."""
    told = {entry.key: entry.value for entry in made.metadata_props} | metadata
    del made.metadata_props[:]
    helper.set_model_props(made, {key: value for key, value in told.items() if value is not None})
    return made


def ending_in(made, operator):
    """Return a model with another last operator."""
    last = made.graph.node[-1]
    last.CopyFrom(helper.make_node(operator, last.input, last.output))
    return made


def reshaped(made, **shapes):
    """Return a model whose inputs and outputs declare other shapes."""
    for tensor in [*made.graph.input, *made.graph.output]:
        if tensor.name in shapes:
            tensor.CopyFrom(value(tensor.name, shapes[tensor.name], tensor.type.tensor_type.elem_type))
    return made


class TestRecurrent:
    def by_hand(self, distribution, hidden):
        """Return the network's rules and next hidden states, worked out in float64."""
        tensors = constants(recurrent())
        observed = np.concatenate([distribution, hidden], axis=1)
        following = np.tanh(observed @ tensors["weight_in"] + tensors["bias_in"])
        return sigmoid(following @ tensors["weight_out"] + tensors["bias_out"]), following

    def test_it_is_the_network_carried_on_for_epochs(self, saved):
        dispatcher = MeanFieldRecurrent(str(saved(recurrent())))
        assert (dispatcher.hidden, dispatcher.buffer) == (HIDDEN, 5)
        assert information_of(dispatcher) == "broadcast, global"
        generator = np.random.default_rng(1)
        view = random_view(generator, rows=40, hidden=HIDDEN)
        carried = np.zeros((40, HIDDEN))
        for _ in range(5):
            rules, carried = self.by_hand(np.tile(view.distribution, (40, 1)), carried)
            answer, hidden = dispatcher.advance(view)
            assert answer == pytest.approx(offloaded(view, rules), abs=1e-5)
            assert hidden == pytest.approx(carried, abs=1e-5)
            assert view.reusable
            view = an_epoch_later(generator, view, hidden)
        assert np.abs(carried - self.by_hand(np.tile(view.distribution, (40, 1)), carried * 0)[1]).max() > 0.1

    def test_a_distribution_and_a_hidden_state_are_evaluated_once(self, saved, monkeypatch):
        asked = []
        advance = RecurrentPolicy.advance

        def noted(self, distributions, hidden):
            asked.extend(map(bytes, np.concatenate([distributions, hidden], axis=1)))
            return advance(self, distributions, hidden)

        monkeypatch.setattr(RecurrentPolicy, "advance", noted)
        dispatcher = MeanFieldRecurrent(str(saved(recurrent())))
        view = random_view(np.random.default_rng(1), rows=40, hidden=HIDDEN)
        _, hidden = dispatcher.advance(view)
        assert len(asked) == 1
        hidden = hidden * (np.arange(40)[:, None] % 3)
        later = an_epoch_later(np.random.default_rng(2), view, hidden)
        dispatcher.advance(later)
        dispatcher.advance(later)
        assert len(asked) == len(set(asked)) == 4


class TestPerAgent:
    def test_it_is_a_softmax_of_its_own_for_each_scheduler(self, saved):
        made = per_agent()
        dispatcher = ScalableActorCritic(str(saved(made)))
        assert (dispatcher.nodes, dispatcher.buffer, dispatcher.draws) == (64, 5, "epoch")
        tensors = constants(made)
        view = random_view(np.random.default_rng(3), rows=64, degrees=(1, 2, 3, 5))
        logits = tensors["slope"][view.schedulers] * view.queue_lengths + tensors["bias"][view.schedulers]
        weights = np.where(view.accessible, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
        possible = weights.sum(axis=1) > 0.1  # a random view pays no regard to the degrees of this policy
        answer = dispatcher.route(view)
        expected = weights[possible] / weights[possible].sum(axis=1, keepdims=True)
        assert answer[possible] == pytest.approx(expected, abs=1e-6)
        assert possible.sum() > 30

    def test_rows_sum_to_one_in_float64_and_padded_columns_are_zero(self, saved):
        dispatcher = ScalableActorCritic(str(saved(changed(per_agent(), bias=np.zeros((64, 5))))))
        view = random_view(np.random.default_rng(3), rows=64, degrees=(1, 2, 3, 5))
        raw = dispatcher.policy.probabilities(view.schedulers, view.queue_lengths)
        answer = dispatcher.route(view)
        assert (raw[~view.accessible] > 0).any()
        assert (answer[~view.accessible] == 0).all()
        assert np.abs(answer.sum(axis=1) - 1.0).max() < 1e-12

    @pytest.mark.parametrize(
        ("view", "message"),
        [
            ({"degrees": (1, 6)}, "SAC: was made for 5 accessible servers at most, asked for 6"),
            ({"rows": 65}, "SAC: was made for 64 nodes, asked for node 64"),
        ],
    )
    def test_another_system_is_told_in_one_line(self, saved, view, message):
        dispatcher = ScalableActorCritic(str(saved(per_agent())))
        with pytest.raises(DispatcherError, match=f"^{message}$"):
            dispatcher.route(random_view(np.random.default_rng(3), **{"rows": 64, "degrees": (1, 2, 3, 5)} | view))


class TestKinds:
    @pytest.mark.parametrize(
        ("made", "kind"), [(model(), "plain"), (recurrent(), "recurrent"), (per_agent(), "per agent")]
    )
    def test_a_file_tells_its_kind(self, saved, made, kind):
        assert kind_of(saved(made)) == kind

    def test_another_kind_is_refused_with_one_line(self, saved):
        path = saved(model([helper.make_node("Sigmoid", ["x"], ["y"])], [], inputs=[value("x")], outputs=[value("y")]))
        with pytest.raises(
            DispatcherError, match=r"as input distribution; or distribution and hidden; or .*, got 'x'$"
        ):
            kind_of(path)
        with pytest.raises(DispatcherError, match="is empty"):
            kind_of(saved(b""))


def external():
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return made


def external_constant():
    tensor = numpy_helper.from_array(np.zeros(LENGTHS, np.float32), "far")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="far.bin")
    return then(
        helper.make_node("Constant", [], ["zero"], value=tensor),
        helper.make_node("Add", ["answer", "zero"], ["offload"]),
    )


def whole_quotient(called=None):
    made = then(
        helper.make_node("Div", ["one", "one"], ["quotient"]),
        helper.make_node("Cast", ["quotient"], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["answer", "factor"], ["offload"]),
        tensors=[numpy_helper.from_array(np.array(1), "one")],
    )
    if called is not None:
        made.graph.value_info.append(value("quotient", (), called))
    return made


def with_function():
    body = helper.make_function(
        "home", "Twice", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    nodes, tensors = network()
    return model(nodes, tensors, functions=[body], domains=["home"])


def with_branches():
    branch = helper.make_graph([helper.make_node("Identity", ["answer"], ["inner"])], "branch", [], [value("inner")])
    true = numpy_helper.from_array(np.array(True), "true")
    return then(helper.make_node("If", ["true"], ["offload"], then_branch=branch, else_branch=branch), tensors=[true])


def scaled(factor):
    return then(
        helper.make_node("Mul", ["answer", "factor"], ["offload"]),
        tensors=[numpy_helper.from_array(np.float32(factor), "factor")],
    )


def mixing_rows():
    """Return a policy whose answer to a row depends on the others."""
    axes = numpy_helper.from_array(np.array([0]), "axes")
    return then(
        helper.make_node("ReduceSum", ["distribution", "axes"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["answer", "sum"], ["product"]),
        helper.make_node("Sigmoid", ["product"], ["offload"]),
        tensors=[axes],
    )


def constant_answer():
    nodes = [helper.make_node("Identity", ["table"], ["offload"])]
    return model(nodes, [numpy_helper.from_array(np.full((1, LENGTHS), 0.5, np.float32), "table")])


STRANGE = {
    "nothing": (b"", "is empty"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is not an ONNX file, or a damaged one"),
    "text": (b"distribution,offload\n0.1,0.2\n", "is not an ONNX file"),
    "truncated": (model().SerializeToString()[:-60], "is not an ONNX file, or a damaged one"),
    "another program's model": (model(metadata={}), "contract_version in its metadata must be 1, got None"),
    "a later contract": (model(metadata={"contract_version": "9"}), "must be 1, got '9'"),
    "a false buffer": (model(metadata={"contract_version": "1", "buffer": "7"}), "is 4 wide, but .* says buffer '7'$"),
    "a random operator": (
        then(
            helper.make_node("RandomUniformLike", ["answer"], ["noise"]),
            helper.make_node("Mul", ["answer", "noise"], ["offload"]),
        ),
        "uses the operator 'RandomUniformLike', docs/dispatchers.md lists those allowed$",
    ),
    "a large tensor from a small one": (
        then(
            helper.make_node("ConstantOfShape", ["shape"], ["large"]),
            helper.make_node("Add", ["answer", "large"], ["offload"]),
            tensors=[numpy_helper.from_array(np.array([10**6, 10**6]), "shape")],
        ),
        r"uses the operator 'ConstantOfShape' \(did you mean Constant\?\), docs/dispatchers.md lists",
    ),
    "another domain": (
        model(
            [helper.make_node("Gelu", ["distribution"], ["offload"], domain="com.microsoft")],
            [],
            domains=["com.microsoft"],
        ),
        "uses the operator 'com.microsoft.Gelu'",
    ),
    "a quotient of whole numbers": (whole_quotient(), "divides whole numbers, which it must make floats of first"),
    "a quotient of whole numbers called a float": (
        whole_quotient(called=TensorProto.FLOAT),
        "cannot be run: .*Type Error",
    ),
    "functions": (with_function(), "must be a plain network, without functions"),
    "branches": (with_branches(), "uses the operator 'If', docs"),
    "data in another file": (external(), "must hold all its data itself, but 'weights' is in another file"),
    "a constant in another file": (external_constant(), "must hold all its data itself, but 'far' is in another file"),
    "another input": (
        model([helper.make_node("Sigmoid", ["state"], ["offload"])], [], inputs=[value("state")]),
        "must have as input distribution, got 'state'",
    ),
    "two inputs": (
        model(inputs=[value("distribution"), value("hidden")]),
        "as input .*, got 'distribution and hidden'$",
    ),
    "another output": (
        model([helper.make_node("Sigmoid", ["distribution"], ["action"])], [], outputs=[value("action")]),
        "must have as output offload, got 'action'",
    ),
    "float64": (
        model(
            [helper.make_node("Sigmoid", ["distribution"], ["offload"])],
            [],
            inputs=[value("distribution", kind=TensorProto.DOUBLE)],
            outputs=[value("offload", kind=TensorProto.DOUBLE)],
        ),
        "distribution must be float32 with a free first and a fixed second dimension",
    ),
    "a fixed batch": (
        model(inputs=[value("distribution", [1, LENGTHS])], outputs=[value("offload", [1, LENGTHS])]),
        "distribution must be float32 with a free first",
    ),
    "one dimension": (model(inputs=[value("distribution", [LENGTHS])]), "distribution must be float32 with"),
    "a free width": (
        model(
            [helper.make_node("Sigmoid", ["distribution"], ["offload"])],
            [],
            inputs=[value("distribution", ["n", "w"])],
            outputs=[value("offload", ["n", "w"])],
        ),
        r"distribution must be buffer \+ 1 wide, from 2 to 10001, got no width",
    ),
    "other widths": (
        model(outputs=[value("offload", ["batch", LENGTHS + 1])]),
        "distribution and offload must have the same width|cannot be run|cannot be evaluated",
    ),
    "no numbers": (scaled(np.nan), "answers with numbers that are not finite"),
    "no probabilities": (scaled(3.0), "answers with .* must be probabilities from 0 to 1"),
    "negative numbers": (scaled(-1.0), "must be probabilities from 0 to 1"),
    "rows that mix": (mixing_rows(), "answers a row in company otherwise than alone"),
    "one row for all": (constant_answer(), "offload must be 68 x 4|answers|cannot be evaluated"),
    "an opset of the future": (model(opset=999), "is not an ONNX file|cannot be run"),
    "a recurrent policy": (recurrent(), "must have as input distribution, got 'distribution and hidden'"),
}

STRANGE_RECURRENT = {
    "a plain policy": (model(), "must have as input distribution and hidden, got 'distribution'$"),
    "a hidden state that gets wider": (
        reshaped(recurrent(), next_hidden=("batch", HIDDEN + 1)),
        "hidden and next_hidden must have the same width",
    ),
    "a fixed batch": (
        reshaped(recurrent(), hidden=(1, HIDDEN)),
        "hidden must be float32 with a free first and a fixed",
    ),
    "a free width": (
        reshaped(recurrent(), hidden=("batch", "h")),
        "hidden must be hidden wide, from 1 to 10000, got no width",
    ),
    "another offload": (reshaped(recurrent(), offload=("batch", 5)), "distribution and offload must have the same"),
    "a false buffer": (retold(recurrent(), buffer="4"), "is 6 wide, but its metadata says buffer '4'"),
    "no numbers": (changed(recurrent(), bias_out=[np.nan] * 6), "answers with numbers that are not finite"),
    "no numbers to carry": (changed(recurrent(), bias_in=[np.nan] * HIDDEN), "numbers that are not finite"),
}

STRANGE_PER_AGENT = {
    "a plain policy": (model(), "must have as input scheduler and queue_lengths, got 'distribution'"),
    "no number of nodes": (retold(per_agent(), nodes=None), "must have nodes in its metadata, .* got None"),
    "no number": (retold(per_agent(), nodes="many"), "must have nodes .*, a whole number >= 1, got 'many'"),
    "no nodes": (retold(per_agent(), nodes="0"), "must have nodes .*, a whole number >= 1, got '0'"),
    "no buffer": (retold(per_agent(), buffer=None), "must have buffer in its metadata"),
    "fewer tables than nodes": (
        retold(per_agent((1, 2) * 1000), nodes="2001"),
        "cannot be evaluated: indices element out of data bounds",
    ),
    "schedulers in a table": (
        reshaped(per_agent(), scheduler=("batch", 1)),
        "scheduler must be int64 with a free first",
    ),
    "another width": (
        reshaped(per_agent(), probabilities=("batch", 4)),
        "queue_lengths and probabilities must have the same width",
    ),
    "no numbers": (changed(per_agent(), bias=np.full((64, 5), np.inf)), "answers with numbers that are not finite"),
    "no distribution": (ending_in(per_agent(), "Sigmoid"), "answers with probabilities that sum to .*, must be 1"),
}

STRANGERS = [
    (kind, case, *strange[case])
    for kind, strange in ((Policy, STRANGE), (RecurrentPolicy, STRANGE_RECURRENT), (AgentPolicy, STRANGE_PER_AGENT))
    for case in strange
]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [(kind, content, message) for kind, _, content, message in STRANGERS],
    ids=[f"{kind.__name__}: {case}" for kind, case, *_ in STRANGERS],
)
def test_a_strangers_file_is_refused_with_one_line(kind, content, message, saved, capfd):
    path = saved(content)
    with pytest.raises(DispatcherError, match=message) as refusal:
        kind(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_too_large_is_not_even_read(saved, monkeypatch):
    monkeypatch.setattr(model_file, "LARGEST_FILE", 100)
    with pytest.raises(DispatcherError, match="cannot be read: Larger than 100 bytes"):
        Policy(saved(model()))


@pytest.mark.parametrize("reading", [Policy, kind_of, metadata])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(reading, tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    for path, why in (
        (tmp_path / "none.onnx", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe.onnx", "Not a regular file"),
        ("/dev/zero", "Not a regular file"),
        ("/proc/self/mounts", ""),
        ("a\0b.onnx", "embedded null byte"),
    ):
        with pytest.raises(DispatcherError, match=rf"policy (cannot be read: {why}|is empty)") as refusal:
            reading(path)
        assert str(refusal.value).isprintable()


class TestMetadata:
    def test_it_is_read_whatever_else_the_file_holds(self, saved):
        assert metadata(saved(model(metadata={"a": "1", "b": "two\nlines"}))) == {"a": "1", "b": "two\nlines"}
        assert metadata(str(saved(with_function()))) == {"contract_version": CONTRACT_VERSION}

    def test_what_is_no_onnx_file_is_refused(self, saved):
        with pytest.raises(DispatcherError, match=r"policy.onnx: policy is not an ONNX file, or a damaged one$"):
            metadata(saved(b"distribution,offload"))


def called(operator="Sigmoid", domain="", metadata=None, name="offload"):
    nodes = [helper.make_node(operator, ["distribution"], [name], domain=domain)]
    return model(nodes, [], outputs=[value(name)], metadata=metadata, domains=[domain] if domain else ())


LONG = "\x1b[31m" + "long " * 2000
CUT = r"'\\x1b\[31mlong .{5,30} \.\.\. .{3,10}'"
LONG_WINDED = {
    "operator": (called(LONG), f"uses the operator {CUT}, docs/dispatchers.md lists those allowed$"),
    "a near one": (called("Sigmoidal"), r"operator 'Sigmoidal' \(did you mean Sigmoid\?\), docs/dispatchers.md lists"),
    "domain": (called(domain=LONG), r"long \.\.\. .*Sigmoid' \(did you mean Sigmoid\?\), docs/dispatchers.md lists"),
    "output": (called(name=LONG), f"must have as output offload, got {CUT}$"),
    "version": (called(metadata={"contract_version": LONG}), f"contract_version .* must be 1, got {CUT}$"),
    "buffer": (called(metadata={"contract_version": "1", "buffer": LONG}), f"its metadata says buffer {CUT}$"),
    "many inputs": (
        model(inputs=[value("distribution"), *(value(f"input {number}") for number in range(500))]),
        r"must have as input distribution, got 'distribution and .* \.\.\. input 499'$",
    ),
}


@pytest.mark.parametrize(("made", "message"), LONG_WINDED.values(), ids=LONG_WINDED)
def test_a_long_text_in_a_file_takes_nothing_from_the_message(made, message, tmp_path):
    folder = tmp_path.joinpath(*["a folder with a long name"] * 20)
    folder.mkdir(parents=True)
    path = folder / "policy.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(DispatcherError, match=f"/policy.onnx: policy .*{message}") as refusal:
        Policy(path)
    assert str(refusal.value).startswith(str(tmp_path)[:40])
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < LONGEST_LINE


@pytest.mark.parametrize("rule", [MeanFieldOwn, MeanFieldGlobal, MeanFieldRecurrent, ScalableActorCritic])
def test_learned_rules_declare_the_file_they_depend_on(rule, saved):
    made = {MeanFieldRecurrent: recurrent, ScalableActorCritic: per_agent}.get(rule, model)
    path = saved(made())
    assert rule(str(path)).files == (path,)
    assert rule.file_options == ("policy",)


def test_a_rule_that_needs_no_file_declares_none():
    assert MeanFieldOwn(rule=[0.0, 1.0]).files == ()


def test_no_allowed_operator_is_random_or_holds_a_graph():
    for name in OPERATORS:
        schema = onnx.defs.get_schema(name)
        assert "Random" not in name
        assert not [a for a in schema.attributes.values() if "GRAPH" in str(a.type)]


def test_metadata_that_are_no_text_are_refused(tmp_path):
    content = (ROOT / "policies/trained/torus_5.onnx").read_bytes()
    assert b"figure_07c" in content
    path = tmp_path / "torus.onnx"
    path.write_bytes(content.replace(b"figure_07c", b"figure_07\xbe"))
    for read in (Policy, metadata):
        with pytest.raises(DispatcherError, match=r"torus\.onnx: policy has metadata that is no text: b'"):
            read(path)
