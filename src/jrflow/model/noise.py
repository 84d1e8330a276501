"""Counter-based random numbers: a value depends on what it is for, not on what was drawn before.

Philox4x32-10 turns a 128-bit counter and a 64-bit key into four 32-bit words. The counter here is
(quad of steps, stream, simulation id), the key is the seed; so the noise of simulation 12345 at step 678
is the same in any batch, on any worker, after any interruption.

Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (SC'11).
"""

from __future__ import annotations

import math

import numpy as np

from jrflow.model.lanes import LANES, lane_function

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW32, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_N_ROUNDS = 10

#: Steps served by one Philox block.
QUAD = 4
NONE, NORMAL, UNIFORM = 0, 1, 2
#: Streams keep apart the uses that one simulation makes of its random numbers.
STREAM_BACKGROUND = np.uint64(0)


@lane_function
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Philox4x32-10: four 32-bit words, held in uint64, from counter and key of 32-bit words."""
    for _ in range(_N_ROUNDS):
        product0, product1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (
            (product1 >> _32) ^ c1 ^ k0,
            product1 & _LOW32,
            (product0 >> _32) ^ c3 ^ k1,
            product0 & _LOW32,
        )
        k0, k1 = (k0 + _W0) & _LOW32, (k1 + _W1) & _LOW32
    return c0, c1, c2, c3


@lane_function
def _unit(word):  # type: ignore[no-untyped-def]
    """A 32-bit word as a number in the open interval (0, 1)."""
    return (np.float64(word) + 0.5) * (1.0 / 4294967296.0)


@lane_function
def _normal_pair(word0, word1):  # type: ignore[no-untyped-def]
    """Two independent standard normals (Box & Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(_unit(word0)))
    angle = 2.0 * math.pi * _unit(word1)
    return radius * math.cos(angle), radius * math.sin(angle)


@lane_function
def _uniform(word):  # type: ignore[no-untyped-def]
    """A uniform number of mean 0 and standard deviation 1."""
    return math.sqrt(12.0) * (_unit(word) - 0.5)


@lane_function
def draw_quad(out, distribution, scale, seed, sim_ids, first_step):  # type: ignore[no-untyped-def]
    """Fill out[0:4, lane] with the fluctuations of four consecutive steps.

    ``first_step`` is a multiple of QUAD; ``scale`` the standard deviation in 1/s.
    """
    quad = np.uint64(first_step // QUAD)
    for lane in range(LANES):
        sim = sim_ids[lane]
        w0, w1, w2, w3 = philox(
            quad & _LOW32, STREAM_BACKGROUND, sim & _LOW32, sim >> _32, seed & _LOW32, seed >> _32
        )
        if distribution == NORMAL:
            z0, z1 = _normal_pair(w0, w1)
            z2, z3 = _normal_pair(w2, w3)
        else:
            z0, z1, z2, z3 = _uniform(w0), _uniform(w1), _uniform(w2), _uniform(w3)
        out[0, lane] = scale * z0
        out[1, lane] = scale * z1
        out[2, lane] = scale * z2
        out[3, lane] = scale * z3
