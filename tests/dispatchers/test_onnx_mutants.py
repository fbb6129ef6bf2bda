"""Policies that are damaged, by chance or by malice: refused in one line when loaded or when asked, or they work."""

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dispatchers.catalogue import make
from dispatchers.choice import ask
from dispatchers.contract import hidden_width
from dispatchers.errors import LONGEST_LINE, DispatcherError
from dispatchers.view import an_epoch_later, random_view, select_rows
from emulator.verification import random_policies as random_networks

TRAINED = Path(__file__).resolve().parents[2] / "policies" / "trained"
PARENTS = {"torus_5": ("MF-R", "MF-N", "MF-G", "NA-PS"), "sac_3_5_1": ("SAC",), "mf_rnn_5": ("MF-RNN",)}
"""Shipped policies, and the dispatchers that are made from each."""

SECONDS = 15.0
"""The most process time that a mutant may take."""

STRANGE_TEXTS = (
    "",
    "\x1b[31mred\x1b[0m",
    "two\nlines\r\x00",
    "\u202egnp.exe",
    "x" * 5000,
    "%s{0}{path}",
    "Relux",
    "com.microsoft",
    "-1",
    "1e9",
    "99999",
)
SIGNALLING = np.array([0x7FA00000], dtype=np.uint32).view(np.float32)
"""NaN of the kind of which NumPy warns."""

STRANGE_NUMBERS = np.array(
    [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e38, 1e-45, -1.0, 0.0, 1.5, 40.0, 1e6], dtype=np.float32
)
STRANGE_SIZES = (-1, 0, 1, 2, 3, 7, 5000, 2**31, 2**62)


def flipped(content, generator):
    """Change up to 8 bytes."""
    changed = np.frombuffer(content, dtype=np.uint8).copy()
    places = generator.integers(len(changed), size=generator.integers(1, 9))
    changed[places] ^= generator.integers(1, 256, size=len(places), dtype=np.uint8)
    return changed.tobytes()


def cut(content, generator):
    """Leave out some bytes, the end in half of all cases."""
    start, end = np.sort(generator.integers(len(content) + 1, size=2))
    return content[:start] + (content[end:] if generator.random() < 0.5 else b"")


def inserted(content, generator):
    """Put in some bytes, new ones or again some of those near by."""
    place, count = generator.integers(len(content)), generator.integers(1, 40)
    new = generator.bytes(count) if generator.random() < 0.5 else content[place : place + count]
    return content[:place] + new + content[place:]


def scribbled(content, generator):
    """Write over some bytes."""
    place, count = generator.integers(len(content)), generator.integers(1, 200)
    return content[:place] + generator.bytes(count) + content[place + count :]


def damaged_weights(content, generator):
    """Change up to 3 numbers of one tensor; signalling NaN is among what comes out."""
    model = onnx.load_from_string(content)
    tensor = generator.choice(model.graph.initializer)
    numbers = numpy_helper.to_array(tensor).copy()
    places = generator.integers(numbers.size, size=generator.integers(1, 4))
    if numbers.dtype == np.float32:
        strange = np.append(STRANGE_NUMBERS, SIGNALLING)
        numbers.reshape(-1).view(np.uint32)[places] = generator.choice(strange.view(np.uint32), size=len(places))
    else:
        numbers.reshape(-1)[places] = generator.choice(STRANGE_SIZES, size=len(places))
    tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))
    return model.SerializeToString()


def resized(content, generator):
    """Change one dimension of an input, an output or a tensor."""
    model = onnx.load_from_string(content)
    shapes = [value.type.tensor_type.shape.dim for value in [*model.graph.input, *model.graph.output]]
    size = int(generator.choice(STRANGE_SIZES))
    if generator.random() < 0.6:
        dimension = generator.choice(shapes[generator.integers(len(shapes))])
        dimension.dim_value = size
    else:
        dimensions = generator.choice([tensor for tensor in model.graph.initializer if tensor.dims]).dims
        dimensions[generator.integers(len(dimensions))] = size
    return model.SerializeToString()


def renamed(content, generator):
    """Change one text: of an operator, its inputs and outputs, of a tensor or in the metadata."""
    model, text = onnx.load_from_string(content), str(generator.choice(STRANGE_TEXTS))
    node = generator.choice(model.graph.node)
    entry = generator.choice(model.metadata_props)
    value = generator.choice([*model.graph.input, *model.graph.output, *model.graph.initializer])
    names = (node.input, node.output)[generator.integers(2)]
    owner, name = [
        (node, "op_type"),
        (node, "domain"),
        (node, "name"),
        (entry, "key"),
        (entry, "value"),
        (next(each for each in model.metadata_props if each.key == "buffer"), "value"),
        (value, "name"),
        (model.opset_import[0], "domain"),
        (names, ""),
    ][generator.integers(9)]
    if name:
        setattr(owner, name, text)
    else:
        owner[generator.integers(len(owner))] = text
    return model.SerializeToString()


def another_operator(content, generator):
    """Change an operator into another, allowed or not, or a number among its attributes."""
    model = onnx.load_from_string(content)
    node = generator.choice(model.graph.node)
    if node.attribute and generator.random() < 0.5:
        generator.choice(node.attribute).i = int(generator.choice(STRANGE_SIZES))
    else:
        operators = ("Exp", "Log", "Div", "Neg", "Sqrt", "Concat", "Slice", "Cast", "Max", "Loop", "RandomNormalLike")
        node.op_type = str(generator.choice(operators))
    return model.SerializeToString()


MUTATIONS = (
    flipped,
    cut,
    inserted,
    scribbled,
    damaged_weights,
    damaged_weights,
    resized,
    renamed,
    another_operator,
)


def assert_well_refused(error, path):
    text = str(error)
    assert text.isprintable()
    assert len(text) <= LONGEST_LINE
    assert f"{path}: policy " in text


def assert_answers(dispatcher, generator):
    """Ask a dispatcher on random views that fit it, for some epochs each."""
    buffer = min(dispatcher.buffer, 10_000)
    degrees, rows = (1, 2, 3, 5), 32
    if dispatcher.nodes is not None:
        degrees, rows = (1, dispatcher.policy.columns), min(dispatcher.nodes, 32)
    for _ in range(3):
        width = hidden_width(dispatcher)
        view = random_view(generator, rows=rows, degrees=degrees, buffer=buffer, hidden=width)
        for _ in range(3):
            view = an_epoch_later(generator, view, ask(dispatcher, view).hidden)


def tried(dispatcher, mutant, path, generator):
    """Return when a mutant is refused, if ever, after checking that this is done well or that it answers well."""
    path.write_bytes(mutant)
    begun = time.process_time()
    fate = "refused when loaded"
    try:
        made = make(name=dispatcher, options={"policy": path.name}, folder=path.parent).dispatcher
        fate = "refused when asked"
        assert_answers(made, generator)
        fate = "works"
    except DispatcherError as error:
        assert_well_refused(error, path)
    assert time.process_time() - begun < SECONDS
    return fate


def try_mutants(count, seed, folder):
    generator = np.random.default_rng(seed)
    parents = [
        (dispatcher, (TRAINED / f"{name}.onnx").read_bytes())
        for name, dispatchers in PARENTS.items()
        for dispatcher in dispatchers
    ]
    fates = []
    for number in range(count):
        dispatcher, content = parents[number % len(parents)]
        mutation = generator.choice(MUTATIONS)
        path = folder / "mutant.onnx"
        try:
            fates.append(tried(dispatcher, mutation(content, generator), path, generator))
        except BaseException as error:
            error.add_note(f"mutant {number} of seed {seed}: {mutation.__name__} for {dispatcher}, kept in {path}")
            raise
    return fates


@pytest.mark.parametrize(("count", "seed"), [(150, 1), pytest.param(3000, 2, marks=pytest.mark.slow)])
def test_mutants_are_refused_in_one_line_or_answer_well(count, seed, tmp_path, capfd):
    fates = try_mutants(count, seed, tmp_path)
    assert fates.count("refused when loaded") > 0.2 * count
    assert fates.count("works") > 0.1 * count
    assert capfd.readouterr() == ("", "")


NODES, BUFFER, ROW = 101, 5, 17
"""Of `sac_3_101_1.onnx`; a row of the views on which damaged copies are asked."""


def views():
    """Return a view that fits `sac_3_101_1.onnx`, one of its row `ROW` and one of all others."""
    view = random_view(np.random.default_rng(6), rows=NODES, degrees=(3,), buffer=BUFFER)
    return view, select_rows(view, [ROW]), select_rows(view, np.delete(np.arange(NODES), ROW))


def with_answer(answer, asked):
    """Return a policy that gives this answer to a view's only row: to one scheduler on one combination of lengths."""
    model = onnx.load(TRAINED / f"sac_3_{NODES}_1.onnx")
    state = asked.queue_lengths[0] @ (BUFFER + 1) ** np.arange(3)
    tensor = next(each for each in model.graph.initializer if each.name == "table")
    table = numpy_helper.to_array(tensor).copy()
    table[asked.schedulers[0] * (BUFFER + 1) ** 3 + state] = answer
    tensor.CopyFrom(numpy_helper.from_array(table, "table"))
    return model


def with_a_hole(asked):
    """Return a policy that looks beyond its tables for a view's only row."""
    model = random_networks.per_agent(np.random.default_rng(5), BUFFER, np.full(NODES, 2))
    constants = {
        "hole": asked.schedulers[0],
        "met": asked.queue_lengths,
        "columns": [1],
        "zero": 0,
        "one": 1,
        "far": 10**6,
    }
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items())
    for node in model.graph.node:
        if node.op_type == "Gather":
            node.input[1] = "place"
    nodes = [
        helper.make_node("Sub", ["scheduler", "hole"], ["other_scheduler"]),
        helper.make_node("Abs", ["other_scheduler"], ["scheduler_distance"]),
        helper.make_node("Sub", ["queue_lengths", "met"], ["other_lengths"]),
        helper.make_node("Abs", ["other_lengths"], ["length_distances"]),
        helper.make_node("ReduceSum", ["length_distances", "columns"], ["length_distance"], keepdims=0),
        helper.make_node("Add", ["scheduler_distance", "length_distance"], ["distance"]),
        helper.make_node("Clip", ["distance", "zero", "one"], ["is_another"]),
        helper.make_node("Sub", ["is_another", "one"], ["is_hole"]),
        helper.make_node("Mul", ["is_hole", "far"], ["away"]),
        helper.make_node("Add", ["scheduler", "away"], ["place"]),
        *model.graph.node,
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def told(model, **metadata):
    """Return a model with other metadata."""
    helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props} | metadata)
    return model


ASKED = views()[1]
DAMAGED = {
    "large": (with_answer([0.0, 1e38, 0.0], ASKED), "answers with 0 to 1e[+]38, must be probabilities from 0 to 1"),
    "negative": (with_answer([-0.5, 1.0, 0.5], ASKED), "answers with -0.5 to 1, must be probabilities from 0 to 1"),
    "not a number": (with_answer([np.nan, 0.5, 0.5], ASKED), "answers with numbers that are not finite"),
    "signalling": (with_answer(SIGNALLING.repeat(3), ASKED), "answers with numbers that are not finite"),
    "infinite": (with_answer([np.inf, 0.0, 0.0], ASKED), "answers with numbers that are not finite"),
    "too much": (with_answer([1.0, 1.0, 0.0], ASKED), "answers with probabilities that sum to 2, must be 1"),
    "nothing": (with_answer([0.0, 0.0, 0.0], ASKED), "answers with probabilities that sum to 0, must be 1"),
    "no answer": (with_a_hole(ASKED), "cannot be evaluated: indices element out of data bounds"),
}


@pytest.mark.parametrize(("model", "message"), DAMAGED.values(), ids=DAMAGED)
class TestOneAnswerOfMany:
    """A policy for 101 schedulers that answers one of them wrongly, on one combination of queue lengths."""

    def loaded(self, model, folder):
        (folder / "damaged.onnx").write_bytes(model.SerializeToString())
        return make(name="SAC", options={"policy": "damaged.onnx"}, folder=folder).dispatcher

    def test_it_is_refused_when_loaded_if_everything_can_be_tried(self, model, message, tmp_path):
        with pytest.raises(DispatcherError, match=f"SAC: .*damaged.onnx: policy {message}") as refusal:
            self.loaded(model, tmp_path)
        assert_well_refused(refusal.value, tmp_path / "damaged.onnx")

    def test_it_is_refused_when_asked_if_there_is_too_much_to_try(self, model, message, tmp_path):
        model = told(onnx.ModelProto.FromString(model.SerializeToString()), buffer="500")
        dispatcher = self.loaded(model, tmp_path)
        view, damaged, others = views()
        assert ask(dispatcher, others).numbers.sum() == pytest.approx(NODES - 1)
        for asked in (view, damaged):
            with pytest.raises(DispatcherError, match=f"damaged.onnx: policy {message}") as refusal:
                ask(dispatcher, asked)
            assert_well_refused(refusal.value, tmp_path / "damaged.onnx")


def test_a_policy_that_chooses_a_padded_column_is_refused_when_asked(tmp_path):
    """Which columns are padded is not in the file."""
    view = random_view(np.random.default_rng(6), rows=NODES, degrees=(2, 3), buffer=BUFFER)
    asked = select_rows(view, [int(view.degrees.argmin())])
    (tmp_path / "padded.onnx").write_bytes(with_answer([0.0, 0.0, 1.0], asked).SerializeToString())
    dispatcher = make(name="SAC", options={"policy": "padded.onnx"}, folder=tmp_path).dispatcher
    message = f"gives none of the servers that scheduler {asked.schedulers[0]} can access a probability"
    with pytest.raises(DispatcherError, match=message) as refusal:
        ask(dispatcher, asked)
    assert_well_refused(refusal.value, tmp_path / "padded.onnx")
