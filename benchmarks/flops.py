"""Floating-point operations of one step of one column, counted in the formulas of ``jrflow.model``.

+, -, * and / count one each, a fused multiply-add two. Minima, maxima, absolute values, comparisons and
integer operations count nothing, and neither does recording.
"""

from __future__ import annotations

#: Degree of the polynomial for 2**x.
_DEGREE = {"float32": 5, "float64": 11}

# For each of the three synapses.
_DERIVATIVE = 1 + 1 + 2 + 2  # (f + i) - b ((v + v) + b y)
_MOVED = 2 * 2  # y + h v, v + h slope
_PROPAGATED = 2 * 5  # e.yy y + (e.yv v + e.y_constant x), and the same for v
_KICK = 2  # v + h f
_EXTRAPOLATED = 2 * 4 * 2  # feedback now and one, two, three steps ago, on y and v

#: Operations of a scheme beyond the feedback and the input.
_SCHEME = {
    "euler": 3 * (_DERIVATIVE + _MOVED),
    "strang": 3 * (_KICK + _PROPAGATED),
    "exp-ab4": 3 * (_PROPAGATED + _EXTRAPOLATED),
}


def sigmoid(precision: str) -> int:
    """``sigmoid.logistic2``: rounding to an integer 3, polynomial, 1 + 2**x, division."""
    return 3 + 2 * _DEGREE[precision] + 1 + 1


def per_step(solver: str, precision: str) -> int:
    """One step of a column alone, without noise."""
    arguments = (1 + 2) + 2 + 2  # offset - slope v; for the pyramidal cells v = y1 - y2
    feedback = 3  # drive at the maximum rate times the sigmoid
    stimulus = 1 + 2 + 1  # gains times u, and the background
    return 3 * sigmoid(precision) + arguments + feedback + stimulus + _SCHEME[solver]
