"""The cases of test_gpu, computed on one backend: python gpu_cases.py cpu|cuda OUT.npz

With NUMBA_ENABLE_CUDASIM=1 kernels run in numba's simulator. NUMBA_DISABLE_JIT=1 goes with it: a compiled
function hands every number back to Python as a double, and nothing would be left of float32.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jrflow.model import MODEL
from jrflow.model.backend import BackendError
from jrflow.model.connectome import Connectome
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import SOLVERS
from jrflow.simulation import simulate

RESULTS = ("source", "status", "failed_step", "n_trials")


class Case(NamedTuple):
    """Arguments of ``simulate``; ``constants`` of the GPU's modules are set for this case alone.

    Its results are those of the CPU's case ``like``, or to the bit those of the same backend's ``twin``.
    """

    parameters: dict[str, Any]
    options: dict[str, Any]
    constants: dict[str, int] = {}  # noqa: RUF012
    like: str = ""
    twin: str = ""


def draw(n_sims: int, *n_regions: int) -> dict[str, np.ndarray]:
    """Parameters of columns; in a network every parameter differs between the regions."""
    rng, defaults = np.random.default_rng(0), MODEL.presets["unit-consistent"].defaults
    names = tuple(defaults) if n_regions else MODEL.inferred
    return {name: defaults[name] * rng.uniform(0.8, 1.2, (n_sims, *n_regions)) for name in names}


BRAIN = Connectome.synthetic(3, seed=3).normalised("in-strength")
CHAIN = Connectome(np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0]]), BRAIN.tract_lengths)
LONELY = Connectome(np.zeros((3, 3)))

EVOKED = EvokedProtocol(n_trials=3, isi=0.04, tmin=-0.01, tmax=0.04, transient=0.01, stim_duration=0.01)
#: Pulses end within a step, and epochs are longer than two periods: three hold the same sample.
EDGES = EvokedProtocol(n_trials=8, isi=0.05, tmin=-0.01, tmax=0.12, transient=0.02, stim_duration=0.0103)
REST = RestProtocol(duration=0.04, transient=0.01, background=150.0)
NOISY = RestProtocol(duration=0.04, transient=0.01, background=150.0, noise_sd=30.0)
UNIFORM = RestProtocol(
    duration=0.04, transient=0.01, background=150.0, noise_sd=30.0, noise_distribution="uniform"
)

#: One column fails at once, one leaves the range in the recording.
FAILING = {"A_e": np.array([3.25, 1e200, 9.0]), "C": np.array([135.0, 1e200, 1e3])}
STIMULATED = EvokedProtocol(
    n_trials=5, isi=0.03, tmin=-0.01, tmax=0.03, transient=0.01, stim_duration=0.0103,
    stim_regions=(BRAIN.names[0],),
)  # fmt: skip
NETWORK = draw(5, 3) | {"G": np.array([5.0, 0.0, 5.0, 1e308, 1.0])}
COUPLED = {
    "connectome": BRAIN, "protocol": STIMULATED, "solver": "exp-ab4", "precision": "float64", "dt": 2e-3,
    "sfreq": 500.0, "steady_state_tolerance": 0.3,
}  # fmt: skip

CASES: dict[str, Case] = {
    **{
        f"column {name}": Case(draw(3), {"protocol": EVOKED, "solver": name, "precision": "float64"})
        for name in SOLVERS
    },
    "column float32": Case(draw(5), {"protocol": EVOKED, "solver": "exp-ab4"}),
    "chunks of two": Case(
        draw(5), {"protocol": EVOKED, "solver": "exp-ab4"}, {"gpu_batch.MOST": 2}, twin="column float32"
    ),
    "stimulus edges": Case(
        draw(3),
        {"protocol": EDGES, "solver": "exp-ab4", "precision": "float64", "steady_state_tolerance": None},
    ),
    "steady state": Case(
        draw(3),
        {"protocol": EDGES, "solver": "exp-ab4", "precision": "float64", "steady_state_tolerance": 0.2},
    ),
    "two steps a sample": Case(
        draw(3), {"protocol": EVOKED, "solver": "exp-ab4", "precision": "float64", "dt": 0.5e-3}
    ),
    "noise": Case(draw(3), {"protocol": NOISY, "solver": "strang", "seed": 3}),
    "uniform noise": Case(draw(3), {"protocol": UNIFORM, "solver": "strang", "seed": 2**40}),
    "failures": Case(
        FAILING, {"protocol": EVOKED, "solver": "euler", "precision": "float64", "max_source": 50.0}
    ),
    "dense": Case(NETWORK, COUPLED),
    "dense, two parts": Case(NETWORK, COUPLED, {"gpu_coupling.MOST_THREADS": 6}, like="dense"),
    "dense, four nodes a thread": Case(NETWORK, COUPLED, {"gpu_coupling.MOST_THREADS": 3}, like="dense"),
    "dense, eight nodes a thread": Case(NETWORK, COUPLED, {"gpu_coupling.MOST_THREADS": 2}, like="dense"),
    "dense, nothing shared": Case(NETWORK, COUPLED, {"gpu_teams._SHARED": 0}, like="dense"),
    "dense, three at a time": Case(NETWORK, COUPLED, {"gpu_batch.MOST": 3}, twin="dense"),
    "dense rk4": Case(
        draw(2) | {"G": 5.0}, {"connectome": BRAIN, "protocol": REST, "solver": "rk4", "precision": "float64"}
    ),
    "sparse": Case(draw(3, 3) | {"G": 5.0}, {"connectome": CHAIN, "protocol": REST, "solver": "strang"}),
    "speeds": Case(
        draw(6, 3) | {"G": 5.0, "speed": np.array([5.0, 40.0, np.inf, 5.0, 12.0, 5.0])},
        {"connectome": BRAIN, "protocol": NOISY, "solver": "strang", "seed": 2},
    ),
    "speeds heun": Case(
        draw(2, 3) | {"G": 5.0, "speed": np.array([5.0, 9.0])},
        {"connectome": BRAIN, "protocol": NOISY, "solver": "heun", "precision": "float64"},
    ),
    "speeds evoked": Case(draw(3, 3) | {"G": 5.0, "speed": np.array([5.0, 9.0, 5.0])}, COUPLED),
    "inputs": Case(
        draw(3) | {"p": np.array([90.0, 150.0, 0.0]), "p_sd": np.array([0.0, 30.0, 9.0])},
        {"protocol": NOISY, "solver": "strang", "seed": 3},
    ),
    "stimulus rates": Case(
        draw(3) | {"stim_rate": np.array([30.0, 60.0, 0.0])},
        {"protocol": EDGES, "solver": "exp-ab4", "precision": "float64", "steady_state_tolerance": 0.2},
    ),
    "pulses": Case(
        draw(3)
        | {"stim_latency": np.array([0.0, 0.0057, 0.02]), "stim_duration": np.array([0.0103, 0.02, 0])},
        {"protocol": EDGES, "solver": "exp-ab4", "precision": "float64", "steady_state_tolerance": 0.2},
    ),
    "pulses heun": Case(
        draw(3) | {"stim_latency": np.array([0.0, 0.0057, 0.02])}, {"protocol": EDGES, "solver": "heun"}
    ),
    "pulses of regions": Case(
        draw(2, 3) | {"G": 5.0, "stim_latency": 1e-3 * np.array([[0, 3.4, 9.0], [2.2, 0, 5.6]])}, COUPLED
    ),
    "inputs of regions": Case(
        draw(3, 3) | {"G": 5.0, "p": 100.0 + 10.0 * np.arange(9.0).reshape(3, 3), "p_sd": 5.0 * np.eye(3)},
        {"connectome": BRAIN, "protocol": NOISY, "solver": "strang", "seed": 2, "precision": "float64"},
    ),
    "uncoupled regions": Case(draw(3, 3), {"connectome": LONELY, "protocol": NOISY, "solver": "strang"}),
}


def run(case: Case, backend: str) -> dict[str, np.ndarray]:
    """Results of one case."""
    changed = _set(case.constants) if backend == "cuda" else {}
    try:
        ds = simulate(case.parameters, backend=backend, **case.options)
    finally:
        _set(changed)
    return {name: ds[name].values for name in RESULTS}


def _set(constants: dict[str, int]) -> dict[str, int]:
    """Set constants of modules below jrflow.model; returns what they were."""
    before = {}
    for path, value in constants.items():
        module, name = path.split(".")
        __import__(f"jrflow.model.{module}")
        before[path] = getattr(sys.modules[f"jrflow.model.{module}"], name)
        setattr(sys.modules[f"jrflow.model.{module}"], name, value)
    return before


def refusal(compute: Callable[[], Any]) -> str:
    """The message of the BackendError that a call ends with."""
    try:
        compute()
    except BackendError as error:
        return str(error)
    return ""


def without_memory() -> str:
    """What is said where one simulation does not fit."""
    from jrflow.model import gpu_run

    fraction, gpu_run._FRACTION = gpu_run._FRACTION, 0.0
    try:
        return refusal(lambda: simulate(draw(1), backend="cuda", protocol=EVOKED))
    finally:
        gpu_run._FRACTION = fraction


def main(argv: list[str]) -> int:
    backend, out = argv
    arrays = {f"{name}/{key}": v for name, case in CASES.items() for key, v in run(case, backend).items()}
    if backend == "cuda":
        arrays["without memory"] = np.array(without_memory())
    np.savez(out, **arrays)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
