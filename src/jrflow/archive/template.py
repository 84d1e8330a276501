"""The template of a campaign's store: its arrays with chunks, shards, codecs and fill values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dask.array
import numpy as np
import xarray as xr
import zarr
from upath import UPath
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from jrflow.archive.attributes import CREATING, write_attributes
from jrflow.archive.layout import ALIGNED_CHUNKS, ShardLayout
from jrflow.archive.place import is_local
from jrflow.archive.status import NOT_SIMULATED, STATUS_ATTRS
from jrflow.archive.variables import (
    CAMPAIGN_KEY,
    CAMPAIGN_KEY_ATTRS,
    FAILED_STEP_ATTRS,
    N_TRIALS_ATTRS,
    REGION_ATTRS,
    SIM_ATTRS,
    SOURCE_ATTRS,
    TIME_ATTRS,
)

#: What a simulation that has not been run is filled with. These values take no file.
_FILL = {"failed_step": np.int32(-1), "n_trials": np.int32(0), "status": np.int8(NOT_SIMULATED)}
_ATTRS = {"failed_step": FAILED_STEP_ATTRS, "n_trials": N_TRIALS_ATTRS, "status": STATUS_ATTRS}

#: Zarr answers with the fill value, and not with an error, where a file is lost. Means skip NaN, but not
#: infinity: so the loss shows in whatever is computed from the source.
_SOURCE_FILL = np.float32("inf")

#: Of those in benchmarks/codecs.py it decodes fastest, and compresses faster than a core simulates; zstd
#: saves 4 % of the bytes of evoked responses and takes three times as long to decode. With the checksum of
#: every chunk any reader notices a flipped byte, plain xarray too.
SOURCE_CODECS = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4), Crc32cCodec())
_CODECS = (ZstdCodec(level=1), Crc32cCodec())

#: In larger archives, simulations in a chunk of a coordinate: 1 MB, so that a query reads few chunks, and a
#: worker little more than its own simulations. The file of a coordinate has room for this many chunks at
#: least: an archive that grows keeps one file for each, and an empty place in it takes 16 bytes.
_COORDINATE_CHUNK, _ROOM = 2**17, 32


def create_store(
    store: UPath,
    design: xr.Dataset,
    regions: list[str],
    times: np.ndarray,
    layout: ShardLayout,
    attrs: Mapping[str, Any],
    *,
    key: int | None = None,
) -> None:
    """Create a store with all coordinates written and every status 'not yet simulated'.

    In a file system it appears under its name only when it is complete; in an object store its attributes, by
    which it is known, say so last.

    Parameters
    ----------
    store
        Where; must not exist, or be half made.
    design
        Parameters over ``sim``, as made by ``jrflow.design.make_design``.
    regions, times
        Names of the regions; time of each sample, s.
    layout
        Shards and chunks.
    attrs
        Attributes of the store.
    key
        Key of the campaign, which every simulation names (``campaign_key``); older archives lack it.
    """
    unfinished = store.with_name(store.name + ".creating") if is_local(store) else store
    _write_template(str(unfinished), _template(design, regions, times, layout, key), layout)
    write_attributes(unfinished, attrs)
    if is_local(store):
        unfinished.rename(store)


def array_metadata(design: xr.Dataset, layout: ShardLayout, key: int) -> dict[str, bytes]:
    """Metadata (zarr.json) of all arrays over ``sim`` of a store as ``create_store`` makes it, by name."""
    memory: dict[str, Any] = {}
    regions, times = [str(k) for k in range(layout.n_regions)], np.arange(layout.n_times, dtype=float)
    template = _template(design, regions, times, layout, key)
    _write_template(MemoryStore(memory), template, layout)
    over_sim = [str(name) for name, variable in template.variables.items() if "sim" in variable.dims]
    return {name: memory[f"{name}/zarr.json"].to_bytes() for name in over_sim}


def _write_template(where: str | MemoryStore, template: xr.Dataset, layout: ShardLayout) -> None:
    encoding = _encoding(template, layout)
    template.to_zarr(where, mode="w", zarr_format=3, consolidated=False, compute=False, encoding=encoding)


def _template(
    design: xr.Dataset, regions: list[str], times: np.ndarray, layout: ShardLayout, key: int | None
) -> xr.Dataset:
    """The archive with lazy placeholders for what will be simulated."""
    shape = (layout.n_simulations, layout.n_regions, layout.n_times)
    block = (layout.shard_size, layout.n_regions, layout.n_times)
    source = dask.array.full(shape, _SOURCE_FILL, chunks=block, dtype=np.float32)
    variables: dict[str, Any] = {
        name: ("sim", dask.array.full(shape[0], fill, chunks=layout.shard_size), _ATTRS[name])
        for name, fill in _FILL.items()
    }
    variables["source"] = (("sim", "region", "time"), source, SOURCE_ATTRS)
    labels = {
        # Strings of variable length: the fixed-length ones of NumPy have no Zarr v3 specification.
        "region": ("region", np.array(regions, dtype=object), REGION_ATTRS),
        "time": ("time", times, TIME_ATTRS),
    }
    template = design.set_coords(list(design.data_vars)).assign_coords(labels).assign(variables)
    template["sim"].attrs = SIM_ATTRS
    template.attrs = {"format": CREATING}
    if key is None:
        return template
    # Every simulation names its campaign, so that mixed campaigns are noticed. The fill value alone does it.
    keys = dask.array.full(layout.n_simulations, np.int32(key), chunks=-1)
    return template.assign({CAMPAIGN_KEY: ("sim", keys, CAMPAIGN_KEY_ATTRS)})


def _encoding(template: xr.Dataset, layout: ShardLayout) -> dict[str, dict[str, Any]]:
    """Chunks, shards and fill values.

    A parameter is one file for all simulations, in chunks.
    """
    inner = (layout.n_regions, layout.n_times)
    chunk, fewest = (layout.chunk_size, ALIGNED_CHUNKS) if layout.aligned else (_COORDINATE_CHUNK, _ROOM)
    room = max(-(-layout.n_simulations // chunk), fewest) * chunk
    small = {"_FillValue": None, "compressors": _CODECS}
    encoding: dict[str, dict[str, Any]] = {
        str(name): {"chunks": (chunk,), "shards": (room,), "fill_value": _lost(coordinate.dtype)} | small
        for name, coordinate in template.coords.items()
        if coordinate.dims == ("sim",)
    }
    encoding["time"] = small | {"fill_value": _lost(template["time"].dtype)}
    encoding["region"] = small
    encoding["source"] = {
        "chunks": (layout.chunk_size, *inner),
        "shards": (layout.shard_size, *inner),
        "compressors": SOURCE_CODECS,
        "fill_value": _SOURCE_FILL,
    }
    whole = {"chunks": (layout.chunk_size,), "shards": (layout.shard_size,)}
    outcome = (whole if layout.aligned else {"chunks": (layout.shard_size,)}) | {"compressors": _CODECS}
    # The fill value alone makes every status 'not yet simulated', without a file.
    for name, fill in _FILL.items():
        encoding[name] = outcome | {"fill_value": fill}
    if CAMPAIGN_KEY in template:
        key = template[CAMPAIGN_KEY][0].values[()]
        encoding[CAMPAIGN_KEY] = {"chunks": (chunk,), "fill_value": key, "compressors": _CODECS}
    return encoding


def _lost(dtype: np.dtype[Any]) -> Any:
    """What a coordinate reads as where its file is lost: a value that no coordinate has."""
    return dtype.type(np.nan if dtype.kind == "f" else -1)


def stored_bytes(source: np.ndarray, chunk_size: int) -> int:
    """Bytes that some sources, shape (n_sims, n_regions, n_times), take in a store."""
    chunks = (min(chunk_size, len(source)), *source.shape[1:])
    stored = zarr.create_array(
        MemoryStore(), shape=source.shape, dtype=np.float32, chunks=chunks, compressors=SOURCE_CODECS
    )
    stored[:] = source
    return stored.nbytes_stored()
