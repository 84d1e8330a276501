"""Entry point of the GPU backend: checks that a GPU and its packages are available.

Everything behind it (``gpu_batch`` and what that imports) loads numba's CUDA target, which is an extra.
"""

from __future__ import annotations

from importlib.util import find_spec

from jrflow.model.backend import BackendError
from jrflow.model.problem import Problem, Solution

_OR_CPU = "backend='cpu' computes the same without it"


def integrate(problem: Problem, kernel_seconds: list[float] | None = None) -> Solution:
    """Simulate from rest on an NVIDIA GPU, as ``batch.integrate`` does on the CPU.

    Parameters
    ----------
    problem
        Parameters, input, network and numerical settings of all simulations.
    kernel_seconds
        If given, the time that each kernel took on the device is appended.

    Raises
    ------
    BackendError
        If numba-cuda is not installed, no GPU is found, or one simulation does not fit its memory.
    ValueError
        If the solver cannot be used with the delays.
    """
    require_gpu()
    from jrflow.model import gpu_batch

    return gpu_batch.integrate(problem, kernel_seconds)


def require_gpu() -> None:
    """Raise a BackendError that says what is missing; return if nothing is."""
    if find_spec("numba_cuda") is None:
        raise BackendError(f"backend 'cuda' needs numba-cuda: pip install 'jrflow[gpu]'; {_OR_CPU}")
    from jrflow.model.gpu_device import SIMULATED, cuda

    if SIMULATED:
        return
    from numba.cuda.cudadrv import driver, nvvm

    if not driver.driver.is_available:
        reason = " ".join(str(driver.driver.initialization_error).split())
        raise BackendError(
            "backend 'cuda' needs an NVIDIA GPU, but none was found: the driver library (libcuda) could not "
            f"be started: {reason} Look at nvidia-smi; {_OR_CPU}"
        )
    if len(cuda.gpus) == 0:
        raise BackendError(
            "backend 'cuda' needs an NVIDIA GPU, but the driver lists none; look at nvidia-smi and "
            f"CUDA_VISIBLE_DEVICES; {_OR_CPU}"
        )
    if not nvvm.is_available():
        raise BackendError(
            f"backend 'cuda' needs CUDA's compiler library (nvvm): pip install 'jrflow[gpu]'; {_OR_CPU}"
        )
