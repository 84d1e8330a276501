"""Whatever `simulate` is given, it answers with a Dataset or with an error that says what was wrong."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import given, settings, strategies as st

import jrflow
from jrflow.model import MODEL

REST = jrflow.RestProtocol(duration=0.02, transient=0.0)
EVOKED = jrflow.EvokedProtocol(n_trials=2, isi=0.06, tmin=-0.01, tmax=0.05, transient=0.01)
BRAIN = jrflow.Connectome.synthetic(3, seed=1)
BARE = jrflow.Connectome(BRAIN.weights, names=BRAIN.names)

#: Numbers and things that are none. No size that would be possible and large: it would be simulated.
ODD = st.sampled_from(
    [0, -1, 1, 2, 1e-3, 1e5, np.nan, np.inf, -np.inf, 10**400, 2**64, True, None, "1", "", b"1", [], {},
     (1, 2), np.float32(2), np.int8(3), np.bool_(True), 1 + 1j, np.array(2.0), np.array([[1.0]]), object(),
     pd.NA, pd.NaT]
)  # fmt: skip
NAMES = st.sampled_from([*MODEL.space, "a_5", "sim", 3])
IDS = st.sampled_from([[0, 1], [9, 7], [0.5, 1], [-1, 2], [3, 3], ["a", "b"], [True, False], [1.0, 2.0]])
TWO = st.lists(st.floats(0.5, 150.0), min_size=2, max_size=2)


@st.composite
def values(draw: st.DrawFn) -> Any:
    """Values of one parameter: often right, in any container, and now and then something else."""
    pair = draw(TWO)
    attrs = {"units": draw(st.sampled_from(["mV", "1/s", "1", "V", 5]))} if draw(st.booleans()) else None
    index = draw(IDS)
    return draw(
        st.one_of(
            st.floats(0.5, 150.0),
            st.just(pair),
            st.just(pd.Series(pair, index=index)),
            st.just(xr.DataArray(pair, dims="sim", coords={"sim": index}, attrs=attrs)),
            st.just(xr.DataArray([*pair, 3.0], dims="region", coords={"region": list(BRAIN.names)[::-1]})),
            st.just(np.ma.array(pair, mask=[draw(st.booleans()), False])),
            st.just(np.full((2, 3), 3.0)),
            st.lists(ODD, max_size=3),
            ODD,
        )
    )


@st.composite
def parameters(draw: st.DrawFn) -> Any:
    mapping = draw(st.dictionaries(NAMES, values(), max_size=4))
    kind = draw(st.sampled_from(["mapping", "mapping", "mapping", "table", "dataset", "odd"]))
    if kind == "table":
        columns = draw(st.lists(NAMES, max_size=3))
        return pd.DataFrame(draw(st.lists(TWO, min_size=len(columns), max_size=len(columns)))).T.set_axis(
            columns, axis=1
        ).set_axis(draw(IDS), axis=0) if columns else pd.DataFrame(index=draw(IDS))  # fmt: skip
    if kind == "dataset":
        arrays = {name: ("sim", draw(TWO)) for name in mapping if isinstance(name, str) and name != "sim"}
        return xr.Dataset(arrays, {"sim": draw(IDS)} if arrays else None)
    return mapping if kind == "mapping" else draw(ODD)


SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "preset": st.sampled_from(["unit-consistent", "as-published", "published", ["as-published"]]) | ODD,
    "protocol": st.sampled_from([EVOKED, {"kind": "rest"}, jrflow.RestProtocol]) | ODD,
    "connectome": st.sampled_from([BRAIN, BARE, np.eye(3), [[0.0, 1.0], [1.0, 0.0]]]),
    "solver": st.sampled_from(["euler", "exp-ab4", "rk4", "heun", "rk45"]) | ODD,
    "dt": st.sampled_from([1e-3, 5e-4, 0.05, 7e-4, 1e-300, 1e300]) | ODD,
    "sfreq": st.sampled_from([1000.0, 500, 333.3, 1e-300, 1e300]) | ODD,
    "seed": st.sampled_from([3, 2**63]) | ODD,
    "precision": st.sampled_from(["float32", "float64", "float16", np.float32]) | ODD,
    "backend": st.sampled_from(["cpu", "tpu"]) | ODD,
    "max_source": st.sampled_from([1e4, 1e300]) | ODD,
    "steady_state_tolerance": st.sampled_from([1e-5, 0.5, None]) | ODD,
    "n_threads": st.sampled_from([1, 2]) | ODD,
}


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """A few settings, so that a call often gets past the first check."""
    names = draw(st.lists(st.sampled_from(list(SETTINGS)), max_size=3, unique=True))
    return {"protocol": REST} | {name: draw(SETTINGS[name]) for name in names}


@settings(max_examples=5 * settings().max_examples)
@given(parameters(), options())
def test_simulate_answers_or_says_why(given_parameters: Any, given_options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # only our own may come out
        warnings.simplefilter("ignore", jrflow.PlausibilityWarning)
        try:
            ds, refusal = jrflow.simulate(given_parameters, **given_options), ""
        except ValueError as error:
            ds, refusal = None, str(error)
    if ds is None:
        assert len(refusal) > 20
        assert "https://" not in refusal
    else:
        assert set(ds["status"].values) <= {0, 2, 3}
        assert np.isfinite(ds["source"].values[ds["status"].values == 0]).all()
        assert np.issubdtype(ds["sim"].dtype, np.int64)
