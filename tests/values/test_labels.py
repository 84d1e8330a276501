"""Labels of parameters: ids, regions and units are used, in whatever container they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import jrflow
from jrflow.model import MODEL
from jrflow.values.units import require_unit

REST = jrflow.RestProtocol(duration=0.05, transient=0.0)
BRAIN = jrflow.Connectome.synthetic(3, seed=1)
NAMES = list(BRAIN.names)
TWO = [3.0, 4.0]


def run(parameters: Any, **options: Any) -> xr.Dataset:
    return jrflow.simulate(parameters, protocol=REST, **options)


def run_network(parameters: Any) -> xr.Dataset:
    return run(parameters, connectome=BRAIN)


def series(values: list[float], index: list[int]) -> pd.Series:
    return pd.Series(values, index=index)


def labelled(values: Any, dims: Any = "sim", attrs: Any = None, **coords: Any) -> xr.DataArray:
    return xr.DataArray(values, dims=dims, coords=coords, attrs=attrs)


def test_labels_align_values() -> None:
    given = {
        "A_e": series(TWO, [7, 9]),
        "A_i": series([30.0, 20.0], [9, 7]),
        "C": labelled([1e2, 2e2], sim=[9, 7]),
    }
    ds = run(given)
    assert ds.sim.values.tolist() == [7, 9]
    assert (ds.A_i.values.tolist(), ds.C.values.tolist()) == ([20.0, 30.0], [200.0, 100.0])
    for frame in (
        pd.DataFrame({"A_e": TWO}, [5, 3]),
        pd.DataFrame({"A_e": TWO}, pd.Index([5.0, 3.0], name="sim")),
    ):
        assert run(frame).sim.values.tolist() == [5, 3]
    assert run(pd.DataFrame(index=pd.Index([4, 2], name="sim"))).sim.values.tolist() == [4, 2]
    table = ds.jrflow.parameters  # with the column `status`
    assert run(table.iloc[::-1]).sim.values.tolist() == [9, 7]
    assert run({"A_e": series(TWO, [7, 9]), "C": [100.0, 200.0]}).C.values.tolist() == [100.0, 200.0]


def test_one_selected_simulation_keeps_its_id() -> None:
    ds = run({"A_e": series(TWO, [7, 9])})
    alone = run(ds.reset_coords()[["A_e"]].sel(sim=9))
    assert (alone.sim.values.tolist(), alone.A_e.values.tolist()) == ([9], [4.0])
    assert run({"A_e": ds.A_e.sel(sim=9)}).sim.values.tolist() == [9]


def test_regions_align_by_name() -> None:
    by_region = labelled([3.0, 4.0, 5.0], "region", region=NAMES[::-1])
    np.testing.assert_array_equal(run_network({"A_e": by_region}).A_e, [[5.0, 4.0, 3.0]])
    both = labelled([[3.0], [4.0], [5.0]], ("region", "sim"), region=NAMES[::-1], sim=[6])
    ds = run_network(xr.Dataset({"A_e": both, "G": ("sim", [2.0])}))
    np.testing.assert_array_equal(ds.A_e, [[5.0, 4.0, 3.0]])
    assert ds.sim.values.tolist() == [6]


def test_the_parameter_s_own_unit_is_accepted() -> None:
    for unit in ("mV", " mV", "millivolt"):
        assert run({"A_e": labelled(TWO, attrs={"units": unit})}).A_e.values.tolist() == TWO
    for unit in ("1/s", "s-1", "Hz", "s^-1"):
        run({"b_e": labelled([100.0], attrs={"units": unit})})


def test_every_parameter_s_own_unit_is_accepted_and_no_other() -> None:
    for name, parameter in MODEL.space.items():
        require_unit(name, labelled(TWO, attrs={"units": parameter.unit}))
        with pytest.raises(ValueError, match="expected values in"):
            require_unit(name, labelled(TWO, attrs={"units": "furlong"}))
