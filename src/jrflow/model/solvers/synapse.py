"""The exact solution of one synapse over a step: what the exponential schemes share.

    z' = L z + (0, x(t)),   z = (y, y'),   L critically damped with inverse time constant b

    z(t+h) = exp(L h) z(t) + int_0^h exp(L (h - s)) (0, x(t + s)) ds

exp(L h) and the integrals for x a power of s/h are functions of b h alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jrflow.model.lanes import Value, inlined, row_reader

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)


class Propagator(NamedTuple):
    """exp(L h), and the response (y, y') to a drive of 1 that is constant over the step."""

    yy: Value
    yv: Value
    vy: Value
    vv: Value
    y_constant: Value
    v_constant: Value


class Moments(NamedTuple):
    """Responses (y, y') to drives of s/h, (s/h)**2 and (s/h)**3."""

    y1: Value
    v1: Value
    y2: Value
    v2: Value
    y3: Value
    v3: Value


read_propagator, read_moments = row_reader(Propagator), row_reader(Moments)
N_PROPAGATOR, N_MOMENTS = len(Propagator._fields), len(Moments._fields)


@inlined
def propagated(e, y, v, x):  # type: ignore[no-untyped-def]
    """A synapse's state after one step under the constant drive x."""
    return e.yy * y + (e.yv * v + e.y_constant * x), e.vy * y + (e.vv * v + e.v_constant * x)


def propagator(b: np.ndarray, h: float, constant: np.ndarray) -> Propagator:
    """Coefficients for inverse time constants b (1/s), the step h (s), and :func:`responses` of power 0."""
    decay = np.exp(-b * h)
    return Propagator(
        decay * (1 + b * h), decay * h, -decay * b * b * h, decay * (1 - b * h), constant[0], constant[1]
    )


def responses(b: np.ndarray, h: float, n_powers: int) -> np.ndarray:
    """Responses of y and y' to the drives (s/h)**k, k < n_powers, shape (n_powers, 2, *b.shape).

    By Gauss-Legendre quadrature with 16 nodes: exact to rounding for b h up to about 10.
    """
    theta = (_NODES + 1) / 2
    rest = h * (1 - theta)  # time left of the step
    weights = theta ** np.arange(n_powers)[:, None] * (_NODE_WEIGHTS * h / 2)
    kernel = np.exp(-b[..., None] * rest)
    on_y = (kernel * rest) @ weights.T
    on_v = (kernel * (1 - b[..., None] * rest)) @ weights.T
    return np.moveaxis(np.stack([on_y, on_v]), -1, 0)
