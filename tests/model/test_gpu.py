"""The GPU backend: as the CPU, in numba's simulator and on a GPU; what is compiled; what it says it lacks."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jrflow.model import kernel_gpu
from jrflow.model.backend import BackendError
from jrflow.simulation import simulate

HERE = Path(__file__).parent
needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"
)
fails_on_purpose = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


def load_cases() -> Any:
    """The module beside this one; it is a program, too."""
    spec = importlib.util.spec_from_file_location("gpu_cases", HERE / "gpu_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cases = load_cases()


def python(script: str, *arguments: object, **environment: str) -> None:
    """Run a program beside this one: numba's simulator must be chosen before numba is imported."""
    run = subprocess.run(
        [sys.executable, HERE / script, *map(str, arguments)],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]


def missing() -> str:
    """Why there is no GPU to compute on."""
    try:
        kernel_gpu.require_gpu()
    except BackendError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module", params=["simulator", "device"])
def computed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Results of all cases, from numba's simulator or from a GPU."""
    out = tmp_path_factory.mktemp(request.param) / "results.npz"
    if request.param == "simulator":
        python("gpu_cases.py", "cuda", out, NUMBA_ENABLE_CUDASIM="1", NUMBA_DISABLE_JIT="1")
    elif missing():
        pytest.skip(missing())
    else:
        python("gpu_cases.py", "cuda", out)
    return np.load(out)


@cache
def on_cpu(name: str) -> dict[str, np.ndarray]:
    """The CPU's results of a case."""
    return cases.run(cases.CASES[name], "cpu")


def tolerance(options: dict[str, Any]) -> float:
    """Largest difference as a fraction of the range.

    In float64 sums are rounded in another order. Fluctuations are made in float32 in both precisions, and
    differ in the last place. In float32 rounding is 6e-8 a step, and the device's sigmoid is off by 2 or 3
    units in the last place; some hundred steps of a stable system add up to little more.
    """
    if options.get("precision") != "float64":
        return 2e-5
    return 1e-6 if options["protocol"].noise_sd > 0 else 1e-11


@needs_numba_cuda
@pytest.mark.slow
@fails_on_purpose
@pytest.mark.parametrize("name", cases.CASES)
def test_it_computes_what_the_cpu_computes(name: str, computed: Any) -> None:
    case = cases.CASES[name]
    expected = on_cpu(case.like or case.twin or name)
    for key in ("status", "failed_step", "n_trials"):
        np.testing.assert_array_equal(computed[f"{name}/{key}"], expected[key], err_msg=key)
    source, exact = computed[f"{name}/source"], expected["source"]
    np.testing.assert_array_equal(np.isfinite(source), np.isfinite(exact))
    fine = expected["status"] == 0
    assert fine.any()
    scale = np.ptp(exact[fine], axis=(1, 2))
    difference = np.abs(source[fine] - exact[fine]).max(axis=(1, 2))
    assert (difference <= tolerance(case.options) * scale).all(), difference / scale


@needs_numba_cuda
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in cases.CASES.items() if case.twin])
def test_company_changes_no_bit(name: str, computed: Any) -> None:
    for key in cases.RESULTS:
        np.testing.assert_array_equal(computed[f"{name}/{key}"], computed[f"{cases.CASES[name].twin}/{key}"])


@fails_on_purpose
def test_cases_are_about_something() -> None:
    """Some simulations settle at different trials, some fail in different ways, and noise is there."""
    steady, failures, dense = (on_cpu(name) for name in ("steady state", "failures", "dense"))
    assert len(set(steady["n_trials"])) > 1
    assert set(failures["status"]) == {0, 2, 3}
    assert {0, 2} <= set(dense["status"])
    assert len(set(dense["n_trials"])) > 1


@needs_numba_cuda
@pytest.mark.slow
def test_too_little_memory_is_said(computed: Any) -> None:
    message = str(computed["without memory"])
    assert re.search(r"one simulation needs .* GiB on the GPU, but .* are free; .* backend='cpu'", message)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the PTX and the LLVM code of some kernels for Hopper."""
    from cuda import pathfinder

    try:
        pathfinder.load_nvidia_dynamic_lib("nvvm")
    except RuntimeError:
        pytest.skip("libNVVM is not installed: pip install nvidia-nvvm")
    folder = tmp_path_factory.mktemp("ptx")
    python("gpu_ptx.py", folder, NUMBA_FORCE_CUDA_CC="9.0")
    return folder


FLOAT32 = (
    "columns-exp-ab4",
    "columns-exp-ab4-pulses",
    "columns-strang",
    "columns-strang-noise",
    "network-exp-ab4",
    "network-exp-ab4-pulses",
    "network-strang-delays",
)


@needs_numba_cuda
@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT32)
def test_a_float32_kernel_stays_in_registers_and_in_float32(name: str, compiled: Path) -> None:
    """No double precision at all; no array in local memory; nothing called; sigmoids are two instructions."""
    ptx = (compiled / f"{name}.ptx").read_text()
    for unwanted in (r"\.f64", r"\.local\b", r"\bcall\b", r"\bdiv\.", r"\bsqrt\.rn"):
        assert not re.search(unwanted, ptx), unwanted
    assert ptx.count("ex2.approx.ftz.f32") == ptx.count("rcp.approx.ftz.f32") >= 6
    assert ptx.count("sqrt.approx") == (2 if "noise" in name or "delays" in name else 0)


@needs_numba_cuda
@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT32)
def test_a_nan_is_out_of_range(name: str, compiled: Path) -> None:
    """The source is compared so that a NaN counts as beyond the limit, and no number is taken for none."""
    assert "setp.gtu.ftz.f32" in (compiled / f"{name}.ptx").read_text()
    assert not re.search(r"\b(nnan|fast)\b", (compiled / f"{name}.ll").read_text())


@needs_numba_cuda
@pytest.mark.slow
def test_rates_of_a_team_are_one_load(compiled: Path) -> None:
    assert "ld.shared.v4.f32" in (compiled / "network-exp-ab4.ptx").read_text()
    assert "ld.global.v4.f32" in (compiled / "network-strang-delays.ptx").read_text()


@needs_numba_cuda
@pytest.mark.slow
def test_a_float64_kernel_approximates_nothing(compiled: Path) -> None:
    ptx = (compiled / "columns-exp-ab4-float64.ptx").read_text()
    assert not re.search(
        r"\b(ex2|rcp|sqrt|div)\.approx\.(ftz\.)?f(32|64)", ptx.replace("rcp.approx.ftz.f64", "")
    )
    assert ".local" not in ptx
    assert "div.rn.f32" in (compiled / "mean-columns-strang.ptx").read_text()


@needs_numba_cuda
def test_no_gpu_is_said() -> None:
    if not missing():
        pytest.skip("there is a GPU")
    with pytest.raises(BackendError, match=r"needs an NVIDIA GPU, but .*backend='cpu' computes the same"):
        simulate({"A_e": 3.0}, backend="cuda")


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_gpu, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"pip install 'jrflow\[gpu\]'"):
        simulate({"A_e": 3.0}, backend="cuda")
