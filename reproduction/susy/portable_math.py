"""Elementary functions that give the same bits on every IEEE-754 machine.

``numpy.sin`` and its kin call the machine's own vector library, whose last bit differs from one
processor to the next. A generator that promises the same rows everywhere can't use them. The
functions here are made of ``+ - * /``, ``sqrt``, ``rint`` and ``ldexp`` alone, each of which
IEEE-754 (or exactness) pins down, applied elementwise and in a fixed order. They are accurate to
about 1e-13, far below the float32 values made from them.
"""

import numpy as np

Array = np.ndarray

_HALF_PI_HIGH = 1.57079632673412561417  # the first 33 bits: k * this is exact for small k
_HALF_PI_LOW = 6.07710050650619224932e-11
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
# Taylor coefficients, highest power first.
_SIN = [1 / 6227020800, -1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1.0]
_COS = [1 / 479001600, -1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1.0]
_EXP = [1 / 3628800, 1 / 362880, 1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1, 1]
_ATANH = [1 / 21, 1 / 19, 1 / 17, 1 / 15, 1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0]
_ATAN = [1 / 17, -1 / 15, 1 / 13, -1 / 11, 1 / 9, -1 / 7, 1 / 5, -1 / 3, 1.0]


def _horner(coefficients: list[float], x: Array) -> Array:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total


def sincos(x: Array) -> tuple[Array, Array]:
    """Sine and cosine of ``x`` (float64, radians, |x| below about 1e4)."""
    quarter = np.rint(x * (2 / np.pi))
    r = (x - quarter * _HALF_PI_HIGH) - quarter * _HALF_PI_LOW
    square = r * r
    sine, cosine = r * _horner(_SIN, square), _horner(_COS, square)
    k = quarter.astype(np.int64) & 3
    swap = (k & 1).astype(bool)
    first, second = np.where(swap, cosine, sine), np.where(swap, sine, cosine)
    return np.where(k >= 2, -first, first), np.where((k == 1) | (k == 2), -second, second)


def exp(x: Array) -> Array:
    """e to the ``x`` (float64, |x| below about 700)."""
    k = np.rint(x * (1 / np.log(2.0)))
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    return np.ldexp(_horner(_EXP, r), k.astype(np.int64))


def log(x: Array) -> Array:
    """Natural logarithm of ``x`` (float64, > 0)."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, 2 * mantissa, mantissa)
    k = exponent - low
    ratio = (mantissa - 1) / (mantissa + 1)
    return k * _LN2_HIGH + (k * _LN2_LOW + 2 * ratio * _horner(_ATANH, ratio * ratio))


def normals(uniform: Array) -> Array:
    """Standard normal values (2 k, n) from uniform ones (2 k, n) in [0, 1): Box and Muller."""
    half = len(uniform) // 2
    radius = np.sqrt(-2 * log(np.maximum(uniform[:half], 2.0**-54)))
    sine, cosine = sincos(2 * np.pi * uniform[half:])
    return np.concatenate([radius * cosine, radius * sine])


def logistic(uniform: Array) -> Array:
    """Standard logistic values from uniform ones in [0, 1)."""
    return log(np.maximum(uniform, 2.0**-54)) - log(1 - uniform)


def dyadic(x: Array) -> Array:
    """``x`` rounded to multiples of 2**-12.

    Products of two such numbers are multiples of 2**-24, and a sum of them below 2**28 is held
    by float64 without rounding. A matrix product of such arrays is therefore exact, whatever
    the order in which a BLAS adds, and whether or not it fuses multiply and add.
    """
    return np.rint(x * 4096) * (1 / 4096)


def angle_between_0_and_pi(y: Array, x: Array) -> Array:
    """``arctan2(y, x)`` for ``y >= 0``: an angle in [0, pi]; 0 where both are 0."""
    size = np.abs(x)
    larger = np.maximum(size, y)
    t = np.minimum(size, y) / np.where(larger > 0, larger, 1.0)
    for _ in range(2):  # each halves the angle; a quarter of pi/4 is small enough for the series
        t = t / (1 + np.sqrt(1 + t * t))
    angle = 4 * t * _horner(_ATAN, t * t)
    angle = np.where(y > size, np.pi / 2 - angle, angle)
    return np.where(x < 0, np.pi - angle, angle)
