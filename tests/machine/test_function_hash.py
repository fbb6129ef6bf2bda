"""The hash of a function: the same for the same code, another for anything that compiled code would be made of."""

import numba
import pytest

from emulator.machine.function_hash import hash_of_function

SOURCE = """
import math
import numpy as np
LIMIT = 3
TABLE = np.array([1.0, 2.0])
POINT = (1, 2.5)

@njit
def helper(x):
    return 2 * x

def rule(job, more=1):
    if job > LIMIT and TABLE[0] < POINT[1]:
        return helper(job) + int(math.sqrt(more)) + np.int64(1)
    return rule(job + 1)
"""


def defined(source):
    names = {"njit": numba.njit}
    exec(source, names)
    return names["rule"]


def test_the_same_source_has_the_same_hash():
    assert hash_of_function(defined(SOURCE)) == hash_of_function(defined("# a comment\n\n" + SOURCE)) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("[1.0, 2.0]", "[1.0, 3.0]"),
        ("[1.0, 2.0]", "[1, 2]"),
        ("(1, 2.5)", "(1, 2.25)"),
        ("return 2 * x", "return 3 * x"),
        ("more=1", "more=2"),
        ("job > LIMIT", "job >= LIMIT"),
        ("math.sqrt", "math.floor"),
        ("job + 1", "job + 2"),
    ],
)
def test_whatever_compiled_code_is_made_of_changes_it(old, new):
    assert old in SOURCE
    assert hash_of_function(defined(SOURCE)) != hash_of_function(defined(SOURCE.replace(old, new)))


def test_values_that_are_closed_over_count():
    def of(number):
        return lambda job: job + number

    assert hash_of_function(of(1)) == hash_of_function(of(1)) != hash_of_function(of(2))


MUTABLE = {"a": 1}


def test_there_is_none_where_it_would_not_tell_all():
    assert hash_of_function(lambda job: MUTABLE["a"]) is None
    assert hash_of_function(lambda job: (lambda: job)()) is None
