"""The same network in jrflow, in The Virtual Brain and in VBI, number by number.

    python benchmarks/parity.py [--steps 2000]

TVB's own 76 regions from rest, without noise, in double precision. All three follow the same rules: a delay
is tract length / speed in whole steps, step n reads the others at step n - delay, and before the start there
are zeros. What remains is rounding. TVB as it is keeps its history in float32: it is shown beside, and
bounds nothing. Exits with 1 where another is more than 1e-6 mV away, or where none is there.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.resources import as_file, files
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
from peers import BACKGROUND, attempt, load
from table import Table

import jrflow
from jrflow.model.connectome import Connectome

DT, G = 1e-3, 1.0
#: m/s.
SPEEDS = (np.inf, 10.0, 3.0)
#: mV.
TOLERANCE = 1e-6


def ours(connectome: Connectome, speed: float, n_steps: int, scheme: str) -> np.ndarray:
    """jrflow's y1 - y2, mV, shape (n_steps, n_regions)."""
    ds = jrflow.simulate(
        {"G": G, "speed": speed},
        protocol=jrflow.RestProtocol(duration=n_steps * DT, transient=0.0, background=BACKGROUND),
        connectome=connectome,
        solver=scheme,
        precision="float64",
        dt=DT,
        sfreq=1 / DT,
    )
    return ds["source"].values[0].T


def tvb(double_history: bool, connectome: Connectome, speed: float, n_steps: int, scheme: str) -> np.ndarray:
    """TVB's, the same shape; it reads its connectome itself."""
    load("tvb")  # says what is missing
    parity = import_module("peers.tvb_parity").parity
    return parity(n_steps, DT, speed, strength=G, scheme=scheme, double_history=double_history)[0]


def vbi(connectome: Connectome, speed: float, n_steps: int, scheme: str) -> np.ndarray:
    """The same of VBI's C++ model."""
    peer: Any = load("vbi-cpp")
    delays = None if np.isinf(speed) else connectome.delays(speed, DT)
    return peer.parity(G * connectome.weights, delays, n_steps, DT, scheme=scheme)


def human() -> Connectome:
    """The 76 regions of tvb-data."""
    load("tvb")
    with as_file(files("tvb_data") / "connectivity" / "connectivity_76.zip") as path:
        return Connectome.from_tvb_zip(path)


@dataclass(frozen=True)
class Comparison:
    """Another tool with a scheme that is ours, at some speeds; and whether the two must agree."""

    name: str
    simulate: Callable[[Connectome, float, int, str], np.ndarray]
    scheme: str = "euler"
    speeds: tuple[float, ...] = SPEEDS
    must_agree: bool = True


COMPARISONS = (
    Comparison("TVB, history in float64", partial(tvb, True)),
    Comparison("TVB as it is", partial(tvb, False), must_agree=False),
    Comparison("VBI C++", vbi),
    # Here some delays are none, which Heun with delays cannot have in jrflow.
    Comparison("VBI C++", vbi, "heun", SPEEDS[:1]),
)


def compare(case: Comparison, connectome: Connectome, n_steps: int, table: Table) -> list[float]:
    """Fill in the lines of one comparison; the differences, mV."""
    differences = []
    for speed in case.speeds:
        theirs = case.simulate(connectome, speed, n_steps, case.scheme)
        difference = float(abs(theirs - ours(connectome, speed, n_steps, case.scheme)).max())
        table.add(case.name, case.scheme, f"{speed:g}", f"{np.ptp(theirs):.2f}", f"{difference:.1e}")
        differences.append(difference)
    return differences


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000, help="of 1 ms")
    n_steps = parser.parse_args(argv).steps
    warnings.filterwarnings("ignore", module="tvb")  # of an optional package
    connectome, reason = attempt(human)
    if connectome is None:
        print(reason)
        return 1
    title = f"jrflow and others, TVB's 76 regions, {n_steps} steps of 1 ms: largest |difference of y1 - y2|"
    table = Table(title, "scheme", "speed m/s", "range mV", "difference mV")
    binding: list[float] = []
    for case in COMPARISONS:
        differences, reason = attempt(partial(compare, case, connectome, n_steps, table))
        if differences is None:
            print(f"{case.name} is missing: {reason}")
        elif case.must_agree:
            binding += differences
    print(table)
    agree = bool(binding) and all(difference <= TOLERANCE for difference in binding)  # a NaN does not
    print(f"\n{'All' if agree else 'Not all'} in double precision agree within {TOLERANCE:g} mV.")
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main())
