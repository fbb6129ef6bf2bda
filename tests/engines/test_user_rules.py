"""Users' per-job rules: their compiled code is kept on disk, by what it is made of."""

import uuid

import pytest
from own_process import python

from dispatchers import PerJobDispatcher
from emulator.engines.compiled import rules

STUDY = """
import numpy as np
from dispatchers import PerJobDispatcher
from emulator.engines.compiled import routing
from emulator.engines.compiled.windows import WindowEngine
from emulator.model.system import System
from emulator.model.topologies import torus
from emulator.workload.workload import Workload

UNIQUE = "{unique}"
LAST = {last}

class Mine(PerJobDispatcher):
    information = ("broadcast", "own sends")

    def plan(self, view):
        return np.zeros((*view.accessible.shape, 1))

    @staticmethod
    def choose(job):
        room = np.zeros(3)  # a rule may make arrays
        return len(job.sent) - 1 if LAST and len(UNIQUE) > room[0] else 0

system = System(torus(4), 5.0, 10.0, 5)
episode = WindowEngine(system, Mine()).episode(Workload(system, 0))
stats = routing.draw_counting.stats
print(len(stats.cache_hits), len(stats.cache_misses), episode.totals.fingerprint)
"""


def run(folder, unique, last=True):
    study = folder / "study.py"
    study.write_text(STUDY.format(unique=unique, last=last))
    hits, misses, fingerprint = python(study).stdout.split()
    return int(hits), int(misses), fingerprint


@pytest.mark.slow
def test_code_of_a_rule_is_kept_from_process_to_process(tmp_path):
    unique = uuid.uuid4().hex
    assert run(tmp_path, unique)[:2] == (0, 1)
    hits, misses, fingerprint = run(tmp_path, unique)
    assert (hits, misses) == (1, 0)
    other = run(tmp_path, unique, last=False)
    assert other[:2] == (0, 1)
    assert other[2] != fingerprint


class Odd(PerJobDispatcher):
    @staticmethod
    def choose(job):
        return (lambda: 0)()


def test_rules_have_a_type_each_unless_no_hash_tells_all():
    first, second = (rules.kind_of(eval(f"lambda job: {number}")) for number in (0, 1))
    assert first is not second
    assert first is rules.kind_of(eval("lambda job: 0"))
    assert getattr(rules, first.__name__) is first
    assert rules.kind_of(Odd.choose) is rules.Chosen
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        rules.Other  # noqa: B018
