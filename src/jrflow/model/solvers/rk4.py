"""The classical Runge-Kutta method of order 4.

    k1 = z'(z),  k2 = z'(z + h/2 k1),  k3 = z'(z + h/2 k2),  k4 = z'(z + h k3)
    z(t+h) = z(t) + h/6 (k1 + 2 k2 + 2 k3 + k4)

Order 4, four stages, four evaluations of the sigmoids. For deterministic runs: with noise it is no better
than Heun. A stimulus edge within a step reduces the order to 2. In a network without delays each stage
receives the others' stage; with delays its half steps would need values between the samples of the
history, so it is refused there.

Source: Hairer, Nørsett & Wanner 1993, Solving Ordinary Differential Equations I, section II.1.
"""

from __future__ import annotations

from jrflow.model.equations import N_STATE, derivative, read_state, write_state
from jrflow.model.lanes import inlined
from jrflow.model.solvers.runge_kutta import N_COEFFICIENTS, coefficients, moved, read_step

N_STAGES = 4
#: Remembers z(t), and z(t) + h/6 times the slopes so far.
N_MEMORY = 2 * N_STATE
__all__ = ["N_COEFFICIENTS", "N_MEMORY", "N_STAGES", "coefficients", "stage"]


@inlined
def stage(number, s, c, f, i, P, p_at, row, M, m_at):  # type: ignore[no-untyped-def]
    """Slope k1 (number 0) to k4 (number 3), and where the next one is taken."""
    h = read_step(P, p_at, row)
    slope = derivative(s, c, f, i)
    result_at = m_at + N_STATE * row
    if number == 0:
        write_state(M, m_at, row, s)
        write_state(M, result_at, row, moved(s, h.sixth, slope))
        return moved(s, h.half, slope)
    result = read_state(M, result_at, row)
    if number == 3:
        return moved(result, h.sixth, slope)
    write_state(M, result_at, row, moved(result, h.third, slope))
    before = read_state(M, m_at, row)
    if number == 1:
        return moved(before, h.half, slope)
    return moved(before, h.h, slope)
