"""Philox4x32-10: four 32-bit words from a 128-bit counter and a 64-bit key.

Words are held in uint64: the compiler sees that the upper halves are zero and multiplies 32 by 32 bits.

Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (SC'11).
"""

from __future__ import annotations

import numpy as np

from jrflow.model.lanes import inlined

LOW32, BITS32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_N_ROUNDS = 10
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@inlined
def _round(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    product0, product1 = _M0 * c0, _M1 * c2
    return (product1 >> BITS32) ^ c1 ^ k0, product1 & LOW32, (product0 >> BITS32) ^ c3 ^ k1, product0 & LOW32


@inlined
def _next_key(k0, k1):  # type: ignore[no-untyped-def]
    return (k0 + _W0) & LOW32, (k1 + _W1) & LOW32


@inlined
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Four words from the counter (c0, c1, c2, c3) and the key (k0, k1)."""
    for _ in range(_N_ROUNDS - 1):
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        k0, k1 = _next_key(k0, k1)
    return _round(c0, c1, c2, c3, k0, k1)
