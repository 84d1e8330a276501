"""A sealed archive that is damaged: noticed before its numbers are used, named, mended to the last byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from evidence import DAMAGES, NAME, assert_same, contents, said
from processes import jrflow

from jrflow.archive import ArchiveError, open_archive
from jrflow.archive.paths import place
from jrflow.campaign import run_campaign
from jrflow.campaign.repair import repair_archive
from jrflow.config import Config

MakeConfig = Callable[..., Config]
Undisturbed = Callable[..., Path]

DATA = ["source/c/1/0/0", "source/c/3/0/0", "n_trials/c/1", "status/c/1", "A_e/c/0", "time/c/0", "region/c/0"]
METADATA = ["zarr.json", "source/zarr.json", "status/zarr.json", "A_e/zarr.json", "time/zarr.json"]


@pytest.fixture
def sealed(tmp_path: Path, undisturbed_tiny: Undisturbed) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(undisturbed_tiny(), folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", DATA + METADATA)
def test_it_is_named_and_mended(
    sealed: Path, undisturbed_tiny: Undisturbed, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = sealed / f"{NAME}.zarr"
    before = {path: path.stat().st_mtime_ns for path in sealed.rglob("*") if path.is_file()}
    DAMAGES[damage](store / name)
    code, text = said(capsys, "archive", "verify", store)
    assert code == 1
    assert f"{name}: " in text
    assert "1 of " in text
    assert repair_archive(place(store), progress=None) == [name]
    assert_same(sealed, undisturbed_tiny())
    after = {path: path.stat().st_mtime_ns for path in sealed.rglob("*") if path.is_file()}
    changed = {path.relative_to(store).as_posix() for path in after if after[path] != before[path]}
    assert changed <= {name, *_same_shard(name)}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", DATA)
def test_wrong_numbers_are_never_handed_out(
    tiny_config: MakeConfig, sealed: Path, undisturbed_tiny: Undisturbed, name: str, damage: str
) -> None:
    """A file that is too short or gone is refused at once; a flipped bit at the latest when it is read."""
    store, right = sealed / f"{NAME}.zarr", undisturbed_tiny() / f"{NAME}.zarr"
    DAMAGES[damage](store / name)
    before = contents(sealed)
    if "flip" not in damage:
        with pytest.raises(ArchiveError, match=f"sealed but damaged:\n{name}: "):
            open_archive(store)
        with pytest.raises(ArchiveError, match="jrflow archive repair"):
            run_campaign(tiny_config(), NAME, sealed, progress=None)
    else:
        variable = name.split("/")[0]
        with pytest.raises((ValueError, RuntimeError, OSError)):
            _read(xr.open_zarr(store), variable)
        others = xr.open_zarr(store, drop_variables=[variable]).load()
        xr.testing.assert_identical(others, xr.open_zarr(right, drop_variables=[variable]).load())
    assert contents(sealed) == before


@pytest.mark.slow
def test_the_command_mends_it_too(sealed: Path, undisturbed_tiny: Undisturbed) -> None:
    store, damaged = sealed / f"{NAME}.zarr", ["source/c/1/0/0", "zarr.json"]
    for name in damaged:
        DAMAGES["flip in the middle"](store / name)
    code, text = jrflow("archive", "repair", store, "--workers", "1").ends()
    assert code == 0, text
    assert [line for line in text.splitlines() if "repaired" in line] == [
        *(f"repaired {name}" for name in damaged),
        f"{store}: 2 files repaired; all agree with the manifest",
    ]
    assert_same(sealed, undisturbed_tiny())


def _read(archive: xr.Dataset, variable: str) -> np.ndarray:
    return np.asarray(archive[variable].values)


def _same_shard(name: str) -> list[str]:
    """A shard is written whole."""
    shard = name.split("/c/")[1].split("/")[0] if name in DATA[:4] else None
    return [] if shard is None else [f"source/c/{shard}/0/0", f"n_trials/c/{shard}", f"status/c/{shard}"]
