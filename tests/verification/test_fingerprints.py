"""Nothing that the house is rebuilt for changes a single bit: what 2,000 random cases gave before it was begun."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from emulator.engines.compiled.windows import WindowEngine
from emulator.engines.episode import Traces
from emulator.verification.random_systems import random_case
from emulator.workload.workload import Workload

FINGERPRINTS = Path(__file__).with_name("fingerprints.txt").read_text().split()
BATCH = 100

NEW = {"reached_time", "decisions", "mail", "ages", "class_", "attempt", "refused", "lost", "gave_up", "retries"}
"""Columns and sums that were not there then."""


def fingerprint(number):
    """Return a hash of every column of every trace of a random case, and of its sums."""
    case = random_case(number)
    engine = WindowEngine(case.system, case.dispatcher, case.threads)
    episode = engine.episode(Workload(case.system, case.replication), Traces(jobs=True, epochs=True))
    digest = hashlib.sha256()
    for part in map(dict, (vars(episode.jobs), vars(episode.epochs), vars(episode.totals))):
        for name in NEW & part.keys():
            del part[name]
        if "fingerprint" in part:
            part |= {"messages": episode.totals.mail.sent, "fingerprint": part.pop("fingerprint")}
        for name, values in part.items():
            column = np.asarray(values)
            digest.update(name.encode() + str(column.dtype).encode() + column.tobytes())
    return digest.hexdigest()[:12]


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=[pytest.mark.slow] * (first > 0)) for first in range(0, len(FINGERPRINTS), BATCH)],
)
def test_random_cases_are_emulated_as_before(first):
    numbers = range(first, first + BATCH)
    assert [fingerprint(number) for number in numbers] == FINGERPRINTS[first : first + BATCH]
