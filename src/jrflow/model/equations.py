"""The Jansen-Rit equations, once, for every solver and processor.

Three second-order linear synapses (pyramidal y0, excitatory y1, inhibitory y2; mV), each driven by
firing rates:

    y0'' = A_e b_e ( S(y1 - y2)              + g_p u )      - 2 b_e y0' - b_e**2 y0
    y1'' = A_e b_e ( a_2 C S(a_1 C y0) + G k + g_e u + p )  - 2 b_e y1' - b_e**2 y1
    y2'' = A_i b_i ( a_4 C S(a_3 C y0)       + g_i u )      - 2 b_i y2' - b_i**2 y2

with S(v) = v_max / (1 + exp(r (v_0 - v))), the stimulus u, the background p (1/s) and, in a network,
k_i(t) = sum_j w_ij S_j(y1_j - y2_j)(t - tau_ij), where S_j has the v_max, r and v_0 of the sending region j.
The measured source is y1 - y2.

The right-hand side comes in three parts: the linear synapses, what the state feeds back through the
sigmoids (smooth: may be extrapolated), and the input (piecewise constant: must not be).

Source: Jansen & Rit 1995; stimulus gains from Tilwani & O'Reilly, arXiv 2406.05002.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jrflow.model.lanes import Value, inlined, row_reader, row_writer
from jrflow.model.sigmoid import logistic2


class State(NamedTuple):
    """Potentials (mV) and their derivatives (mV/s) of one column; also any increment of one."""

    y0: Value
    y1: Value
    y2: Value
    v0: Value
    v1: Value
    v2: Value


class Drive(NamedTuple):
    """What drives the three synapses, mV/s**2."""

    pyramidal: Value
    excitatory: Value
    inhibitory: Value


class Column(NamedTuple):
    """Coefficients of one column, made by :func:`column`."""

    offset: Value  # r v_0, and slopes: in powers of two
    slope_pyr: Value
    slope_exc: Value
    slope_inh: Value
    v_max: Value  # 1/s
    pyr: Value  # drive at the maximum firing rate, mV/s**2
    exc: Value
    inh: Value
    excitation: Value  # drive per unit of an excitatory rate, mV/s
    coupled: Value  # drive per unit of the rates received from other regions, mV/s
    u_pyr: Value
    u_exc: Value
    u_inh: Value
    background: Value
    b_e: Value  # 1/s
    b_i: Value
    fluctuation: Value  # drive per unit of the background's fluctuation, mV/s


read_state, write_state = row_reader(State), row_writer(State)
read_drive, write_drive = row_reader(Drive), row_writer(Drive)
read_column = row_reader(Column)
N_STATE, N_DRIVE, N_COLUMN = len(State._fields), len(Drive._fields), len(Column._fields)
Y1_ROW, Y2_ROW = State._fields.index("y1"), State._fields.index("y2")


@inlined
def activation(s, c):  # type: ignore[no-untyped-def]
    """S(y1 - y2) as a fraction of the column's own v_max."""
    return logistic2(c.offset - c.slope_pyr * (s.y1 - s.y2))


@inlined
def rate(s, c):  # type: ignore[no-untyped-def]
    """S(y1 - y2), 1/s: the rate that a region sends to others, with its own v_max, r and v_0."""
    return c.v_max * activation(s, c)


@inlined
def feedback(s, c, own, received):  # type: ignore[no-untyped-def]
    """Drive by the sigmoids.

    Parameters
    ----------
    s, c
        State and coefficients of the column.
    own
        Drive of the pyramidal synapse by the column's own rate, mV/s**2: ``pyr`` times the activation, or
        ``excitation`` times the rate.
    received
        sum_j w_ij of the rates of other regions, 1/s.
    """
    return Drive(
        own,
        c.exc * logistic2(c.offset - c.slope_exc * s.y0) + c.coupled * received,
        c.inh * logistic2(c.offset - c.slope_inh * s.y0),
    )


@inlined
def external(c, u):  # type: ignore[no-untyped-def]
    """Drive by the stimulus u and the mean background (1/s)."""
    return Drive(c.u_pyr * u, c.u_exc * u + c.background, c.u_inh * u)


@inlined
def derivative(s, c, f, i):  # type: ignore[no-untyped-def]
    """d/dt of the state under feedback f and input i."""
    return State(
        s.v0,
        s.v1,
        s.v2,
        (f.pyramidal + i.pyramidal) - c.b_e * ((s.v0 + s.v0) + c.b_e * s.y0),
        (f.excitatory + i.excitatory) - c.b_e * ((s.v1 + s.v1) + c.b_e * s.y1),
        (f.inhibitory + i.inhibitory) - c.b_i * ((s.v2 + s.v2) + c.b_i * s.y2),
    )


def column(
    p: Mapping[str, np.ndarray],
    gains: Sequence[float],
    stimulated: np.ndarray,
    background: np.ndarray | float,
    fluctuation: np.ndarray | float = 1.0,
) -> Column:
    """Coefficients of the columns.

    Parameters
    ----------
    p
        Parameter name to values, shape (n_sims, n_regions), in the units of the model's table.
    gains
        Stimulus gains (g_p, g_e, g_i).
    stimulated
        What a region receives of the stimulus as a fraction of the common time course; shape (n_regions,) or
        (n_sims, n_regions).
    background
        Mean background input, 1/s; a number, or shape (n_sims, n_regions) or (n_sims, 1).
    fluctuation
        What a region receives of the background's fluctuation, of the same shape.

    Returns
    -------
    Arrays of shape (n_sims, n_regions).
    """
    slope = p["r"] / np.log(2.0)  # the sigmoid is evaluated in powers of two
    excitation, inhibition = p["A_e"] * p["b_e"], p["A_i"] * p["b_i"]
    return Column(
        offset=slope * p["v_0"],
        slope_pyr=slope,
        slope_exc=slope * p["a_1"] * p["C"],
        slope_inh=slope * p["a_3"] * p["C"],
        v_max=p["v_max"],
        pyr=excitation * p["v_max"],
        exc=excitation * p["v_max"] * p["a_2"] * p["C"],
        inh=inhibition * p["v_max"] * p["a_4"] * p["C"],
        excitation=excitation,
        coupled=excitation * p["G"],
        u_pyr=excitation * gains[0] * stimulated,
        u_exc=excitation * gains[1] * stimulated,
        u_inh=inhibition * gains[2] * stimulated,
        background=excitation * background,
        b_e=p["b_e"],
        b_i=p["b_i"],
        fluctuation=excitation * fluctuation,
    )
