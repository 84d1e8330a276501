"""The sigmoid's exponential as a polynomial that vectorises.

Without a vector math library, a compiler calls ``exp`` once per lane, and three sigmoids are more than
half of a step. A polynomial on half an octave and an addition to the exponent field run at full width.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from jrflow.model.lanes import FASTMATH

#: Minimax coefficients of 2**f on |f| <= 1/2, lowest order first, for each precision. Their relative
#: error is 2.3e-8 (2.6 units in the last place with rounding) and 1.3e-17 (1.0).
_COEFFICIENTS = {
    types.float32: (
        1.0000000716584092, 0.6931469670884905, 0.24022119713913720, 0.05550713247802982,
        0.009675541704520028, 0.0013276478687573995,
    ),
    types.float64: (
        1.0, 0.6931471805599453, 0.24022650695910156, 0.05550410866481992, 0.009618129107588334,
        0.0013333558146789847, 0.00015403530462515902, 1.525273349004054e-05, 1.3215433089083665e-06,
        1.0178198004833684e-07, 7.074105727378504e-09, 4.435284784188979e-10,
    ),
}  # fmt: skip
#: Beyond these powers the sigmoid is 0 or 1 in the given precision, and 2**x still a normal number.
_LIMIT = {types.float32: 120.0, types.float64: 1000.0}
#: Added to a number, it leaves no bits for a fraction: the number is rounded to the nearest whole one.
_SHIFT = {types.float32: 1.5 * 2**23, types.float64: 1.5 * 2**52}
_MANTISSA_BITS = {types.float32: 23, types.float64: 52}


@intrinsic
def _times_power_of_two(typing_context: Any, x: Any, shifted: Any) -> Any:
    """x * 2**n for shifted = n + _SHIFT: n is in the low bits, and is added to the exponent field of x."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(x.bitwidth)
        bits = [builder.bitcast(arg, integer) for arg in args]
        n = builder.shl(bits[1], ir.Constant(integer, _MANTISSA_BITS[x]))
        return builder.bitcast(builder.add(bits[0], n), args[0].type)

    return x(x, shifted), generate


@intrinsic
def _polynomial(typing_context: Any, f: Any) -> Any:
    """Horner's scheme in fused multiply-adds, in the precision of its argument."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        coefficients = [ir.Constant(args[0].type, c) for c in _COEFFICIENTS[f]]
        value = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            value = builder.fma(value, args[0], coefficient)
        return value

    return f(f), generate


def logistic2(x: float) -> float:
    """1 / (1 + 2**x): the sigmoid of an argument given in powers of two.

    On arrays of lanes the relative error is below 4 units in the last place. A NaN argument gives some
    number between 0 and 1: the state that it came from stays NaN by itself.
    """
    return 1.0 / (1.0 + 2.0**x)


@overload(logistic2, jit_options={"error_model": "numpy", "fastmath": FASTMATH, "forceinline": True})
def _logistic2_compiled(x):  # type: ignore[no-untyped-def]
    dtype = np.float32 if x == types.float32 else np.float64
    upper, lower, one, shift = dtype(_LIMIT[x]), dtype(-_LIMIT[x]), dtype(1), dtype(_SHIFT[x])

    def compiled(x):  # type: ignore[no-untyped-def]
        x = min(max(x, lower), upper)
        shifted = x + shift
        fraction = x - (shifted - shift)
        return one / (one + _times_power_of_two(_polynomial(fraction), shifted))  # type: ignore[call-arg,operator]

    return compiled
