"""Elementary functions for compiled code, written out, because libraries differ in their last bit.

They stand on addition, multiplication, division and the square root, which IEEE 754 rounds alike on every machine, and
are compiled without fast-math.
"""

from __future__ import annotations

import numpy as np

from emulator.machine.compiling import compiled

_LN2_HIGH = 6.93147180369123816490e-01  # ln 2, rounded so that an exponent times it is exact
_LN2_LOW = 1.90821492927058770002e-10  # what is missing
_LOG2_E = 1.44269504088896338700e00

_LARGEST, _SMALLEST = 709.782712893384, -745.2
"""Beyond the first the exponential is infinite, below the second 0."""


@compiled(inline="always")
def logarithm(x):  # type: ignore[no-untyped-def]
    """Return ln x of a normal number x > 0.

    With x written as 2**e * m, m in [sqrt(1/2), sqrt(2)), and s = (m - 1) / (m + 1), the logarithm is
    e ln 2 + 2 (s + s**3/3 + s**5/5 + ...); ten terms leave an error below that of rounding.
    """
    pattern = np.float64(x).view(np.int64)
    shifted = pattern - np.int64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
    exponent = shifted >> np.int64(52)
    mantissa = np.int64(pattern - (exponent << np.int64(52))).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    series = 1.0 / 21.0
    series = series * z + 1.0 / 19.0
    series = series * z + 1.0 / 17.0
    series = series * z + 1.0 / 15.0
    series = series * z + 1.0 / 13.0
    series = series * z + 1.0 / 11.0
    series = series * z + 1.0 / 9.0
    series = series * z + 1.0 / 7.0
    series = series * z + 1.0 / 5.0
    series = series * z + 1.0 / 3.0
    return 2.0 * s + (2.0 * s * z * series + exponent * _LN2_LOW) + exponent * _LN2_HIGH


@compiled(inline="always")
def exp(x):  # type: ignore[no-untyped-def]
    """Return e**x.

    With k the whole number next to x / ln 2 and r = x - k ln 2, it is 2**k * e**r; of e**r, |r| < 0.35, the terms up to
    r**13 leave an error below that of rounding.
    """
    clipped = min(max(np.float64(x), _SMALLEST), _LARGEST)
    k = np.floor(clipped * _LOG2_E + 0.5)
    r = (clipped - k * _LN2_HIGH) - k * _LN2_LOW
    series = 1.0 / 6227020800.0
    series = series * r + 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    power = 1.0 + (r + r * r * series)
    half = np.int64(k) >> np.int64(1)  # in two steps, for 2**k alone may be too large or too small for a number
    value = power * _power_of_two(half) * _power_of_two(np.int64(k) - half)
    return value if x <= _LARGEST else np.inf


@compiled(inline="always")
def _power_of_two(exponent):  # type: ignore[no-untyped-def]
    return np.int64((exponent + np.int64(1023)) << np.int64(52)).view(np.float64)


@compiled(inline="always")
def power(x, exponent):  # type: ignore[no-untyped-def]
    """Return x**exponent of a normal number x > 0, to about as many units in the last place as its logarithm has."""
    return exp(exponent * logarithm(x))


@compiled()
def normal_quantile(p):  # type: ignore[no-untyped-def]
    """Return the standard normal quantile of p, 0 < p < 1: algorithm AS 241, PPND16 (M. J. Wichura, 1988)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        above = 2.5090809287301226727e3
        above = above * r + 3.3430575583588128105e4
        above = above * r + 6.7265770927008700853e4
        above = above * r + 4.5921953931549871457e4
        above = above * r + 1.3731693765509461125e4
        above = above * r + 1.9715909503065514427e3
        above = above * r + 1.3314166789178437745e2
        above = above * r + 3.3871328727963666080e0
        below = 5.2264952788528545610e3
        below = below * r + 2.8729085735721942674e4
        below = below * r + 3.9307895800092710610e4
        below = below * r + 2.1213794301586595867e4
        below = below * r + 5.3941960214247511077e3
        below = below * r + 6.8718700749205790830e2
        below = below * r + 4.2313330701600911252e1
        below = below * r + 1.0
        return q * above / below
    r = np.sqrt(-logarithm(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r = r - 1.6
        above = 7.74545014278341407640e-4
        above = above * r + 2.27238449892691845833e-2
        above = above * r + 2.41780725177450611770e-1
        above = above * r + 1.27045825245236838258e0
        above = above * r + 3.64784832476320460504e0
        above = above * r + 5.76949722146069140550e0
        above = above * r + 4.63033784615654529590e0
        above = above * r + 1.42343711074968357734e0
        below = 1.05075007164441684324e-9
        below = below * r + 5.47593808499534494600e-4
        below = below * r + 1.51986665636164571966e-2
        below = below * r + 1.48103976427480074590e-1
        below = below * r + 6.89767334985100004550e-1
        below = below * r + 1.67638483018380384940e0
        below = below * r + 2.05319162663775882187e0
        below = below * r + 1.0
    else:
        r = r - 5.0
        above = 2.01033439929228813265e-7
        above = above * r + 2.71155556874348757815e-5
        above = above * r + 1.24266094738807843860e-3
        above = above * r + 2.65321895265761230930e-2
        above = above * r + 2.96560571828504891230e-1
        above = above * r + 1.78482653991729133580e0
        above = above * r + 5.46378491116411436990e0
        above = above * r + 6.65790464350110377720e0
        below = 2.04426310338993978564e-15
        below = below * r + 1.42151175831644588870e-7
        below = below * r + 1.84631831751005468180e-5
        below = below * r + 7.86869131145613259100e-4
        below = below * r + 1.48753612908506148525e-2
        below = below * r + 1.36929880922735805310e-1
        below = below * r + 5.99832206555887937690e-1
        below = below * r + 1.0
    return above / below if q > 0.0 else -above / below
