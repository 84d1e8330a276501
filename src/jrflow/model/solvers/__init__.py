"""Integration schemes by name, and the function by which kernels obtain them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from jrflow.model.arguments import chosen
from jrflow.model.equations import N_STATE, Drive
from jrflow.model.lanes import inlined
from jrflow.model.solvers import euler, exp_ab, heun, rk4, strang

EULER, HEUN, RK4, STRANG = 0, 1, 4, 5
#: Exponential Adams-Bashforth of order k has the code EXP_AB + k.
EXP_AB = 10


@dataclass(frozen=True)
class Solver:
    """What a kernel needs to know of a scheme.

    Attributes
    ----------
    code
        Selects it in :func:`stage` and :func:`start`.
    order
        Of convergence, without noise.
    n_stages
        Evaluations of the right-hand side a step.
    n_rows
        Numbers a column keeps between steps: its state, then the scheme's memory.
    widest
        Largest valid product of step and inverse time constant, b * dt (dimensionless). Up to here nine
        of ten evoked responses err by less than a tenth of their range (docs/science/validity.md).
    coefficients
        (parameters, dt) -> arrays, one for each row of coefficients.
    """

    name: str
    code: int
    order: int
    n_stages: int
    n_rows: int
    widest: float
    coefficients: Callable[[Mapping[str, Any], float], tuple[Any, ...]]


def _solver(name: str, code: int, order: int, widest: float, module: Any, **options: int) -> Solver:
    coefficients = partial(module.coefficients, **options)
    return Solver(name, code, order, module.N_STAGES, N_STATE + module.N_MEMORY, widest, coefficients)


SOLVERS: Mapping[str, Solver] = {
    s.name: s
    for s in (
        _solver("euler", EULER, 1, 0.4, euler),
        _solver("heun", HEUN, 2, 0.8, heun),
        _solver("rk4", RK4, 4, 1.2, rk4),
        *(_solver(f"exp-ab{k}", EXP_AB + k, k, 1.0, exp_ab, n_values=k) for k in (2, 3, 4)),
        _solver("strang", STRANG, 2, 1.0, strang),
    )
}


def solver(name: str) -> Solver:
    """Look a solver up by name.

    Raises
    ------
    ValueError
        If there is no such solver; the message lists those there are.
    """
    return SOLVERS[chosen("solver", name, SOLVERS)]


def largest_valid_step(name: str, b: float) -> float:
    """Largest step for which a scheme is valid, s.

    Parameters
    ----------
    name
        A name of ``SOLVERS``.
    b
        Largest inverse time constant, ``b_e`` or ``b_i``, that occurs, 1/s.
    """
    return solver(name).widest / b


@inlined
def _fluctuating(noisy, drive, c, z):  # type: ignore[no-untyped-def]
    """A drive with the fluctuation z (1/s) of the background added."""
    if not noisy:
        return drive
    return Drive(drive.pyramidal, drive.excitatory + c.fluctuation * z, drive.inhibitory)


@inlined
def start(code, s, f, P, p_at, row, M, m_at):  # type: ignore[no-untyped-def]
    """Prepare a column in state s with feedback f for its first step."""
    if code > EXP_AB:
        exp_ab.start(f, M, m_at, row)
    if code == STRANG:
        return strang.start(s, f, P, p_at, row)
    return s


@inlined
def stage(code, number, noisy, s, c, f, i, z, P, p_at, row, M, m_at):  # type: ignore[no-untyped-def]
    """One stage of a scheme for one column: its new state, after the last stage that at the step's end.

    Parameters
    ----------
    code, number, noisy
        Scheme, stage, and whether there is a fluctuation: known when this is compiled.
    s, c, f, i, z
        State, column, feedback and input (mV/s**2) of this stage, fluctuation of the background (1/s).
    P, p_at, row
        Array, place of the scheme's first coefficient, and distance between rows.
    M, m_at
        Array and place of the scheme's memory.
    """
    if code == STRANG:
        return strang.stage(s, _fluctuating(noisy, f, c, z), i, P, p_at, row)
    i = _fluctuating(noisy, i, c, z)
    if code > EXP_AB:
        return exp_ab.stage(code - EXP_AB, s, f, i, P, p_at, row, M, m_at)
    if code == HEUN:
        return heun.stage(number, s, c, f, i, P, p_at, row, M, m_at)
    if code == RK4:
        return rk4.stage(number, s, c, f, i, P, p_at, row, M, m_at)
    return euler.stage(s, c, f, i, P, p_at, row)
