"""What several test modules need."""

import numpy as np
import pytest

from dispatchers.view import random_view


@pytest.fixture
def view():
    """Random knowledge of 64 schedulers with 1, 2, 3 and 5 accessible servers and a buffer of 5."""
    return random_view(np.random.default_rng(7), rows=64)
