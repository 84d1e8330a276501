"""Copies of a part of an archive: they are no sealed archives, and are treated as what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def is_selection(sim: np.ndarray, attrs: Mapping[str, Any]) -> bool:
    """Whether simulations are a part of a campaign, or not in its order.

    Parameters
    ----------
    sim
        Ids, shape (n,).
    attrs
        Attributes of the store; an archive of an early version does not say how many simulations it has.
    """
    n = attrs.get("n_simulations")
    if n is None or (sim < 0).any():  # ids below 0 are lost: the store is damaged
        return False
    # An archive that is being extended is longer than its attributes say.
    return sim.size < n or not np.array_equal(sim[:n], np.arange(n))


def described(sim: np.ndarray, attrs: Mapping[str, Any]) -> str:
    """What a selection is, in words."""
    return (
        f"a selection of {sim.size:,} of the {attrs['n_simulations']:,} simulations of campaign "
        f"{attrs['campaign']!r}, not a sealed archive"
    )
