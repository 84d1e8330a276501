"""What `ds.jrflow` answers, and that a simulation it explains comes out again bit for bit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import jrflow
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.simulation import SimulationConfig
from jrflow.explanation import Explanation
from jrflow.model import MODEL
from jrflow.specification import Specification

MakeConfig = Callable[..., Config]
ROOT = Path(__file__).parents[1]

EVOKED = {"kind": "evoked", "n_trials": 3, "isi": 0.25, "tmin": -0.05, "tmax": 0.15, "transient": 0.05}
REST = {"kind": "rest", "duration": 0.1, "transient": 0.02, "background": 120.0, "noise_sd": 60.0}
NETWORK = {"kind": "synthetic", "n_regions": 5, "seed": 3, "normalise": "in-strength", "speed": 6.0}
RANGES = {"speed": {"low": 2.0, "high": 20.0}, "G": {"low": 0.0, "high": 40.0}, "A_e": {"low": 3, "high": 4}}
DELAYS = {"kind": "independent", "parameters": RANGES}
CASES: dict[str, Mapping[str, Any]] = {
    "evoked": {"protocol": EVOKED},
    "noisy rest": {"protocol": REST},
    "network": {"protocol": EVOKED | {"noise_sd": 60.0, "stim_regions": ["lh-0"]}, "connectome": NETWORK},
    "no delays": {"protocol": REST, "connectome": NETWORK | {"speed": None}},
    "float64": {"protocol": REST, "precision": "float64", "dt": 5e-4, "solver": "heun"},
    "out of range": {"protocol": EVOKED, "max_source": 50.0, "steady_state_tolerance": None},
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig) -> Callable[[str], Path]:
    """Archives of 40 simulations in shards of 16 and chunks of 4, each made once."""
    folder = tmp_path_factory.mktemp("archives")

    def make(case: str) -> Path:
        prior = DELAYS if case == "network" else {"kind": "relative-uniform"}
        config = tiny_config(
            {"n": 40}, simulation=CASES[case], priors={"half": prior},
            execution={"backend": "in-process", "shard_size": 16, "chunk_size": 4},
        )  # fmt: skip
        run_campaign(config, "train", folder / case, progress=None)
        return folder / case / "train.zarr"

    return make


@pytest.fixture
def ds(archive: Callable[[str], Path]) -> xr.Dataset:
    return xr.open_zarr(archive("evoked"))


@pytest.fixture
def network(archive: Callable[[str], Path]) -> xr.Dataset:
    return xr.open_zarr(archive("network"))


def assert_same_bits(found: xr.Dataset, expected: xr.Dataset) -> None:
    for name in ("sim", "source", "status", "failed_step", "n_trials"):
        assert found[name].dtype == expected[name].dtype
        assert found[name].values.tobytes() == expected[name].values.tobytes(), name


@pytest.mark.parametrize("case", CASES)
def test_what_is_explained_comes_out_again(archive: Callable[[str], Path], case: str) -> None:
    ds = jrflow.open_archive(archive(case))
    assert case != "out of range" or set(ds["status"].values) == {0, 3}
    for sim in (0, 21, 39):
        expected = ds.sel(sim=[sim])
        explanation = ds.jrflow.explain(sim)
        assert_same_bits(explanation.simulate(), expected)
        scope: dict[str, Any] = {}
        exec(explanation.code(), scope)
        assert_same_bits(scope["ds"], expected)


def test_an_explanation_says_it_all(network: xr.Dataset) -> None:
    explanation = network.jrflow.explain(np.int64(7))
    assert {*SimulationConfig.model_fields, "preset", "seed"} <= {f.name for f in fields(Explanation)}
    assert (explanation.sim, explanation.seed) == (7, network.attrs["seed"])
    assert (explanation.protocol.noise_sd, explanation.connectome.n_regions) == (60.0, 5)
    assert explanation.parameters == {name: float(network[name][7]) for name in explanation.parameters}
    assert list(explanation.parameters) == [*MODEL.mass, "G", "speed"]
    printed = str(explanation)
    assert printed.startswith("simulation 7 of campaign 'train'\n")
    for expected in (
        rf"A_e +{explanation.parameters['A_e']:g} mV +excitatory synaptic gain", r"b_i +50 1/s ", r"C +135 ",
        rf"speed +{explanation.parameters['speed']:g} m/s", r"protocol\.isi +0\.25 +onset-to-onset .*, s\n",
        r"sfreq +1000\.0 +sampling frequency, Hz", rf"seed +{explanation.seed} ", "versions +the same as now",
        rf"config_hash +{network.attrs['config_hash']}\n", rf"git_commit +{network.attrs['git_commit']}\n",
        r"connectome=jrflow\.Connectome\.synthetic\(5, 3\)\.normalised\('in-strength'\),\n",
    ):  # fmt: skip
        assert re.search(expected, printed), expected


def test_other_versions_are_told(ds: xr.Dataset) -> None:
    ds.attrs["versions"] = re.sub(r'"numba": "[^"]*"', '"numba": "0.1"', ds.attrs["versions"])
    assert re.search(r"versions +changed: numba 0\.1 -> [\d.]+: last digits", str(ds.jrflow.explain(0)))


def test_a_connectome_is_checked_and_written_out(network: xr.Dataset) -> None:
    specification = network.attrs["specification"]
    other = json.loads(specification.replace('"seed": 3', '"seed": 4'))
    with pytest.raises(ValueError, match="the connectome has changed"):
        replace(network.jrflow.explain(0), specification=Specification.parse(other)).simulate()
    section = {"kind": "tvb-zip", "path": "b.zip", "normalise": "max", "G": 1.0, "speed": None}
    explained = json.loads(specification) | {"simulation": {"connectome": section, "solver": "rk4"}}
    code = Explanation(0, {"speed": np.inf}, Specification.parse(explained), {}, "", "").code()
    assert "jrflow.Connectome.from_tvb_zip('b.zip').normalised('max')" in code
    assert "'speed': float('inf')" in code
    section = {
        "kind": "file",
        "path": "w.csv",
        "tract_lengths": "l.csv",
        "normalise": "max",
        "G": 1.0,
        "speed": None,
    }
    explained = json.loads(specification) | {"simulation": {"connectome": section, "solver": "rk4"}}
    code = Explanation(0, {"speed": np.inf}, Specification.parse(explained), {}, "", "").code()
    assert "jrflow.read_connectome('w.csv', 'l.csv').normalised('max')" in code


def test_selections_are_served_like_the_whole(archive: Callable[[str], Path], network: xr.Dataset) -> None:
    store = archive("network")
    expected = network.jrflow.explain(21)
    kept = f"sim == 21 or G > {float(network['G'].sel(sim=21)) + 1}"
    for part in (
        network.query(sim=kept), network.isel(sim=slice(20, 25)), network.sel(sim=[30, 21]),
        network.sel(sim=21), network.sel(region="lh-0"), network.compute(), jrflow.open_archive(store),
        xr.open_zarr(store, chunks=None),
    ):  # fmt: skip
        assert part.jrflow.explain(21) == expected
        (line,) = part.jrflow.plot_evoked(21, region="lh-0", ax=Figure().subplots()).lines[:1]
        np.testing.assert_array_equal(line.get_ydata(), network["source"].sel(sim=21, region="lh-0"))
        assert part.jrflow.parameters.loc[21, "G"] == expected.parameters["G"]


def test_only_what_is_asked_for_is_read(archive: Callable[[str], Path], tmp_path: Path) -> None:
    store = copytree(archive("evoked"), tmp_path / "train.zarr")
    for shard in (0, 2):
        (store / "source" / "c" / str(shard) / "0" / "0").write_bytes(b"no shard")
    for chunks in ({}, None):
        ds = xr.open_zarr(store, chunks=chunks)
        assert ds.jrflow.explain(20).sim == 20
        assert len(ds.jrflow.plot_evoked([20, 31], ax=Figure().subplots()).lines) == 3
        with pytest.raises(Exception):  # noqa: B017, PT011  whatever Zarr says to such a shard
            ds["source"].load()


def test_parameters_are_a_table(ds: xr.Dataset, network: xr.Dataset) -> None:
    table = ds.query(sim="A_e > 3").jrflow.parameters
    assert (table.index.name, *table) == ("sim", *MODEL.mass, "status")
    assert 0 < len(table) < 40
    for sim in table.index[[0, -1]]:
        assert table.loc[sim, "b_i"] == float(ds["b_i"].sel(sim=sim))
    assert table.attrs["units"] == {name: p.unit for name, p in MODEL.mass.items()}
    assert network.jrflow.parameters.attrs["units"]["speed"] == "m/s"
    regional = jrflow.simulate({"A_e": [[3.0, 4.0]], "b_i": 40.0}, connectome=jrflow.Connectome.synthetic(2))
    assert "A_e" not in regional.jrflow.parameters
    pd.testing.assert_frame_equal(regional.sel(sim=0).jrflow.parameters, regional.jrflow.parameters)


def test_evoked_is_that_of_the_function(ds: xr.Dataset) -> None:
    where = {axis: ("channel", [0.0, 0.05]) for axis in "xyz"}
    labels = {"channel": ["Cz", "Pz"], "region": ["column"]} | where
    gain = xr.DataArray([[1.0], [-1.0]], dims=("channel", "region"), coords=labels)
    for part in (ds, ds.sel(sim=9), ds.isel(region=0)):
        evoked = part.jrflow.to_evoked(9, lead_field=gain)
        np.testing.assert_array_equal(evoked.data, jrflow.to_evoked(ds, sim=9, lead_field=gain).data)
        assert (evoked.comment, evoked.nave) == ("sim 9", ds.attrs["n_epochs"])


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_plot_shows_sources_and_onset(ds: xr.Dataset) -> None:
    ax = ds.jrflow.plot_evoked([3, 1], ax=Figure().subplots())
    for line, sim in zip(ax.lines, (3, 1), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), ds["source"].sel(sim=sim, region="column"))
        np.testing.assert_array_equal(line.get_xdata(), ds["time"])
    assert list(ax.lines[2].get_xdata()) == [0, 0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time from stimulus onset (s)", "source (mV)")
    assert labels(ax) == ["sim 3", "sim 1"]
    assert ds.jrflow.plot_evoked(range(11), ax=Figure().subplots()).get_legend() is None


def test_a_plot_of_rest_has_no_onset(archive: Callable[[str], Path]) -> None:
    ax = xr.open_zarr(archive("noisy rest")).jrflow.plot_evoked(3, ax=Figure().subplots())
    assert (len(ax.lines), ax.get_xlabel()) == (1, "time (s)")


def test_regions_are_drawn_with_their_mean_or_by_name(network: xr.Dataset) -> None:
    ax = network.jrflow.plot_evoked([3, 1], ax=Figure().subplots())
    mean = network["source"].sel(sim=3).mean("region")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean, rtol=1e-5)
    assert len(ax.lines) == 2 * (1 + 5) + 1
    assert labels(ax) == ["sim 3, mean of 5 regions", "sim 1, mean of 5 regions"]
    ax = network.jrflow.plot_evoked(3, region=["rh-1", "lh-0"], ax=Figure().subplots())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), network["source"].sel(sim=3, region="rh-1"))
    assert labels(ax) == ["sim 3, rh-1", "sim 3, lh-0"]
    with pytest.raises(ValueError, match=r"no region 'lh-9': there are 5, \['lh-0', "):
        network.jrflow.plot_evoked(3, region="lh-9")


def test_faults_say_what_to_do(ds: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=r"a Dataset with sim, received one with nothing: take it as jrflow"):
        _ = xr.Dataset().jrflow.parameters
    with pytest.raises(ValueError, match=r"expected a Dataset with source, received one with .*status"):
        ds.drop_vars("source").jrflow.plot_evoked(0)
    with pytest.raises(ValueError, match="expected a Dataset with A_e, received"):
        ds.drop_vars("A_e").jrflow.explain(0)
    with pytest.raises(ValueError, match="no simulation with id 40: there are 40, from 0 to 39"):
        ds.jrflow.explain(40)
    with pytest.raises(ValueError, match=r"expected a simulation id, .* received 1\.5"):
        ds.jrflow.plot_evoked(1.5)
    with pytest.raises(ValueError, match="there are none in this Dataset"):
        ds.isel(sim=[]).jrflow.explain(0)
    with pytest.raises(ValueError, match=r"expected one simulation id, received \[1, 2\]"):
        ds.jrflow.explain([1, 2])
    with pytest.raises(ValueError, match="share an id"):
        xr.concat([ds, ds], "sim").jrflow.explain(0)
    with pytest.raises(ValueError, match=r"attribute 'specification' .* what jrflow\.simulate returns is"):
        jrflow.simulate().jrflow.explain(0)
    dead = ds.load().assign(source=ds["source"].where(ds["sim"] != 2))
    with pytest.raises(ValueError, match=r"no sample of the simulations \[2\] is finite"):
        dead.jrflow.plot_evoked([1, 2])


def test_simulations_of_several_campaigns_are_not_explained_by_one(
    archive: Callable[[str], Path], ds: xr.Dataset
) -> None:
    """Attributes hold for a whole Dataset, and xr.concat keeps those of the first one."""
    other = xr.open_zarr(archive("out of range")).isel(sim=slice(20, None))
    for order in ([ds.isel(sim=slice(20)), other], [other, ds.isel(sim=slice(20))]):
        mixed = xr.concat(order, "sim")
        own = int(order[0]["sim"][0])
        assert mixed.jrflow.explain(own).config_hash == order[0].attrs["config_hash"]
        with pytest.raises(ValueError, match="does not belong to campaign"):
            mixed.jrflow.explain(int(order[1]["sim"][0]))
    edited = json.dumps(json.loads(ds.attrs["specification"]) | {"preset": "as-published"})
    for attrs in ({"specification": edited}, {"config_hash": other.attrs["config_hash"]}):
        with pytest.raises(ValueError, match="do not agree"):
            ds.assign_attrs(attrs).jrflow.explain(0)
    with pytest.raises(ValueError, match="does not belong to campaign"):
        ds.assign_attrs(other.attrs).jrflow.explain(0)
    for incomplete in ("versions", "git_commit", "config_hash"):
        with pytest.raises(ValueError, match=f"expected the attribute '{incomplete}'"):
            ds.drop_attrs().assign_attrs(
                {k: v for k, v in ds.attrs.items() if k != incomplete}
            ).jrflow.explain(0)


def test_an_extended_campaign_is_the_same_campaign(archive: Callable[[str], Path], ds: xr.Dataset) -> None:
    content = json.loads(ds.attrs["specification"])
    own, longer = Specification.parse(content), Specification.parse(content | {"n": 80})
    assert own.key == longer.key == int(ds["campaign_key"][0])
    hypercube = content | {"design": "lhs"}
    assert Specification.parse(hypercube).key != Specification.parse(hypercube | {"n": 80}).key


def python(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


@pytest.mark.parametrize("order", [("import jrflow", "import xarray"), ("import xarray", "import jrflow")])
def test_the_order_of_imports_does_not_matter(order: tuple[str, str]) -> None:
    assert python("; ".join([*order, "print(type(xarray.Dataset().jrflow).__name__)"])) == "JrflowAccessor"


def test_importing_is_light() -> None:
    assert python("import jrflow, sys; print(sys.modules.keys() & {'numpy', 'xarray'})") == "set()"
    heavy = "{'jrflow.explanation', 'jrflow.simulation', 'matplotlib', 'mne', 'numba', 'pydantic'}"
    assert python(f"import jrflow, sys, xarray; print(sys.modules.keys() & {heavy})") == "set()"
