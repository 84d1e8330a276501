"""A Sobol analysis in parts is that of the whole, and goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.sensitivity import parts as parts_module
from jrflow.sensitivity.campaign import analyse_sobol, sobol_features
from jrflow.sensitivity.parts import join_parts, parts_of, write_part
from jrflow.stages import STAGES
from jrflow.stages.sobol import SobolSettings

#: Long enough for all features.
PROTOCOL = {"kind": "evoked", "n_trials": 2, "isi": 0.3, "tmin": -0.05, "tmax": 0.2, "transient": 0.05}
#: Settings, lead field, manifest.
Files = tuple[SobolSettings, Path, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable[..., Config]) -> Files:
    """A campaign of 176 simulations, and a lead field of two channels."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config(
        {"design": "saltelli", "n": 16},
        simulation={"protocol": PROTOCOL},
        sensitivity={"sobol": ["train"], "n_bootstrap": 20},
    )
    run_campaign(config, "train", folder / "archives", progress=None)
    return (
        STAGES["sobol"].settings(config),
        _lead_field(folder / "lead_field.nc", 2.0),
        folder / "archives/train.json",
    )


def _lead_field(path: Path, gain: float) -> Path:
    coords = {"channel": ["Cz", "Oz"], "region": ["column"]}
    gains = xr.DataArray([[gain], [-1.0]], dims=("channel", "region"), coords=coords, name="lead_field")
    gains.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def copied(files: Files, tmp_path: Path) -> Files:
    """The same campaign in a folder of the test's own."""
    for path in files[2].parent.iterdir():
        (tmp_path / "archives").mkdir(exist_ok=True)
        (tmp_path / "archives" / path.name).symlink_to(path)
    (tmp_path / "sensitivity").mkdir()
    return files[0], files[1], tmp_path / "archives/train.json"


@pytest.fixture(scope="module")
def whole(files: Files) -> tuple[xr.Dataset, xr.Dataset]:
    """Features and indices of all simulations at once."""
    settings, campaign = files[0], open_archive(files[2].with_suffix(".zarr"))
    lead_field = xr.load_dataarray(files[1], engine="h5netcdf")
    features = sobol_features(campaign, lead_field, settings)
    return features, analyse_sobol(campaign, features, settings, seed=settings.seed)


def _load(path: Path) -> xr.Dataset:
    return xr.load_dataset(path, engine="h5netcdf")


@pytest.mark.parametrize("n_parts", [1, 3, 176, 1000])
def test_every_simulation_is_in_one_part(copied: Files, n_parts: int) -> None:
    parts = parts_of(*copied, n_parts)
    ranges = [range(*map(int, part.stem.split("-"))) for part in parts]
    assert [k for each in ranges for k in each] == list(range(176))
    assert len(parts) == min(n_parts, 176)
    assert all(ranges)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [5, 16_384])
def test_features_and_indices_are_those_of_the_whole(
    copied: Files, whole: tuple[xr.Dataset, xr.Dataset], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "_AT_ONCE", at_once)
    parts = tuple(parts_of(*copied, 4))
    for part in parts:
        write_part(*copied, part)
    features = xr.concat([_load(part) for part in parts], "sim", combine_attrs="override")
    xr.testing.assert_identical(features, whole[0])
    out = copied[2].parents[1] / "sensitivity" / "train.nc"
    join_parts(*copied, parts, out)
    xr.testing.assert_identical(_load(out), whole[1])
    assert [path.name for path in out.parent.iterdir()] == ["train.nc"]


def test_what_is_there_is_taken_and_only_the_rest_made(
    copied: Files, whole: tuple[xr.Dataset, xr.Dataset]
) -> None:
    parts = tuple(parts_of(*copied, 4))
    write_part(*copied, parts[1])
    before = parts[1].stat().st_mtime_ns
    # Interrupted while it wrote: no part yet.
    parts[2].with_suffix(".partial").write_bytes(b"half of it")
    for part in parts:
        write_part(*copied, part)
    assert parts[1].stat().st_mtime_ns == before
    out = copied[2].parents[1] / "sensitivity" / "train.nc"
    join_parts(*copied, parts, out)
    xr.testing.assert_identical(_load(out), whole[1])


def test_started_again_in_another_number_of_parts(
    copied: Files, whole: tuple[xr.Dataset, xr.Dataset]
) -> None:
    """As after a change of the cluster, or on this machine after all."""
    for part in parts_of(*copied, 4)[:2]:
        write_part(*copied, part)
    out = copied[2].parents[1] / "sensitivity" / "train.nc"
    join_parts(*copied, tuple(parts_of(*copied, 3)), out)
    xr.testing.assert_identical(_load(out), whole[1])
    assert [path.name for path in out.parent.iterdir()] == ["train.nc"]


def test_parts_belong_to_what_they_were_made_of(copied: Files, tmp_path: Path) -> None:
    settings, lead_field, manifest = copied
    here = parts_of(settings, lead_field, manifest, 2)
    write_part(settings, lead_field, manifest, here[0])
    other = _lead_field(tmp_path / "other.nc", 3.0)
    there = parts_of(settings, other, manifest, 2)
    assert not set(here) & set(there)
    write_part(settings, other, manifest, there[0])
    amplitude = [_load(parts[0])["peak_amplitude"] for parts in (here, there)]
    assert (abs(amplitude[0]) < abs(amplitude[1])).any()

    elsewhere = settings.model_copy(update={"channel": "Oz"})
    assert not set(here) & set(parts_of(elsewhere, lead_field, manifest, 2))
    # What only concerns the indices leaves the features alone.
    elsewhere = settings.model_copy(update={"n_bootstrap": 30})
    assert parts_of(elsewhere, lead_field, manifest, 2) == here
