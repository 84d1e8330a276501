"""Campaigns in an object store: a server that speaks S3, reached as users reach theirs, by a URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import boto3
import numpy as np
import pytest
import xarray as xr
from moto.server import ThreadedMotoServer
from upath import UPath

from jrflow.archive import ArchiveError, open_archive
from jrflow.archive.paths import files, place
from jrflow.campaign import run_campaign
from jrflow.campaign.repair import repair_archive
from jrflow.campaign.verify import verify_archive
from jrflow.cluster.dask import map_over_workers
from jrflow.config import Config
from jrflow.config.execution import ExecutionConfig
from jrflow.inference.data.dataset import read_evoked_set

MakeConfig = Callable[..., Config]
InterruptedAfter = Callable[[int], Callable[..., Iterator[int]]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # As s3fs and boto3 find their own settings; nothing of them passes through jrflow.
    reached = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with mock.patch.dict(os.environ, reached):
        boto3.client("s3").create_bucket(Bucket="archives")
        yield "s3://archives"
    server.stop()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig) -> Path:
    folder = tmp_path_factory.mktemp("local")
    run_campaign(_config(tiny_config), "train", folder, progress=None)
    return folder / "train.zarr"


@pytest.fixture(scope="module")
def remote(bucket: str, tiny_config: MakeConfig) -> UPath:
    run_campaign(_config(tiny_config), "train", f"{bucket}/whole", progress=None)
    return place(f"{bucket}/whole/train.zarr")


def _config(tiny_config: MakeConfig) -> Config:
    return tiny_config(execution={"backend": "in-process", "shard_size": 64, "chunk_size": 16})


def _contents(store: UPath) -> dict[str, bytes]:
    return {name: (store / name).read_bytes() for name, _ in files(store)}


def test_the_archive_is_the_same_to_the_last_byte(remote: UPath, local: Path) -> None:
    assert _contents(remote) == _contents(place(local))


def test_plain_xarray_and_open_archive_read_it(remote: UPath, local: Path) -> None:
    expected = xr.open_zarr(local).query(sim="A_e > 3").load()
    assert 0 < expected.sizes["sim"] < 100
    xr.testing.assert_identical(xr.open_zarr(str(remote)).query(sim="A_e > 3").load(), expected)
    xr.testing.assert_identical(open_archive(str(remote)).query(sim="A_e > 3").load(), expected)


def test_training_reads_it(remote: UPath, local: Path) -> None:
    ours, theirs = (read_evoked_set(path, 1000.0, 0.0) for path in (remote, local))
    np.testing.assert_array_equal(ours.source, theirs.source)


def test_workers_write_to_it(bucket: str, tiny_config: MakeConfig, local: Path) -> None:
    with map_over_workers(ExecutionConfig(n_workers=2, memory_per_worker="1GiB"), None) as map_shards:
        run_campaign(_config(tiny_config), "train", f"{bucket}/workers", map_shards, progress=None)
    assert _contents(place(f"{bucket}/workers/train.zarr")) == _contents(place(local))


def test_an_interrupted_campaign_goes_on(
    bucket: str, tiny_config: MakeConfig, local: Path, interrupted_after: InterruptedAfter
) -> None:
    folder = f"{bucket}/interrupted"
    with pytest.raises(KeyboardInterrupt):
        run_campaign(_config(tiny_config), "train", folder, interrupted_after(1), progress=None)
    with pytest.raises(ArchiveError, match="is not sealed: 36 of 100"):
        open_archive(f"{folder}/train.zarr")
    manifest = run_campaign(_config(tiny_config), "train", folder, progress=None)
    assert manifest.sealed["last_run"]["simulations"] == 36
    assert _contents(place(f"{folder}/train.zarr")) == _contents(place(local))


def test_a_creation_that_was_interrupted_is_begun_again(
    bucket: str, tiny_config: MakeConfig, local: Path
) -> None:
    """An object store has no folder that could be renamed at the end."""
    folder = f"{bucket}/half-made"
    with (
        mock.patch("jrflow.archive.store.write_attributes", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        run_campaign(_config(tiny_config), "train", folder, progress=None)
    assert place(f"{folder}/train.zarr").exists()
    run_campaign(_config(tiny_config), "train", folder, progress=None)
    assert _contents(place(f"{folder}/train.zarr")) == _contents(place(local))


def test_damage_is_found_and_mended(bucket: str, tiny_config: MakeConfig) -> None:
    run_campaign(_config(tiny_config), "train", f"{bucket}/damaged", progress=None)
    store = place(f"{bucket}/damaged/train.zarr")
    before = _contents(store)
    shard = store / "source/c/1/0/0"
    shard.write_bytes(shard.read_bytes()[:-1])
    (store / "status/c/0").unlink()
    faults = {finding.what for finding in verify_archive(store) if not finding.sound}
    assert faults == {"files"}
    assert repair_archive(store, progress=None) == ["source/c/1/0/0", "status/c/0"]
    assert _contents(store) == before


def test_an_unknown_kind_of_store_says_what_to_install() -> None:
    with pytest.raises(ArchiveError, match=r"nowhere://x: cannot be opened.*jrflow\[s3\]"):
        place("nowhere://x")
