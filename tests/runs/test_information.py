"""What dispatchers may know, in words, and where it stands."""

import pandas as pd
import pytest

import emulator
from dispatchers.catalogue import BUILT_IN, make
from emulator.runs.information import information_of

MEMORY = {"RR", "JSQ-M"}

GLOBAL = """
from dispatchers import PerJobDispatcher

class Everything(PerJobDispatcher):
    observes = "all"
"""


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name in MEMORY or not BUILT_IN[name].file_options])
def test_rules_with_memory_know_what_they_have_sent(name):
    told = information_of(make(name=name).dispatcher)
    assert told == ("broadcast, own sends" if name in MEMORY else "broadcast")


def test_a_rule_that_observes_all_queues_says_so(folder):
    (folder / "mine.py").write_text(GLOBAL)
    assert information_of(make(class_="mine:Everything", folder=folder).dispatcher) == "broadcast, own sends, global"


def test_episodes_and_summary_have_it(folder):
    summary = emulator.run("s.yaml", settings=["replications=2"])
    expected = {"JSQ": "broadcast", "RND": "broadcast", "JSQ-M": "broadcast, own sends"}
    for frame in (summary, pd.read_parquet("runs/s/episodes.parquet")):
        assert dict(zip(frame.dispatcher, frame.information, strict=True)) == expected
