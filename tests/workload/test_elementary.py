"""The elementary functions against arithmetic of 50 digits, and the normal quantile against its own distribution."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from numba import njit
from scipy import special

from emulator.elementary import exp, logarithm, normal_quantile, power

getcontext().prec = 50


@njit
def exps(x):
    return np.array([exp(each) for each in x])


@njit
def logarithms(x):
    return np.array([logarithm(each) for each in x])


@njit
def quantiles(p):
    return np.array([normal_quantile(each) for each in p])


@njit
def powers(x, exponent):
    return np.array([power(each, exponent) for each in x])


def errors(found, exact):
    """Return by how many units in the last place each number is wrong."""
    assert np.isfinite(found).all()
    pairs = zip(found.tolist(), exact, strict=True)
    return [float(abs(Decimal(value) - truth) / Decimal(np.spacing(abs(value)))) for value, truth in pairs]


def test_the_exponential_function_is_within_a_unit_in_the_last_place():
    generator = np.random.default_rng(1)
    x = np.concatenate([generator.uniform(-1.0, 1.0, 1000), generator.uniform(-708.0, 709.7, 1000), [0.0, 709.78]])
    assert max(errors(exps(x), [Decimal(each).exp() for each in x.tolist()])) < 1.0


def test_the_exponential_function_at_its_ends():
    ends = exps(np.array([-np.inf, -1e300, -746.0, -745.0, -720.0, 709.9, 1e300, np.inf]))
    assert ends[:3].tolist() == [0.0] * 3
    assert ends[3:5] == pytest.approx([math.exp(-745.0), math.exp(-720.0)], rel=1e-4)
    assert ends[5:].tolist() == [np.inf] * 3


def test_the_logarithm_is_within_two_units_in_the_last_place():
    generator = np.random.default_rng(2)
    x = np.concatenate([generator.uniform(0.5, 2.0, 1000), np.exp(generator.uniform(-700.0, 700.0, 1000)), [1.0]])
    assert max(errors(logarithms(x), [Decimal(each).ln() for each in x.tolist()])) < 2.0


def test_powers():
    x = np.array([1e-3, 0.5, 1.0, 2.0, 1000.0])
    for exponent in (-2.5, 0.0, 0.3, 4.0):
        assert powers(x, exponent) == pytest.approx(x**exponent, rel=1e-14)


def test_the_normal_quantile():
    """Against scipy's, which is another algorithm; the two differ by some units in the last place."""
    generator = np.random.default_rng(3)
    p = np.concatenate([generator.random(2000), 10.0 ** generator.uniform(-15.0, -1.0, 1000), [0.5, 0.075, 0.925]])
    assert quantiles(p) == pytest.approx(special.ndtri(p), rel=3e-15, abs=1e-16)
    assert (np.diff(quantiles(np.sort(p))) >= 0.0).all()
    half = np.array([0.25, 1e-9 + 0.5, 2.0**-40])
    assert quantiles(half).tolist() == (-quantiles(1.0 - half)).tolist()
