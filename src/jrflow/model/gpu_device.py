"""CUDA's side of the model: how functions get onto the device, and what is one instruction there.

The equations, the solvers and the noise are the functions that the CPU runs: numba compiles a CPU function
that a kernel calls for the device. Only the sigmoid differs. What is a polynomial on the CPU, because no
vector instruction computes 2**x, is on the device one operation of the special function unit, and so is
the reciprocal.

In numba's simulator (NUMBA_ENABLE_CUDASIM=1) kernels are Python functions; they call the CPU's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numba
import numba.cuda
from llvmlite import ir
from numba import types

from jrflow.model.sigmoid import logistic2

#: Numba's CUDA target. What kernels use of it exists in kernels alone, and no type says so.
cuda: Any = numba.cuda
#: Kernels run in numba's simulator, as Python.
SIMULATED = bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that kernels call and that uses CUDA, always inlined."""
    return function if SIMULATED else cuda.jit(function, device=True, forceinline=True)


def kernel(function: Callable[..., Any], exact: bool = False, bounds: Any = None) -> Any:
    """Compile a kernel.

    Parameters
    ----------
    function
        What every thread computes; it returns nothing.
    exact
        Keep IEEE division, square roots and subnormal numbers in float32. Otherwise they may be off by 2
        units in the last place. Neither hides a NaN: no flag lets the compiler assume that there is none.
    bounds
        Threads of a block, or these and the blocks of a multiprocessor: registers are rationed so that
        they fit.
    """
    if SIMULATED:
        return cuda.jit(function)
    # Without link-time optimisation: what runs is then the PTX that the tests look at.
    return cuda.jit(function, fastmath=not exact, launch_bounds=bounds, lto=False)


def load4(array: Any, at: Any) -> tuple[Any, Any, Any, Any]:
    """Four neighbouring numbers, the first at a multiple of four: one load on the device."""
    return array[at], array[at + 1], array[at + 2], array[at + 3]


def fresh(x: Any) -> Any:
    """The same number, but on the device the compiler does not know that: what depends on it stays here.

    It computes addresses of memory ahead of a loop, even those that hardly any pass of the loop uses, and
    then has too few registers.
    """
    return x


def _extending() -> Any:
    """Numba's door for extensions of the CUDA target; closed in the simulator."""
    return import_module("numba.cuda.extending")


def _one_instruction(ptx: str) -> Any:
    """Function of one float32 that is one PTX instruction."""

    @_extending().intrinsic
    def compute(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            unary = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
            return builder.asm(unary, f"{ptx} $0, $1;", "=f,f", args, False)

        return types.float32(types.float32), generate

    return compute


def _opaque() -> Any:
    """The identity of :func:`fresh`: an instruction that the compiler neither removes nor moves."""

    @_extending().intrinsic
    def same(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            identity = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
            return builder.asm(identity, "mov.u64 $0, $1;", "=l,l", args, True)

        return types.uint64(types.uint64), generate

    return same


def _vector_load() -> Any:
    """The load of :func:`load4`: its address is a multiple of sixteen bytes."""

    @_extending().intrinsic
    def load(typing_context: Any, array: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            record = context.make_helper(builder, array, value=args[0])
            element = builder.gep(record.data, [args[1]])
            vector = ir.VectorType(record.data.type.pointee, 4)
            four = builder.load(builder.bitcast(element, vector.as_pointer()), align=16)
            numbers = [builder.extract_element(four, ir.Constant(ir.IntType(32), k)) for k in range(4)]
            return context.make_tuple(builder, signature.return_type, numbers)

        return types.UniTuple(array.dtype, 4)(array, types.uint64), generate

    return load


def _register() -> None:
    """Tell numba what the device does instead."""
    overload = _extending().overload
    exp2, reciprocal = _one_instruction("ex2.approx.ftz.f32"), _one_instruction("rcp.approx.ftz.f32")
    vector, opaque = _vector_load(), _opaque()
    inline = {"forceinline": True}

    @overload(logistic2, jit_options=inline)
    def _logistic2_on_device(x):  # type: ignore[no-untyped-def]
        # 2**x that overflows is infinite, and its reciprocal 0: no limits needed. NaN stays NaN.
        if x == types.float32:
            return lambda x: reciprocal(types.float32(1) + exp2(x))
        return lambda x: 1.0 / (1.0 + cuda.libdevice.exp2(x))

    @overload(fresh, jit_options=inline)
    def _fresh_on_device(x):  # type: ignore[no-untyped-def]
        return lambda x: opaque(x)

    @overload(load4, jit_options=inline)
    def _load4_on_device(array, at):  # type: ignore[no-untyped-def]
        return lambda array, at: vector(array, at)


if not SIMULATED:
    _register()
