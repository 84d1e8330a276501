"""Simulations of columns and of networks keep their bits from version to version."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features

from jrflow.model import MODEL
from jrflow.model.connectome import Connectome
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.simulation import simulate

EVOKED = EvokedProtocol(n_trials=12)
EDGES = EvokedProtocol(n_trials=3, isi=0.3, tmin=-0.05, tmax=0.25, transient=0.05, stim_duration=0.0503)
REST = RestProtocol(duration=0.5, transient=0.1, noise_sd=30.0)
BRAIN = Connectome.synthetic(7, seed=3).normalised("in-strength")
STIMULATED = EvokedProtocol(
    n_trials=3, isi=0.3, tmin=-0.05, tmax=0.25, transient=0.05, stim_duration=0.0503,
    stim_regions=BRAIN.names[:3],
)  # fmt: skip

Options = dict[str, Any]
CASES: dict[str, Options] = {
    f"{name}, {precision}": options | {"precision": precision}
    for name, options in {
        "evoked": {"protocol": EVOKED},
        "as published": {"protocol": EVOKED, "preset": "as-published"},
        "edges, heun": {"protocol": EDGES, "solver": "heun"},
        "rest": {"protocol": REST, "seed": 3},
        "rest, strang": {"protocol": REST, "seed": 3, "solver": "strang"},
        "network, no delays": {"protocol": REST, "seed": 3, "connectome": BRAIN},
        "network, delays": {"protocol": STIMULATED, "connectome": BRAIN, "parameters": {"speed": 5.0}},
    }.items()
    for precision in ("float32", "float64")
}


@cache
def sources(name: str) -> np.ndarray:
    """A few columns or networks, float32 or float64, shape (n_sims, n_regions, n_times)."""
    options = dict(CASES[name])
    defaults = MODEL.presets[options.get("preset", "unit-consistent")].defaults
    rng = np.random.default_rng(0)
    regions = (BRAIN.n_regions,) if "connectome" in options else ()
    p = {k: defaults[k] * rng.uniform(0.5, 1.5, (12, *regions)) for k in MODEL.inferred}
    if regions:
        p["G"] = rng.uniform(5.0, 15.0, 12)
    return simulate(p | options.pop("parameters", {}), **options).source.values


def digest(source: np.ndarray) -> str:
    return hashlib.sha256(source.tobytes()).hexdigest()[:16]


#: SHA-256 (its first 16 digits) and standard deviation of the sources at version 0.1 with AVX-512: columns at
#: commit c7149a6, networks at 62a1208.
STORED = {
    "evoked, float32": ("4b188619130da6a3", 14.539791107177734),
    "evoked, float64": ("f25b775db5aeef96", 14.539796737916388),
    "as published, float32": ("e18eaad70999e2d9", 3.411998748779297),
    "as published, float64": ("fb89b0e2a4550ab0", 3.411998574148683),
    "edges, heun, float32": ("f986e13349c8560e", 22.755430221557617),
    "edges, heun, float64": ("4b6c1849e4e09990", 22.75542691078809),
    "rest, float32": ("a1e3e24ad89d0296", 9.295228004455566),
    "rest, float64": ("d69fb131c7e78762", 9.295232136446124),
    "rest, strang, float32": ("87eb8e3cfd569634", 9.292570114135742),
    "rest, strang, float64": ("0cd0c6d6dca6cb25", 9.292564560660697),
    "network, no delays, float32": ("46e28b48d3fa638b", 8.34756088256836),
    "network, no delays, float64": ("3dacc1b2e6bdc24c", 8.347562835052194),
    "network, delays, float32": ("c17cd7809e4a121a", 25.140399932861328),
    "network, delays, float64": ("5ae5554df9f2ba15", 25.14040584542451),
}


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_version_0_1(name: str) -> None:
    """On any processor."""
    tolerance = 1e-5 if name.endswith("float32") else 1e-9
    assert sources(name).std() == pytest.approx(STORED[name][1], rel=tolerance)


@pytest.mark.skipif(
    "+avx512f" not in get_host_cpu_features(), reason="bits were stored on a processor with AVX-512"
)
@pytest.mark.parametrize("name", CASES)
def test_bits_are_those_of_version_0_1(name: str) -> None:
    """NumPy's exponentials, of which the coefficients are made, differ between kinds of processors."""
    assert digest(sources(name)) == STORED[name][0]
