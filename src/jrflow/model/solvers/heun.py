"""Heun's method; with a fluctuating background, stochastic Heun.

    k1 = z'(z(t)),   k2 = z'(z(t) + h k1),   z(t+h) = z(t) + h/2 (k1 + k2)

Order 2, two stages, two evaluations of the sigmoids. The fluctuation is held over the step. With noise:
strong order 1, weak order 2 (the noise is additive). A stimulus edge within a step costs no order: the
stimulus is averaged over the step. In a network without delays each stage receives the others' stage;
with delays the second stage receives what arrives at the end of the step.

Source: Kloeden & Platen 1992, section 15.1; Rüemelin 1982, SIAM J. Numer. Anal. 19:604.
"""

from __future__ import annotations

from jrflow.model.equations import N_STATE, derivative, read_state, write_state
from jrflow.model.lanes import inlined
from jrflow.model.solvers.runge_kutta import N_COEFFICIENTS, coefficients, moved, read_step

N_STAGES = 2
#: Remembers z(t) + h/2 k1.
N_MEMORY = N_STATE
__all__ = ["N_COEFFICIENTS", "N_MEMORY", "N_STAGES", "coefficients", "stage"]


@inlined
def stage(number, s, c, f, i, P, p_at, row, M, m_at):  # type: ignore[no-untyped-def]
    """Predict (number 0) or correct (number 1)."""
    h = read_step(P, p_at, row)
    slope = derivative(s, c, f, i)
    if number == 0:
        write_state(M, m_at, row, moved(s, h.half, slope))
        return moved(s, h.h, slope)
    return moved(read_state(M, m_at, row), h.half, slope)
