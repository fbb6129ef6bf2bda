"""Answers that are remembered: each is worked out once, and there are never too many."""

import numpy as np
import pytest

from dispatchers import remembered
from dispatchers.remembered import Remembered


@pytest.fixture
def counted():
    rows = []
    return rows, lambda asked: rows.extend(asked.tolist()) or 2.0 * asked


def test_each_distinct_row_is_worked_out_once(counted):
    rows, double = counted
    kept = Remembered()
    asked = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], dtype=np.float32)
    for _ in range(2):
        assert np.array_equal(kept.of_rows(double, asked), 2.0 * asked)
    assert sorted(rows) == [[1.0, 2.0], [3.0, 4.0]]


def test_beyond_the_most_it_starts_anew(counted, monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 3)
    _, double = counted
    kept = Remembered()
    for first in range(6):
        asked = np.arange(first, first + 2.0)[:, None]
        assert np.array_equal(kept.of_rows(double, asked), 2.0 * asked)
        assert len(kept) <= 3
    many = np.arange(5.0)[:, None]
    assert np.array_equal(kept.of_rows(double, many), 2.0 * many)
    kept = Remembered()
    for number in range(7):
        kept[bytes([number])] = number
        assert kept[bytes([number])] == number
        assert len(kept) <= 3
