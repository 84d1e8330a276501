"""Forward Euler; with a fluctuating background, Euler-Maruyama.

    z(t+h) = z(t) + h z'(t)

Order 1, one stage, one evaluation of the sigmoids. With noise: strong and weak order 1 (the noise is
additive). Stable for b h < 1 on the synapses, but far from accurate there: at 1 ms the paper's evoked
responses are off by several per cent and limit cycles by far more. It serves the preset ``as-published``
and comparison. A stimulus edge within a step costs no order: the stimulus is averaged over the step.

Source: Kloeden & Platen 1992, Numerical Solution of Stochastic Differential Equations, section 10.2.
"""

from __future__ import annotations

from jrflow.model.equations import derivative
from jrflow.model.lanes import inlined
from jrflow.model.solvers.runge_kutta import N_COEFFICIENTS, coefficients, moved, read_step

N_STAGES = 1
N_MEMORY = 0
__all__ = ["N_COEFFICIENTS", "N_MEMORY", "N_STAGES", "coefficients", "stage"]


@inlined
def stage(s, c, f, i, P, p_at, row):  # type: ignore[no-untyped-def]
    """Advance one column by one step."""
    return moved(s, read_step(P, p_at, row).h, derivative(s, c, f, i))
