"""The normal distribution, compiled: Phi and its inverse, for one number and for arrays.

Our own, because bytes must not depend on which version of which library is installed.
"""

from __future__ import annotations

import math

import numpy as np

from core.arrays import FloatArray
from core.jit import kernel

SQRT_HALF = math.sqrt(0.5)
INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)

QUANTILE_90 = 1.2815515655446004
"""Phi^-1(0.9)."""

DENSITY_90 = 0.17549833193248685
"""The standard normal's density at QUANTILE_90."""


@kernel
def phi(x: float) -> float:
    """Density of the standard normal."""
    return math.exp(-0.5 * x * x) * INVERSE_SQRT_2PI


@kernel
def cdf(x: float) -> float:
    """P(X <= x), accurate in both tails."""
    return 0.5 * math.erfc(-x * SQRT_HALF)


@kernel
def quantile(p: float) -> float:  # noqa: PLR0915 - one published algorithm
    """x with cdf(x) = p, relative error about 1e-16; p in [0, 1], its ends give -inf and inf.

    Source: Wichura (1988), "Algorithm AS 241: the percentage points of the normal distribution", PPND16.
    """
    if p <= 0.0:
        return -math.inf
    if p >= 1.0:
        return math.inf
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        numerator = 2.5090809287301226727e3
        numerator = numerator * r + 3.3430575583588128105e4
        numerator = numerator * r + 6.7265770927008700853e4
        numerator = numerator * r + 4.5921953931549871457e4
        numerator = numerator * r + 1.3731693765509461125e4
        numerator = numerator * r + 1.9715909503065514427e3
        numerator = numerator * r + 1.3314166789178437745e2
        numerator = numerator * r + 3.3871328727963666080e0
        denominator = 5.2264952788528545610e3
        denominator = denominator * r + 2.8729085735721942674e4
        denominator = denominator * r + 3.9307895800092710610e4
        denominator = denominator * r + 2.1213794301586595867e4
        denominator = denominator * r + 5.3941960214247511077e3
        denominator = denominator * r + 6.8718700749205790830e2
        denominator = denominator * r + 4.2313330701600911252e1
        return q * numerator / (denominator * r + 1.0)
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        numerator = 7.74545014278341407640e-4
        numerator = numerator * r + 2.27238449892691845833e-2
        numerator = numerator * r + 2.41780725177450611770e-1
        numerator = numerator * r + 1.27045825245236838258e0
        numerator = numerator * r + 3.64784832476320460504e0
        numerator = numerator * r + 5.76949722146069140550e0
        numerator = numerator * r + 4.63033784615654529590e0
        numerator = numerator * r + 1.42343711074968357734e0
        denominator = 1.05075007164441684324e-9
        denominator = denominator * r + 5.47593808499534494600e-4
        denominator = denominator * r + 1.51986665636164571966e-2
        denominator = denominator * r + 1.48103976427480074590e-1
        denominator = denominator * r + 6.89767334985100004550e-1
        denominator = denominator * r + 1.67638483018380384940e0
        denominator = denominator * r + 2.05319162663775882187e0
    else:
        r -= 5.0
        numerator = 2.01033439929228813265e-7
        numerator = numerator * r + 2.71155556874348757815e-5
        numerator = numerator * r + 1.24266094738807843860e-3
        numerator = numerator * r + 2.65321895265761230930e-2
        numerator = numerator * r + 2.96560571828504891230e-1
        numerator = numerator * r + 1.78482653991729133580e0
        numerator = numerator * r + 5.46378491116411436990e0
        numerator = numerator * r + 6.65790464350110377720e0
        denominator = 2.04426310338993978564e-15
        denominator = denominator * r + 1.42151175831644588870e-7
        denominator = denominator * r + 1.84631831751005468180e-5
        denominator = denominator * r + 7.86869131145613259100e-4
        denominator = denominator * r + 1.48753612908506148525e-2
        denominator = denominator * r + 1.36929880922735805310e-1
        denominator = denominator * r + 5.99832206555887937690e-1
    x = numerator / (denominator * r + 1.0)
    return -x if q < 0.0 else x


@kernel
def quantiles(p: FloatArray) -> FloatArray:
    """`quantile` of every entry of a one-dimensional array."""
    x = np.empty_like(p)
    for i in range(p.size):
        x[i] = quantile(p[i])
    return x


@kernel
def score(lower: float, upper: float) -> float:
    """Normal score of a value whose two tail probabilities are known; the smaller one decides, so none is lost."""
    return quantile(lower) if lower < upper else -quantile(upper)
