"""Compile what a batch would launch for a Hopper GPU, where there is none: python gpu_ptx.py OUT_FOLDER

Arrays stay on the host, and a launch only compiles its kernel for the types of its arguments. Of every
kernel, NAME.ptx and NAME.ll are written. Needs libNVVM (nvidia-nvvm), neither a driver nor the rest of the
toolkit; run it with NUMBA_FORCE_CUDA_CC=9.0.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import cuda_paths, dispatcher
from numba.cuda.cudadrv import devices

from jrflow.model import gpu_recording, gpu_run, kernel_gpu
from jrflow.model.connectome import Connectome
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.simulation import simulate

HOPPER = SimpleNamespace(id=0, compute_capability=(9, 0))
EVOKED = {"protocol": EvokedProtocol(n_trials=3, stim_duration=0.0503)}
NOISY = {"protocol": RestProtocol(duration=0.1, transient=0.0, background=120.0, noise_sd=30.0)}
BRAIN = {"connectome": Connectome.synthetic(84)}
BATCHES: dict[str, dict[str, Any]] = {
    "columns-exp-ab4": {"solver": "exp-ab4"} | EVOKED,
    "columns-strang": {"solver": "strang"} | EVOKED,
    "columns-strang-noise": {"solver": "strang"} | NOISY,
    "network-exp-ab4": {"solver": "exp-ab4"} | EVOKED | BRAIN,
    "network-strang-delays": {"solver": "strang", "parameters": {"speed": 5.0}} | NOISY | BRAIN,
    "columns-exp-ab4-pulses": {"solver": "exp-ab4", "parameters": {"stim_latency": 0.0103}} | EVOKED,
    "network-exp-ab4-pulses": {"solver": "exp-ab4", "parameters": {"stim_latency": 0.0103}} | EVOKED | BRAIN,
    "columns-exp-ab4-float64": {"solver": "exp-ab4", "precision": "float64"} | EVOKED,
}


class OnHost(np.ndarray):
    """A device array that is none."""

    def copy_to_device(self, values: np.ndarray) -> None:
        self[...] = values

    def copy_to_host(self, to: np.ndarray | None = None) -> np.ndarray:
        return np.array(self)


def main(argv: list[str]) -> int:
    (folder,) = argv
    dispatcher.get_current_device = lambda: HOPPER  # type: ignore[attr-defined]
    dispatcher._Kernel.bind = lambda self: None
    devices.get_context = lambda: SimpleNamespace(device=HOPPER)
    cuda_paths._get_nvrtc_path = lambda: None  # type: ignore[attr-defined]
    cuda.to_device = lambda values: np.array(values).view(OnHost)
    cuda.device_array = lambda shape, dtype: np.zeros(shape, dtype).view(OnHost)
    kernel_gpu.require_gpu = lambda: None
    gpu_run.Run.capacity = lambda self, bytes_each, most: most
    for name, batch in BATCHES.items():

        def compile_only(self: Any, kernel: Any, shape: Any, arguments: Any, name: str = name) -> None:
            compiled = kernel.compile(tuple(kernel.typeof_pyval(argument) for argument in arguments))
            stem = name if compiled.py_func.__module__ != gpu_recording.__name__ else f"mean-{name}"
            Path(folder, f"{stem}.ptx").write_text(compiled.inspect_asm((9, 0)))
            Path(folder, f"{stem}.ll").write_text(compiled.inspect_llvm())

        gpu_run.Run.launch = compile_only
        simulate(backend="cuda", **batch)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
