"""Counter-based noise: a value depends on its purpose, not on values drawn before.

The counter of Philox is (quad of steps, stream, simulation id), its key the seed; so the noise of region 3
of simulation 12345 at step 678 is the same in any batch, on any worker, after any interruption.

Numbers are made in float32 for both precisions of the integration: a float64 run then sees the same path
as its float32 twin. Normals reach to 6.66 standard deviations (probability 2.8e-11 beyond).
"""

from __future__ import annotations

import math

import numpy as np

from jrflow.model.lanes import inlined
from jrflow.model.philox import BITS32, LOW32, philox

#: Steps served by one Philox block.
QUAD = 4
NONE, NORMAL, UNIFORM = 0, 1, 2
#: Streams keep apart the uses that one simulation makes of its random numbers; region r's background is
#: stream BACKGROUND + r.
BACKGROUND = 0
SENSORS = 1 << 31

_F = np.float32
_LOG2 = tuple(
    _F(c)
    for c in (
        1.44269492, -0.721352487, 0.480931162, -0.360263461,
        0.286868886, -0.248322839, 0.235709566, -0.149733085,
    )
)  # fmt: skip
_SIN = tuple(_F(c) for c in (0.785398161, -0.08074543483, 0.002490007127, -3.595450778e-05))
_COS = tuple(_F(c) for c in (0.9999999724, -0.3084242536, 0.01584991526, -0.0003188805084))
_TWO_NEG32, _TWO_NEG33, _TWO_NEG31 = _F(2.0**-32), _F(2.0**-33), _F(2.0**-31)
_MINUS_2_LN2, _ZERO, _ONE, _SQRT12, _HALF = _F(-2 * math.log(2)), _F(0), _F(1), _F(math.sqrt(12)), _F(0.5)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)


@inlined
def _unit(word):  # type: ignore[no-untyped-def]
    """A 32-bit word as a number in (0, 1]."""
    return _F(np.uint32(word)) * _TWO_NEG32 + _TWO_NEG33


@inlined
def _log2(u):  # type: ignore[no-untyped-def]
    """log2 of a positive normal number, absolute error below 1e-7: exponent plus a polynomial."""
    bits = _F(u).view(np.int32)
    exponent = np.int32(np.int32(bits - _SQRT_HALF_BITS) >> np.int32(23))
    t = np.int32(bits - (exponent << np.int32(23))).view(_F) - _ONE
    c0, c1, c2, c3, c4, c5, c6, c7 = _LOG2
    return _F(exponent) + t * (((((((c7 * t + c6) * t + c5) * t + c4) * t + c3) * t + c2) * t + c1) * t + c0)


@inlined
def _point_on_circle(word):  # type: ignore[no-untyped-def]
    """Cosine and sine of an angle drawn uniformly.

    The word as a signed fraction gives an angle within an eighth of a turn either side of an axis; its two
    lowest bits, of no weight in the angle, choose the axis.
    """
    x = np.int32(np.uint32(word))
    v = _F(x) * _TWO_NEG31
    square = v * v
    s0, s1, s2, s3 = _SIN
    c0, c1, c2, c3 = _COS
    sine = v * (((s3 * square + s2) * square + s1) * square + s0)
    cosine = ((c3 * square + c2) * square + c1) * square + c0
    cosine = np.int32(_F(cosine).view(np.int32) ^ (x << np.int32(31))).view(_F)
    swap = (x & np.int32(2)) != np.int32(0)
    return (cosine, sine) if swap else (sine, cosine)


@inlined
def normal_pair(word0, word1):  # type: ignore[no-untyped-def]
    """Two independent standard normals (Box & Muller 1958)."""
    radius = math.sqrt(max(_MINUS_2_LN2 * _log2(_unit(word0)), _ZERO))
    x, y = _point_on_circle(word1)
    return radius * x, radius * y


@inlined
def uniform(word):  # type: ignore[no-untyped-def]
    """A uniform number of mean 0 and standard deviation 1."""
    return _SQRT12 * (_unit(word) - _HALF)


@inlined
def quad(distribution, seed, sim, stream, number):  # type: ignore[no-untyped-def]
    """Four numbers of mean 0 and standard deviation 1, for steps 4 * number to 4 * number + 3."""
    w0, w1, w2, w3 = philox(
        np.uint64(number) & LOW32, np.uint64(stream), sim & LOW32, sim >> BITS32, seed & LOW32, seed >> BITS32
    )
    if distribution == NORMAL:
        z0, z1 = normal_pair(w0, w1)
        z2, z3 = normal_pair(w2, w3)
        return z0, z1, z2, z3
    return uniform(w0), uniform(w1), uniform(w2), uniform(w3)
