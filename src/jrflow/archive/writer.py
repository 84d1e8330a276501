"""Reading a shard's design from a store and writing its simulations, whole and in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from jrflow.archive.layout import ShardLayout
from jrflow.archive.status import NOT_SIMULATED
from jrflow.model.parameters import ALL_PARAMETERS


def pending_shards(path: Path) -> list[int]:
    """Shards that are still to be simulated, in order.

    A shard is done when its file is there and none of its simulations has the status 'not yet
    simulated': the status is written after the source, so it never speaks of data that is not there.
    """
    layout = ShardLayout.of_store(path)
    status = zarr.open_array(path / "status", mode="r")[:]
    pending = np.asarray(status) == NOT_SIMULATED
    return [
        shard
        for shard in range(layout.n_shards)
        if pending[layout.simulations(shard)].any() or not _shard_file(path, shard).exists()
    ]


def shard_bytes(path: Path, shards: list[int]) -> int:
    """Size of some shards of a store before compression, bytes."""
    layout = ShardLayout.of_store(path)
    return sum(layout.nbytes(shard) for shard in shards)


def read_design(path: Path, shard: int) -> xr.Dataset:
    """Parameters of the simulations in a shard, over ``sim``, read from the store's coordinates."""
    ids = ShardLayout.of_store(path).simulations(shard)
    # G and speed are there in a network only.
    names = [name for name in ("sim", *ALL_PARAMETERS) if (path / name).exists()]
    columns = {name: ("sim", zarr.open_array(path / name, mode="r")[ids]) for name in names}
    return xr.Dataset(columns).set_coords("sim")


def write_shard(path: Path, shard: int, simulated: xr.Dataset) -> None:
    """Write all simulations of one shard: first the source, last the status that declares it done.

    Parameters
    ----------
    path
        The store.
    shard
        Number of the shard.
    simulated
        ``source`` (sim, region, time), ``n_trials``, ``failed_step`` and ``status`` (sim) of exactly the
        shard's simulations.

    Raises
    ------
    ValueError
        If the simulations are not those of the shard, or one of them has not been simulated.
    """
    layout = ShardLayout.of_store(path)
    ids = layout.simulations(shard)
    _check_aligned(simulated, ids, layout)
    # Without this a chunk of nothing but NaN would not be written, and could not be told from a loss.
    with zarr.config.set({"array.write_empty_chunks": True}):
        source = zarr.open_array(path / "source", mode="r+")
    source[ids] = simulated["source"].values.astype(np.float32, copy=False)
    # What is nothing but the fill value, such as the steps of failures where there were none, takes no file.
    for name in ("n_trials", "failed_step", "status"):
        zarr.open_array(path / name, mode="r+")[ids] = simulated[name].values


def _check_aligned(simulated: xr.Dataset, ids: slice, layout: ShardLayout) -> None:
    expected_shape = (ids.stop - ids.start, layout.n_regions, layout.n_times)
    if simulated["source"].shape != expected_shape:
        raise ValueError(f"expected source of shape {expected_shape}, received {simulated['source'].shape}")
    if not np.array_equal(simulated["sim"].values, np.arange(ids.start, ids.stop)):
        raise ValueError(
            f"expected exactly the simulations {ids.start}..{ids.stop - 1} in order: a shard is written "
            "whole, by one task; give write_shard what simulate returned for read_design of the same shard"
        )
    if (simulated["status"].values == NOT_SIMULATED).any():
        raise ValueError(f"status {NOT_SIMULATED} ('not yet simulated') cannot be written to a shard")


def _shard_file(path: Path, shard: int) -> Path:
    return path / "source" / "c" / str(shard) / "0" / "0"
