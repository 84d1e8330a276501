"""Strang splitting with one kick a step.

The synapses without their sigmoids are linear and solved exactly (``synapse``, input included); the
sigmoids and the fluctuation of the background only change the derivatives v. Half a kick, a linear step,
half a kick is Strang's splitting; the half kicks between two steps merge into one:

    first v -= h/2 f(y);   then each step  v += h (f(y) + fluctuation),  z <- linear step of z

Order 2, one stage, one evaluation of the sigmoids a step; y has that order at every step, v lags
behind by half a kick. With noise, one normal number a step: strong order 1, weak order 2. A stimulus edge
within a step costs no order: the stimulus is averaged over the step.

Source: Strang 1968, SIAM J. Numer. Anal. 5:506; for stochastic neural masses Ableidinger, Buckwar &
Hinterleitner 2017, J. Math. Neurosci. 7:8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jrflow.model.equations import State
from jrflow.model.lanes import Value, inlined, row_reader
from jrflow.model.solvers.synapse import N_PROPAGATOR, propagated, propagator, read_propagator, responses

N_STAGES = 1
N_MEMORY = 0
N_COEFFICIENTS = 2 + 2 * N_PROPAGATOR


class Kick(NamedTuple):
    """Length of a kick and of half a kick, s."""

    full: Value
    half: Value


read_kick = row_reader(Kick)


def coefficients(p: Mapping[str, np.ndarray], dt: float) -> tuple[np.ndarray, ...]:
    """Rows: kick, propagators of the excitatory and the inhibitory synapses."""
    h = np.full_like(p["b_e"], dt)
    synapses = [propagator(b, dt, responses(b, dt, 1)[0]) for b in (p["b_e"], p["b_i"])]
    return (h, h / 2, *synapses[0], *synapses[1])


@inlined
def start(s, f, P, p_at, row):  # type: ignore[no-untyped-def]
    """Take back half of the first kick."""
    half = read_kick(P, p_at, row).half
    return State(
        s.y0, s.y1, s.y2, s.v0 - half * f.pyramidal, s.v1 - half * f.excitatory, s.v2 - half * f.inhibitory
    )


@inlined
def stage(s, f, i, P, p_at, row):  # type: ignore[no-untyped-def]
    """Advance one column by one step: kick by f, which holds the fluctuation too, then linear step."""
    h = read_kick(P, p_at, row).full
    e = read_propagator(P, p_at + 2 * row, row)
    e_i = read_propagator(P, p_at + (2 + N_PROPAGATOR) * row, row)
    y0, v0 = propagated(e, s.y0, s.v0 + h * f.pyramidal, i.pyramidal)
    y1, v1 = propagated(e, s.y1, s.v1 + h * f.excitatory, i.excitatory)
    y2, v2 = propagated(e_i, s.y2, s.v2 + h * f.inhibitory, i.inhibitory)
    return State(y0, y1, y2, v0, v1, v2)
