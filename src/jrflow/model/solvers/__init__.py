"""Integration schemes by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from jrflow.model.solvers import euler, exp_ab4


@dataclass(frozen=True)
class Solver:
    """What the kernel needs to know of a scheme."""

    name: str
    code: int
    order: int
    n_rows: int
    rows: Callable[[Mapping[str, np.ndarray], float], dict[int, np.ndarray]]


SOLVERS: Mapping[str, Solver] = {
    s.name: s
    for s in (
        Solver("euler", euler.CODE, 1, euler.N_ROWS, euler.rows),
        Solver("exp-ab4", exp_ab4.CODE, 4, exp_ab4.N_ROWS, exp_ab4.rows),
    )
}


def solver(name: str) -> Solver:
    """Look a solver up by name.

    Raises
    ------
    ValueError
        If there is no such solver; the message lists those there are.
    """
    if name not in SOLVERS:
        raise ValueError(f"unknown solver {name!r}: expected one of {', '.join(SOLVERS)}")
    return SOLVERS[name]
