"""Status of a simulation, as CF flags: no value is ever silently dropped or replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

OK = 0
NOT_SIMULATED = 1
NON_FINITE = 2
OUT_OF_RANGE = 3

#: Meaning of each status, in the order of the values.
STATUS_MEANINGS = ("ok", "not_yet_simulated", "non_finite", "out_of_declared_range")

STATUS_ATTRS: dict[str, Any] = {
    "long_name": "status of the simulation",
    "flag_values": [OK, NOT_SIMULATED, NON_FINITE, OUT_OF_RANGE],
    "flag_meanings": " ".join(STATUS_MEANINGS),
}


def count_statuses(status: np.ndarray) -> dict[str, int]:
    """Number of simulations by the meaning of their status, those that none has included."""
    counts = np.bincount(status, minlength=len(STATUS_MEANINGS)).tolist()
    return dict(zip(STATUS_MEANINGS, counts, strict=True))
