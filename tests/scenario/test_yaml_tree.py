"""YAML as it is read: values, places, refusals, and the way back to text."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import InputError
from emulator.scenario.yaml_tree import DEPTH_LIMIT, SIZE_LIMIT, Place, read_file, read_text
from emulator.text import show, text_of, to_document


def read(text):
    return read_text(text, lambda line, column: Place("f.yaml", line, column))


def refusal(text):
    """Return the message that a text is refused with, "" if it is not."""
    try:
        read(text)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("5e-5", 5e-5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e400", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("yes", "yes"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2026-11-23", "2026-11-23"),
        ("a b", "a b"),
        ("|\n  5\n", "5\n"),
        ("[1, [2], {a: b}]", [1, [2], {"a": "b"}]),
    ],
)
def test_scalars_are_those_of_the_core_schema(text, value):
    plain = read(f"key: {text}").plain["key"]
    assert plain == value
    assert type(plain) is type(value)


def test_nan_is_read():
    assert math.isnan(read("a: .nan").plain["a"])


def test_every_value_and_key_knows_its_place():
    tree = read("a: 1\nb:\n  c: [x,\n    {d: y}]\n")
    assert str(tree.place) == "f.yaml:1:1"
    inner = tree.child("b").child("c")
    assert (str(inner.place), str(inner.key_place)) == ("f.yaml:3:6", "f.yaml:3:3")
    assert str(inner.child(1).child("d").place) == "f.yaml:4:9"
    assert inner.child(2) is None
    assert inner.child("d") is None


def test_depth_is_bounded_exactly():
    deepest = "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT
    assert show(read(deepest).plain) == deepest
    with pytest.raises(InputError, match=f"f.yaml:1:{DEPTH_LIMIT + 1}: is nested deeper than {DEPTH_LIMIT}"):
        read(f"[{deepest}]")


@pytest.mark.parametrize("bomb", ["[" * 500_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_a_bomb_is_refused_at_once(bomb):
    start = time.process_time()
    with pytest.raises(InputError, match="nested deeper"):
        read(bomb)
    assert time.process_time() - start < 15.0  # unrolled, each takes minutes


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    def message(path):
        with pytest.raises(InputError) as error:
            read_file(path)
        return str(error.value)

    assert message(tmp_path / "none.yaml") == f"{tmp_path / 'none.yaml'}: No such file or directory"
    assert message(tmp_path) == f"{tmp_path}: Is a directory"
    path = tmp_path / "s.yaml"
    path.write_bytes(b"a: 1\nb: \xff")
    assert message(path) == f"{path}:2:4: must be UTF-8 text, but this byte is not"
    path.write_bytes(b"# " + b"x" * (SIZE_LIMIT - 1))
    assert message(path) == f"{path}: Larger than {SIZE_LIMIT} bytes, the most that is read"
    path.write_bytes(b"# " + b"x" * (SIZE_LIMIT - 2))
    assert read_file(path).plain is None
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_file(path).plain == {"a": 1}


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    [
        "",
        "null",
        "~",
        "5",
        "1e5",
        ".inf",
        "yes",
        "0x1F",
        "a: b",
        "#",
        "- a",
        "a #b",
        "{x}",
        "<<",
        "\t",
        "\x85",
        "\u2028",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | texts
keys = texts.filter(lambda key: key != "<<")
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(keys, data | st.lists(texts, min_size=40, max_size=60), min_size=1, max_size=4))
def test_text_that_is_written_reads_as_the_same_data(document):
    assert read(to_document(document)).plain == document


@settings(deadline=None)
@given(st.text(st.sampled_from("ab01:-?,[]{}&*!|>'\"%@`#\\ \n\t~.<=xU\u2028é\ufeff"), max_size=30))
def test_any_text_is_read_or_refused_on_one_line(text):
    message = refusal(text)
    assert "\n" not in message
    assert message == "" or message.startswith("f.yaml:")


@pytest.mark.parametrize(
    ("number", "text"),
    [(5.0, "5"), (5, "5"), (0.5, "0.5"), (1e-7, "1e-07"), (2**32 - 1, "4294967295"), (1e300, "1e+300")],
)
def test_numbers_are_shown_as_people_write_them(number, text):
    assert text_of(number) == text
