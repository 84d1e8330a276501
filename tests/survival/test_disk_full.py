"""A disk that is full while a campaign is created, simulated or sealed, with real drivers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import fill, small_disk
from evidence import NAME, assert_nothing_twice, assert_same, contents, written
from processes import jrflow, jrflow_at_once, running, until

WriteConfig = Callable[..., Path]

#: Twenty shards with everything beside them take 0.5 MB.
SIZE = "2m"
CREATING = 60_000  # bytes; what is to be simulated would just fit, the rest of the store would not


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE) as disk:
        yield disk


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_while_simulating(
    disk: Path, write_config: WriteConfig, short: Path, undisturbed_short: Path, workers: int
) -> None:
    folder, filler = disk / "run", disk / "filler"
    config = write_config("one-worker", 314, backend="local", n_workers=1) if workers else short
    driver = jrflow("campaign", config, NAME, "--out", folder)
    with running(driver):
        until(lambda: len(written(folder)) > 2, "some shards")
        fill(filler)
        code, text = driver.ends()
    assert code == 2, text
    last = text.splitlines()[-1]
    assert last.startswith(f"jrflow: campaign '{NAME}', shard ")
    assert f"no space left for {folder / NAME}.zarr: up to " in last
    assert "Nothing is damaged: free some space and start the campaign again; what is done is" in last
    done = written(folder)
    assert 2 < len(done) < 20
    # Still full: it says so again, and harms nothing.
    code, text = jrflow_at_once("campaign", short, NAME, "--out", folder).ends()
    assert code == 2, text
    assert "free some space" in text
    assert_nothing_twice(done, folder)
    filler.unlink()
    code, text = jrflow_at_once("campaign", short, NAME, "--out", folder).ends()
    assert code == 0, text
    assert f"shards done: {len(done)} of 20" in text
    assert_nothing_twice(done, folder)
    assert_same(folder, undisturbed_short)


def test_while_sealing(disk: Path, short: Path, undisturbed_short: Path) -> None:
    folder, filler = disk / "run", disk / "filler"
    shutil.copytree(undisturbed_short, folder)
    (folder / f"{NAME}.json").unlink()
    done, before = written(folder), contents(folder)
    metadata = (folder / f"{NAME}.zarr" / "zarr.json").stat().st_size
    for leave in (0, metadata + 4096):  # neither the metadata fit, nor then the manifest
        fill(filler, leave)
        code, text = jrflow_at_once("campaign", short, NAME, "--out", folder).ends()
        assert code == 2, text
        assert f"jrflow: sealing campaign '{NAME}': no space left for {folder / NAME}.zarr" in text
        filler.unlink()
        assert contents(folder) == before
    code, text = jrflow_at_once("campaign", short, NAME, "--out", folder).ends()
    assert code == 0, text
    assert_nothing_twice(done, folder)
    assert_same(folder, undisturbed_short)


@pytest.mark.parametrize("n", [314, 30])
def test_while_creating(disk: Path, tmp_path: Path, write_config: WriteConfig, n: int, short: Path) -> None:
    """What cannot fit is refused; what is only found to be too much in the midst of it leaves no store."""
    config = write_config(f"first-{n}", n, backend="in-process")
    folder, filler = disk / "run", disk / "filler"
    fill(filler, CREATING)
    code, text = jrflow_at_once("campaign", config, NAME, "--out", folder).ends()
    assert code == 2, text
    expected = (
        "are needed for what is still to be" if n == 314 else f"creating campaign '{NAME}': no space left"
    )
    assert expected in text
    assert "free some space" in text
    assert not (folder / f"{NAME}.zarr").exists()
    filler.unlink()
    code, text = jrflow_at_once("campaign", config, NAME, "--out", folder).ends()
    assert code == 0, text
    code, text = jrflow_at_once("campaign", config, NAME, "--out", tmp_path / "undisturbed").ends()
    assert code == 0, text
    assert_same(folder, tmp_path / "undisturbed")
