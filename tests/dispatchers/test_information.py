"""What rules declare to know, and how it is told."""

import pytest

from dispatchers import Dispatcher, PerJobDispatcher, RecurrentDispatcher
from dispatchers.catalogue import BUILT_IN
from dispatchers.information import declared, information_of

BUILT_IN_ONES = {
    "OWN": "none",
    "RND": "none",
    "RR": "own sends",
    "JSQ-M": "broadcast, own sends",
    "MF-G": "broadcast, global",
    "MF-RNN": "broadcast, global",
}
"""All others hear the broadcasts alone."""


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_rules(name):
    rule = BUILT_IN[name].__new__(BUILT_IN[name])
    assert information_of(rule) == BUILT_IN_ONES.get(name, "broadcast")


def test_what_is_declared_by_default():
    assert information_of(Dispatcher()) == information_of(RecurrentDispatcher()) == "broadcast"
    assert information_of(PerJobDispatcher()) == "broadcast, own sends"


def test_it_is_told_in_one_order_whatever_the_declaration():
    rule = PerJobDispatcher()
    for rule.information in (("own sends", "global"), ["global", "own sends"], {"own sends", "global"}):
        assert information_of(rule) == "global, own sends"


def test_the_older_way_to_declare_global_information():
    rule = PerJobDispatcher()
    rule.observes = "all"
    assert declared(rule) == {"broadcast", "global", "own sends"}
    rule.observes = "accessible"
    assert declared(rule) == {"broadcast", "own sends"}
