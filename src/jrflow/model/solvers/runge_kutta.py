"""What the Runge-Kutta schemes share: fractions of the step as coefficients, and moving along a slope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jrflow.model.equations import State
from jrflow.model.lanes import Value, inlined, row_reader


class Step(NamedTuple):
    """The step and its fractions, s: as coefficients they have the precision of the state."""

    h: Value
    half: Value
    third: Value
    sixth: Value


read_step = row_reader(Step)
N_COEFFICIENTS = len(Step._fields)


def coefficients(p: Mapping[str, np.ndarray], dt: float) -> Step:
    """Fractions of the step, for every simulation and region."""
    h = np.full_like(p["b_e"], dt)
    return Step(h, h / 2, h / 3, h / 6)


@inlined
def moved(s, h, slope):  # type: ignore[no-untyped-def]
    """s + h * slope."""
    return State(
        s.y0 + h * slope.y0,
        s.y1 + h * slope.y1,
        s.y2 + h * slope.y2,
        s.v0 + h * slope.v0,
        s.v1 + h * slope.v1,
        s.v2 + h * slope.v2,
    )
