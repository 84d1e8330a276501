"""Stimulus pulses whose latency and duration differ between simulations or regions.

Where a pulse begins or ends within a step, its input over this step is a polynomial with the same first
moments, as for the pulses of a protocol (``timing``). Its coefficients here are those of an expansion in
shifted Legendre polynomials. They are exactly constant in a step that a pulse covers, at any precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jrflow.model.lanes import inlined
from jrflow.model.timing import Timing, snapped

#: Binary rounding of decimals, in steps: so small that derivatives by a latency do not notice it.
_TOLERANCE = 1e-9
#: Rows of coefficients: begin and end of the pulse, in steps after the onset.
N_PULSE = 2
#: Columns of :meth:`Pulses.table`.
STEP, ON, EDGE = 0, 1, 2


@inlined
def unit_pulse(begin, end, step):  # type: ignore[no-untyped-def]
    """Coefficients of the powers of s/dt within a step, of a pulse of height 1.

    Parameters
    ----------
    begin, end
        Of the pulse, in steps after the onset.
    step
        Number of the step after the onset, of the same floating-point type.

    Returns
    -------
    Four coefficients. The first four moments over the step are those of the pulse.
    """
    # Numbers of the same type: a literal would make every lane a double.
    real = type(step)
    zero, one, five = real(0), real(1), real(5)
    a = min(max(begin - step, zero), one)
    b = min(max(end - step, zero), one)
    # Integrals of the shifted Legendre polynomials of degree 1 to 3 vanish at 0 and at 1.
    a2, b2 = a * (a - one), b * (b - one)
    p0 = b - a
    p1 = real(3) * (b2 - a2)
    p2 = five * (b2 * (b + b - one) - a2 * (a + a - one))
    p3 = real(7) * (b2 * (five * b2 + one) - a2 * (five * a2 + one))
    u1 = real(2) * p1 - real(6) * p2 + real(12) * p3
    return p0 - p1 + p2 - p3, u1, real(6) * p2 - real(30) * p3, real(20) * p3


@inlined
def mean_pulse(begin, end, step):  # type: ignore[no-untyped-def]
    """Mean over a step of a pulse of height 1; arguments of :func:`unit_pulse`."""
    zero, one = type(step)(0), type(step)(1)
    return min(max(end - step, zero), one) - min(max(begin - step, zero), one)


@dataclass(frozen=True)
class Pulses:
    """Pulses after each onset.

    Attributes
    ----------
    begin, end
        Begin and end in steps after the onset, shape (n_sims, n_regions) or (n_sims, 1).
    """

    begin: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, latency: np.ndarray | float, duration: np.ndarray | float, dt: float) -> Pulses:
        """From the latency after the onset and the duration of pulses, s."""
        latency = np.asarray(latency)
        return cls(snapped(latency / dt, _TOLERANCE), snapped((latency + duration) / dt, _TOLERANCE))

    def table(self, timing: Timing) -> np.ndarray:
        """What kernels read at every step, shape (n_steps, 4).

        Column ``STEP``: number of the step after the last onset, -1 before the first onset. Column ``ON``:
        whether the pulse of any simulation covers a part of this step. Column ``EDGE``: whether the pulse of
        any simulation begins or ends within it.
        """
        step = timing.steps_after_onset()
        table = np.zeros((timing.n_steps, 4))
        table[:, STEP] = step
        table[:, ON] = (step >= np.floor(self.begin.min())) & (step < self.end.max())
        edges = np.concatenate([self.begin.ravel(), self.end.ravel()])
        within = np.unique(np.floor(edges[edges % 1 > 0]))
        table[:, EDGE] = np.isin(step, within)
        return table
