"""What people do with an archive in xarray: chunks, maps, and copies of a selection."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from matplotlib.figure import Figure

import jrflow
from jrflow.archive import ArchiveError, ArchiveMismatchError
from jrflow.archive.info import info
from jrflow.archive.layout import ALIGNED_CHUNKS, ShardLayout
from jrflow.archive.paths import place
from jrflow.campaign import run_campaign
from jrflow.campaign.repair import repair_archive
from jrflow.campaign.verify import verify_archive
from jrflow.cli import main
from jrflow.config import Config
from jrflow.inference.data.dataset import read_evoked_set

Select = Callable[[xr.Dataset], xr.Dataset]

#: Selections of 100 simulations that are in 13 chunks of 8, four shards of 32.
SELECTIONS: dict[str, Select] = {
    "query": lambda ds: ds.query(sim="A_e > 3.25 and status == 0"),
    "range": lambda ds: ds.isel(sim=range(10, 77)),
    "slice": lambda ds: ds.isel(sim=slice(3, 90)),
    "all": lambda ds: ds,
    "chunk": lambda ds: ds.chunk({"sim": 7}),
    "reversed": lambda ds: ds.isel(sim=slice(None, None, -1)),
    "sorted": lambda ds: ds.sortby("A_e"),
    "every seventh": lambda ds: ds.isel(sim=slice(None, None, 7)),
    "by id": lambda ds: ds.sel(sim=[80, 3, 41]),
    "time window": lambda ds: ds.sel(time=slice(0, 0.1)),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable[..., Config]) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    config = tiny_config()
    simulation = config.simulation.model_copy(update={"max_source": 60.0})  # so that some fail
    run_campaign(config.model_copy(update={"simulation": simulation}), "train", folder, progress=None)
    return folder / "train.zarr"


def test_plain_xarray_sees_consistent_chunks(path: Path) -> None:
    ds = xr.open_zarr(path)
    assert ds.chunks["sim"] == (8,) * 12 + (4,)
    means = ds.map_blocks(lambda block: block["source"].mean(("region", "time"))).compute()
    xr.testing.assert_allclose(means, ds["source"].mean(("region", "time")).compute())
    assert jrflow.open_archive(path).chunks["sim"] == ds.chunks["sim"]


def test_large_archives_keep_large_chunks_of_parameters() -> None:
    """With small ones, a query of a million simulations would take minutes."""
    assert ShardLayout(8 * ALIGNED_CHUNKS, 1, 10, 64, 8).aligned
    assert not ShardLayout(8 * ALIGNED_CHUNKS + 1, 1, 10, 64, 8).aligned


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_is_stored_by_plain_xarray(path: Path, tmp_path: Path, name: str) -> None:
    """The line that the how-to gives."""
    selection = SELECTIONS[name](xr.open_zarr(path))
    selection.to_zarr(tmp_path / "copy.zarr", align_chunks=True)
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "copy.zarr").load(), selection.load())


@pytest.mark.parametrize(
    ("name", "ending"),
    [("query", ".zarr"), ("reversed", ".zarr"), ("by id", ".zarr"), ("range", ".nc"), ("time window", ".nc")],
)
def test_an_export_is_the_selection(path: Path, tmp_path: Path, name: str, ending: str) -> None:
    selection = SELECTIONS[name](xr.open_zarr(path))
    out = tmp_path / f"copy{ending}"
    selection.jrflow.export(out)
    again = xr.open_zarr(out) if ending == ".zarr" else xr.open_dataset(out, engine="h5netcdf")
    for variable in selection.variables:
        np.testing.assert_array_equal(again[variable].values, selection[variable].values)
    assert again.attrs["specification"] == selection.attrs["specification"]
    sim = int(selection["sim"][-1])
    assert again.jrflow.explain(sim).config_hash == selection.attrs["config_hash"]
    assert [file.name for file in tmp_path.glob("*.partial")] == []


def test_one_simulation_is_exported_with_its_dims(path: Path, tmp_path: Path) -> None:
    one = jrflow.open_archive(path).isel(sim=3, region=0)
    one.jrflow.export(tmp_path / "one.zarr")
    again = jrflow.open_archive(tmp_path / "one.zarr")
    assert again["source"].shape == (1, 1, 201)
    assert again["A_e"].dims == again["status"].dims == ("sim",)
    assert again["A_e"].item() == one["A_e"].item()
    np.testing.assert_array_equal(again["source"].values[0, 0], one["source"].values)


def test_a_selection_is_opened_as_what_it_is(path: Path, tmp_path: Path) -> None:
    ds = jrflow.open_archive(path)
    chosen = ds.query(sim="A_e > 3.25")
    exported, copied = tmp_path / "exported.zarr", tmp_path / "copied.zarr"
    chosen.jrflow.export(exported)
    chosen.to_zarr(copied, align_chunks=True)
    for store in (exported, copied):
        again = jrflow.open_archive(store)
        np.testing.assert_array_equal(again["sim"], chosen["sim"])
        explained = again.jrflow.explain(int(chosen["sim"][0]))
        np.testing.assert_array_equal(explained.simulate()["source"], chosen["source"][:1])
        found = verify_archive(place(store), 2)
        assert all(finding.sound for finding in found)
        assert found[0].what == "selection"
        assert "a selection of" in info(place(store))
        with pytest.raises(ArchiveError):
            repair_archive(place(store), progress=None)
    (exported / "source/c/0/0/0").unlink()
    with pytest.raises(ArchiveError, match="source/c/0/0/0"):
        jrflow.open_archive(exported)
    assert not all(finding.sound for finding in verify_archive(place(exported)))


def test_a_selection_is_not_continued_as_a_campaign(
    path: Path, tmp_path: Path, tiny_config: Callable[..., Config]
) -> None:
    jrflow.open_archive(path).isel(sim=range(50)).to_zarr(tmp_path / "train.zarr", align_chunks=True)
    before = {p: p.read_bytes() for p in (tmp_path / "train.zarr").rglob("*") if p.is_file()}
    with pytest.raises(ArchiveMismatchError):
        run_campaign(tiny_config(), "train", tmp_path, progress=None)
    assert {p: p.read_bytes() for p in (tmp_path / "train.zarr").rglob("*") if p.is_file()} == before


def test_a_changed_parameter_of_a_selection_is_noticed(path: Path, tmp_path: Path) -> None:
    store = tmp_path / "copied.zarr"
    jrflow.open_archive(path).isel(sim=range(50)).to_zarr(store, align_chunks=True)
    zarr.open_array(store / "A_e", mode="r+")[3] = 4.0
    assert [f.what for f in verify_archive(place(store)) if not f.sound] == ["design"]


def test_failed_simulations_are_flagged_wherever_they_go(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ds = xr.open_zarr(path)
    n_failed = int((ds["status"] != 0).sum())
    assert n_failed > 0
    assert main(["archive", "export", str(path), str(tmp_path / "all.nc")]) == 0
    assert f"{n_failed} of them failed" in capsys.readouterr().out
    exported = xr.open_dataset(tmp_path / "all.nc", engine="h5netcdf")
    assert int((exported["status"] != 0).sum()) == n_failed
    failed = int(ds["sim"][ds["status"].values != 0][0])
    assert ds.jrflow.parameters["status"][failed] == 3
    with pytest.raises(ValueError, match="out_of_declared_range"):
        ds.jrflow.to_evoked(failed, lead_field=xr.DataArray())
    axes = ds.jrflow.plot_evoked(failed, ax=Figure().subplots())
    assert "out_of_declared_range" in axes.get_legend().get_texts()[0].get_text()
    assert len(read_evoked_set(path, 1000.0, 0.0).sim) == 100 - n_failed


def test_a_manifest_is_found_by_a_link_and_under_another_name(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "archives"
    shutil.copytree(path.parent, copy)
    (tmp_path / "link.zarr").symlink_to(copy / "train.zarr")
    assert jrflow.open_archive(tmp_path / "link.zarr").sizes["sim"] == 100
    (copy / "train.zarr").rename(copy / "mine.zarr")
    assert jrflow.open_archive(copy / "mine.zarr").sizes["sim"] == 100
    (copy / "mine.zarr/source/c/1/0/0").unlink()
    with pytest.raises(ArchiveError, match="source/c/1/0/0: missing"):
        jrflow.open_archive(copy / "mine.zarr")
    assert repair_archive(place(copy / "mine.zarr"), progress=None) == ["source/c/1/0/0"]


def test_a_lost_file_shows_in_what_plain_xarray_computes(path: Path, tmp_path: Path) -> None:
    """Means skip NaN, so NaN would hide it."""
    copy = tmp_path / "archives"
    shutil.copytree(path.parent, copy)
    (copy / "train.zarr/source/c/2/0/0").unlink()
    (copy / "train.zarr/b_i/c/0").unlink()
    ds = xr.open_zarr(copy / "train.zarr")
    assert np.isposinf(ds.query(sim="status == 0")["source"].mean())
    assert ds["b_i"].isnull().all()
    with pytest.raises(ArchiveError, match="source/c/2/0/0: missing"):
        ds.query(sim="A_e > 3").jrflow.check()
    xr.open_zarr(path).jrflow.check()
