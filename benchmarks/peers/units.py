"""From jrflow's units (mV, 1/s, seconds) to those of TVB and of VBI (mV, 1/ms, milliseconds)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

MILLISECONDS = 1e3


def tvb_parameters(p: Mapping[str, Any], background: float) -> dict[str, Any]:
    """Parameters by the names of TVB and tvboptim: their sigmoid is 2 nu_max / (1 + exp(r (v0 - v)))."""
    return {
        "A": p["A_e"],
        "B": p["A_i"],
        "a": p["b_e"] / MILLISECONDS,
        "b": p["b_i"] / MILLISECONDS,
        "v0": p["v_0"],
        "nu_max": p["v_max"] / 2 / MILLISECONDS,
        "r": p["r"],
        "J": p["C"],
        "a_1": p["a_1"],
        "a_2": p["a_2"],
        "a_3": p["a_3"],
        "a_4": p["a_4"],
        "mu": background / MILLISECONDS + 0 * p["A_e"],
    }


def vbi_parameters(p: Mapping[str, Any], background: float) -> dict[str, Any]:
    """Parameters by VBI's names, which take the products C a_k."""
    return {
        "A": p["A_e"],
        "B": p["A_i"],
        "a": p["b_e"] / MILLISECONDS,
        "b": p["b_i"] / MILLISECONDS,
        "v0": p["v_0"],
        "vmax": p["v_max"] / MILLISECONDS,
        "r": p["r"],
        "C0": p["C"] * p["a_1"],
        "C1": p["C"] * p["a_2"],
        "C2": p["C"] * p["a_3"],
        "C3": p["C"] * p["a_4"],
        "mu": background / MILLISECONDS + 0 * p["A_e"],
    }


def kick(p: Mapping[str, Any], noise_sd: float) -> Any:
    """Standard deviation of the noise in y1', mV / ms^1.5: these tools add it there, not to p.

    p held for 1 ms at noise_sd / 1000 per ms has that same number as its white-noise amplitude.
    """
    return p["A_e"] * p["b_e"] / MILLISECONDS * noise_sd / MILLISECONDS


def before_each_step(after: np.ndarray) -> np.ndarray:
    """Samples taken after each step, time first, as samples before each step: from rest, so 0 comes first."""
    return np.concatenate([np.zeros_like(after[:1]), after[:-1]])
