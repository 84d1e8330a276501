"""Whether the integration step is valid for the inverse time constants of a batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from jrflow.model import MODEL
from jrflow.model.solvers import Solver, largest_valid_step


def beyond_validity(
    solver: Solver, parameters: Mapping[str, np.ndarray], dt: float, shared: Collection[str]
) -> tuple[np.ndarray, str | None]:
    """Simulations for which a scheme is not valid at this step.

    Parameters
    ----------
    solver
        Integration scheme.
    parameters
        The inverse time constants among others, 1/s, shape (n_sims, n_regions) or (n_sims, 1).
    dt
        Integration step, s.
    shared
        Names of the parameters that have one value for all simulations: if the step is too long for such a
        value, it is too long for the whole call.

    Returns
    -------
    Whether the step is too long, shape (n_sims,), and a remark that says so; None if it is valid for all.

    Raises
    ------
    ValueError
        If the step is too long for a value that all simulations share.
    """
    too_fast = {
        name: np.any(parameters[name] * dt > solver.widest, axis=1) for name in MODEL.inverse_time_constants
    }
    for name, where in too_fast.items():
        if name in shared and where.any():
            raise ValueError(_message(solver, name, float(parameters[name].max()), dt))
    anywhere = np.any(list(too_fast.values()), axis=0)
    for name, where in too_fast.items():
        if where.any():
            n = int(anywhere.sum())
            count = f"{n} simulation gets" if n == 1 else f"{n} simulations get"
            return anywhere, f"{_message(solver, name, float(parameters[name].max()), dt)} ({count} status 3)"
    return anywhere, None


def _message(solver: Solver, name: str, b: float, dt: float) -> str:
    longest = largest_valid_step(solver.name, b)
    return (
        f"dt: expected a step of at most {longest:.3g} s with solver {solver.name!r} and {name} = {b:g} /s "
        f"(b * dt <= {solver.widest:g}), received {dt:g} s: take a shorter step (dt is in seconds) or "
        f"a smaller {name} (it is in 1/s)"
    )
