"""What several test modules need."""

import numpy as np
import pytest

from dispatchers.view import random_view


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let a worker that has nothing left take tests from another, unless another `--dist` is asked for."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture
def view():
    """Random knowledge of 64 schedulers with 1, 2, 3 and 5 accessible servers and a buffer of 5."""
    return random_view(np.random.default_rng(7), rows=64)
