"""How a batch of simulations is laid out in memory so that a compiler vectorises over it.

Simulations stand side by side as *lanes*: every state variable and coefficient is a row with one entry
per lane, and one time step is a loop over lanes without branches. Three things make LLVM turn that loop
into full-width vector instructions:

- one flat array per block, whose rows start at compile-time constant offsets: the compiler then knows
  that rows do not overlap;
- a lane count known at compile time and divisible by every vector width: no remainder loop, so that a
  simulation's bits do not depend on the lane it happens to sit in;
- a pad between rows, so that rows do not compete for the same cache sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numba import njit

#: Simulations per block: two to four vector registers per row; more does not fit the first-level cache.
LANES = 32
#: Distance between the starts of two rows, in elements.
ROW = LANES + 16

#: Relaxations that cannot hide a NaN: fused multiply-add, signed zeros, reciprocals.
FASTMATH = {"contract", "nsz", "arcp"}

#: Digest of the model's source. Numba's cache only notices changes of the file that holds the compiled
#: function; with this in its key, a changed solver or equation is never served from an old cache.
SOURCE_DIGEST = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
).hexdigest()


def lane_function(function):  # type: ignore[no-untyped-def]
    """Compile a function of lanes, always inlined: a call inside a loop would keep it from vectorising."""
    return njit(function, fastmath=FASTMATH, error_model="numpy", nogil=True, forceinline=True)


def compiled_entry(function):  # type: ignore[no-untyped-def]
    """Compile a function that Python calls, and keep the machine code on disk for the next process."""
    return njit(function, fastmath=FASTMATH, error_model="numpy", nogil=True, cache=True)


def pack(rows: Mapping[int, np.ndarray], n_rows: int, dtype: np.dtype) -> np.ndarray:
    """Distribute per-simulation coefficients over blocks of lanes.

    Parameters
    ----------
    rows
        Offset of a row (a multiple of ``ROW``) to its values, shape (n_sims,).
    n_rows
        Rows of a block; those not given start at zero.

    Returns
    -------
    Shape (n_blocks, n_rows * ROW). Lanes beyond the last simulation repeat it.
    """
    n_sims = len(next(iter(rows.values())))
    n_blocks = -(-n_sims // LANES)
    lane_of = np.minimum(np.arange(n_blocks * LANES), n_sims - 1)
    blocks = np.zeros((n_blocks, n_rows * ROW), dtype)
    for offset, values in rows.items():
        blocks[:, offset : offset + LANES] = values[lane_of].reshape(n_blocks, LANES)
    return blocks
