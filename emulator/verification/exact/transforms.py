"""Functions of time by their Laplace transforms: the algorithm EULER (J. Abate and W. Whitt, 1995)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Complexes = NDArray[np.complex128]

PRECISION = 25.0
"""A of the paper: the error is about exp(-A) times values at three times the time."""

TERMS, AVERAGED = 40, 14
"""Terms of the series, and how many sums of it Euler's method averages."""


def inverted(transform: Callable[[complex], Complexes], time: float) -> NDArray[np.float64]:
    """Return the functions of time whose transforms are given, at a time > 0."""
    scale = math.exp(PRECISION / 2.0) / time
    term = 0.5 * np.real(transform(complex(PRECISION / (2.0 * time))))
    sums = [term]
    for k in range(1, TERMS + AVERAGED + 1):
        point = complex(PRECISION / (2.0 * time), k * math.pi / time)
        term = (-1) ** k * np.real(transform(point))
        sums.append(sums[-1] + term)
    weights = [math.comb(AVERAGED, k) * 2.0**-AVERAGED for k in range(AVERAGED + 1)]
    return np.asarray(scale * sum(weight * sums[TERMS + k] for k, weight in enumerate(weights)))
