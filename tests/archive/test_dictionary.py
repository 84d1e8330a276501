"""The data dictionary in the documentation says what is in an archive."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from jrflow.archive.vocabulary import FORMAT
from jrflow.campaign import run_campaign
from jrflow.config import Config

PAGE = (Path(__file__).parents[2] / "docs/reference/data-dictionary.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5 and cells[0].startswith("`")
}
#: The page speaks of all; these are in archives of some kinds only.
NOT_ALWAYS = {"G", "speed", "p", "p_sd", "stim_rate", "stim_latency", "stim_duration", "varied"}
PRIOR = {
    "kind": "independent",
    "parameters": {name: {"low": 1, "high": 40} for name in ("A_e", "p", "p_sd", "stim_rate")}
    | {name: {"low": 0.01, "high": 0.02} for name in ("stim_latency", "stim_duration")},
}


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable[..., Config]) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("archives")
    connectome = {"kind": "synthetic", "n_regions": 3}
    simulation = {"protocol": tiny_config().simulation.protocol}
    config = tiny_config({"n": 4}, simulation=simulation, priors={"half": PRIOR})
    network = config.simulation.model_validate(
        config.simulation.model_dump(mode="json") | {"connectome": connectome}
    )
    run_campaign(config.model_copy(update={"simulation": network}), "train", folder, progress=None)
    return xr.open_zarr(folder / "train.zarr")


def test_every_variable_is_there_with_its_dims_type_and_unit(ds: xr.Dataset) -> None:
    assert set(ROWS) - set(map(str, ds.variables)) <= {"varied"}
    for name, variable in ds.variables.items():
        dims, kind, unit, _ = ROWS[str(name)]
        assert ", ".join(map(str, variable.dims)) == dims, name
        assert ("string" if variable.dtype.kind in "OTU" else variable.dtype.name) == kind, name
        assert variable.attrs.get("units", "") == unit, name


def test_meanings_are_those_of_the_store(ds: xr.Dataset) -> None:
    for name in ds.coords:
        if str(name) not in {"sim", "region", "time", *NOT_ALWAYS}:
            assert ROWS[str(name)][3] == ds[name].attrs["long_name"], name


def test_every_attribute_is_explained(ds: xr.Dataset) -> None:
    attributes = set(re.findall(r"`(\w+)`", PAGE.partition("## Attributes")[2]))
    assert set(ds.attrs) <= attributes
    assert f"`{FORMAT}`" in PAGE
