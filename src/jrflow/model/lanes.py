"""How a batch of simulations is laid out in memory so that a compiler vectorises over it.

Simulations stand side by side as *lanes*: every state variable and coefficient is a row with one entry
per lane, and one time step is a loop over lanes without branches. Four things make LLVM turn that loop
into full-width vector instructions:

- rows at a compile-time constant distance, and arrays that are known not to overlap: no checks at run time;
- a lane count known at compile time and divisible by every vector width: no remainder loop, so that a
  simulation's bits do not depend on the lane it happens to sit in;
- rows that begin at cache lines, with a pad between them, so that they do not compete for the same cache
  sets;
- full-width registers: for many processors LLVM prefers half of them, out of consideration for code that
  only now and then uses a vector (twice as slow here).

All of a project's tricks for this are in this module; a solver is a formula over scalars.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import llvmlite.ir as ir
import numpy as np
from numba import njit, types
from numba.extending import intrinsic

#: Distance between rows beyond the lanes, in elements.
PAD = 16

_CACHE_LINE = 64

#: Field of a record: a number in a compiled function, an array over simulations and regions outside.
Value: TypeAlias = Any

#: Relaxations that cannot hide a NaN: fused multiply-add, signed zeros, reciprocals.
FASTMATH = {"contract", "nsz", "arcp"}

#: Digest of the model's source. Numba's cache only notices changes of the file that holds the compiled
#: function; with this in its key, a changed solver or equation is never served from an old cache.
SOURCE_DIGEST = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
).hexdigest()


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of scalars, always inlined: a call inside a loop would keep it from vectorising.

    A CUDA kernel that calls it compiles it for the device, from the same Python function.
    """
    return njit(function, fastmath=FASTMATH, error_model="numpy", nogil=True, forceinline=True)


def compiled_entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that Python calls, and keep the machine code on disk for the next process."""
    return njit(function, fastmath=FASTMATH, error_model="numpy", nogil=True, cache=True)


@intrinsic
def _vectorise_fully(typing_context: Any) -> Any:
    """Within an entry: its array arguments do not overlap, and vectors are as wide as the processor's."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's set of attributes knows those without a value only; a plain set takes any text.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate


#: As a compiled function sees it, without the typing context.
vectorise_fully: Callable[[], None] = cast(Any, _vectorise_fully)


def row_reader(record: type) -> Callable[..., Any]:
    """Function (array, at, row) -> record, a NamedTuple whose k-th field is array[at + k * row]."""
    fields = ", ".join(f"array[at + {k} * row]" for k in range(len(record._fields)))  # type: ignore[attr-defined]
    return _generated(f"def generated(array, at, row):\n    return record({fields})\n", record)


def row_writer(record: type) -> Callable[..., Any]:
    """Function (array, at, row, values) that writes a record's k-th field to array[at + k * row]."""
    lines = [f"    array[at + {k} * row] = values[{k}]" for k in range(len(record._fields))]  # type: ignore[attr-defined]
    return _generated("\n".join(["def generated(array, at, row, values):", *lines]) + "\n", record)


def _generated(source: str, record: type) -> Callable[..., Any]:
    """Compile a function written field by field: numba has no loop over the fields of a tuple."""
    namespace: dict[str, Any] = {"record": record}
    exec(source, namespace)
    return inlined(namespace["generated"])


def room(*shape: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that begin at a cache line: a full-width load across two lines takes twice as long."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    memory = np.zeros(n_bytes + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def pack(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Lay the rows of a block of simulations out as a kernel reads them.

    Parameters
    ----------
    values
        Shape (n_rows, lanes, n_regions).
    dtype
        Precision of the integration.

    Returns
    -------
    Shape (n_regions, n_rows, lanes + PAD).
    """
    n_rows, lanes, n_regions = values.shape
    block = room(n_regions, n_rows, lanes + PAD, dtype=dtype)
    with np.errstate(over="ignore"):  # the status tells what is not finite
        block[..., :lanes] = values.transpose(2, 0, 1)
    return block
