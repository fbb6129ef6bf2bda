"""The timetable: when things happen."""

import numpy as np
import pytest

from emulator.model.timetable import Timetable


@pytest.mark.parametrize(
    ("delta_t", "horizon", "starts"),
    [
        (5.0, 50.0, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]),
        (20.0, 50.0, [0, 20, 40]),
        (60.0, 50.0, [0]),
        (50.0, 50.0, [0]),
        (0.1, 0.3, [0.0, 0.1, 0.2]),
        (0.3, 0.9, [0.0, 0.3, 0.6]),  # 3 * 0.3 is below 0.9, but only by rounding
        (0.3, 0.9001, [0.0, 0.3, 0.6, 3 * 0.3]),  # an epoch as short as that is meant
        (5e-324, 5e-324, [0.0]),
    ],
)
def test_epochs_start_at_products_and_the_last_one_ends_at_the_horizon(delta_t, horizon, starts):
    times = Timetable(delta_t, horizon).times
    assert times.tolist() == [*starts, horizon]
    assert (np.diff(times) > 0).all()


def test_no_epoch_comes_of_rounding():
    """Of 600 pairs that people would write, 39 had an epoch without length."""
    for tenths in range(1, 51):
        for epochs in [*range(1, 11), 50, 117, 1000]:
            delta_t = tenths / 10
            times = Timetable(delta_t, round(epochs * delta_t, 1)).times
            assert len(times) - 1 == epochs, (delta_t, epochs)
            assert (times[:-1] == np.arange(epochs) * delta_t).all()
            assert np.diff(times).min() >= 0.99 * delta_t


@pytest.mark.parametrize(("delta_t", "horizon", "starts"), [(5, 12, [0, 5, 10]), (5, 10, [0, 5]), (9, 4, [0])])
def test_epochs_start_at_multiples_of_delta_t(delta_t, horizon, starts):
    timetable = Timetable(float(delta_t), float(horizon))
    assert timetable.times.tolist() == [*starts, horizon]
    assert timetable.epochs == len(starts)
    assert timetable.starts == starts
