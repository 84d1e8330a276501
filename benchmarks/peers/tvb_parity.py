"""TVB's own 76 regions without noise, for comparison to rounding; what it computes is in ``peers.tvb``.

Plain NumPy Euler with those conventions reproduces the float64 history to rounding. It reproduces TVB's own
history to rounding too where y1, y2 and the weights are rounded to float32, y1 - y2 is taken in float32, and
all else in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import as_file, files

import numpy as np
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator.history import NDArray, SparseHistory
from tvb.simulator.simulator import Simulator

from peers import BACKGROUND, DEFAULTS, check_scheme
from peers.tvb import integrator_of, simulator_at_rest, source_after
from peers.units import before_each_step


class DoubleHistory(SparseHistory):
    """TVB's history with everything that it stores in float64."""

    weights = NDArray(("n_node", "n_node"), "d")
    es_weights = NDArray(("n_node", "n_cvar", "n_node", "n_mode"), "d")
    nnz_weights = NDArray(("n_nnzw",), "d")
    buffer = NDArray(("n_time", "n_cvar", "n_node", "n_mode"), "d", read_only=False)
    current_state = NDArray(("n_cvar", "n_node", "n_mode"), "d", read_only=False)
    delayed_state = NDArray(("n_node", "n_cvar", "n_node", "n_mode"), "d", read_only=False)


class DoubleSimulator(Simulator):
    """TVB's simulator with that history."""

    def _configure_history(self, initial_conditions: np.ndarray | None = None) -> None:
        self.history = DoubleHistory.from_simulator(self, initial_conditions)


def connectome(n_regions: int = 76) -> Connectivity:
    """A connectome of tvb-data: weights as published (of the 76 not symmetric), tract lengths in mm."""
    with as_file(files("tvb_data") / "connectivity" / f"connectivity_{n_regions}.zip") as path:
        return Connectivity.from_file(str(path))


def parity(
    n_steps: int,
    dt: float = 1e-3,
    speed: float = np.inf,
    strength: float = 1.0,
    background: float = BACKGROUND,
    parameters: Mapping[str, float] = DEFAULTS,
    scheme: str = "euler",
    double_history: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TVB's 76 regions without noise, from zeros and a history of zeros.

    Parameters
    ----------
    speed
        Conduction speed, m/s (= mm/ms); infinite for no delays.
    strength
        Factor of all weights, G: TVB's coupling parameter ``a``.
    double_history
        Keep TVB's history in float64; False is TVB as it is, with a float32 history.

    Returns
    -------
    source
        y1 - y2, mV, shape (n_steps, 76); sample n is X_n, so the first is 0.
    weights
        w_ij without ``strength``, shape (76, 76).
    delays
        d_ij in steps, shape (76, 76).
    """
    check_scheme(scheme)
    connectivity = connectome()
    connectivity.speed = np.array([speed])
    kind = DoubleSimulator if double_history else Simulator
    integrator = integrator_of(scheme, dt, 0.0)
    simulator = simulator_at_rest(connectivity, parameters, background, integrator, strength, kind)
    source = before_each_step(source_after(simulator, n_steps))
    return source, connectivity.weights, connectivity.idelays.astype(int)
