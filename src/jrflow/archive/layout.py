"""The store of a campaign: dimensions, shards and the template it is created from.

A shard is what one task writes: one file of ``source``, then one of ``n_trials`` (of evoked responses), one
of ``failed_step`` (where a simulation failed), and last one of ``status``. Nobody else ever writes these
files, so workers need no locks; and a shard whose status says nothing is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
import xarray as xr
import zarr
from upath import UPath
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from jrflow.archive.attributes import CREATING, write_attributes
from jrflow.archive.place import is_local, open_array
from jrflow.archive.status import NOT_SIMULATED, STATUS_ATTRS
from jrflow.archive.variables import (
    FAILED_STEP_ATTRS,
    N_TRIALS_ATTRS,
    REGION_ATTRS,
    SIM_ATTRS,
    SOURCE_ATTRS,
    TIME_ATTRS,
)

#: Bytes a simulation takes besides its source: failed_step, n_trials, status.
_BYTES_BESIDES = 4 + 4 + 1

#: What there is of a simulation besides its source, in the order in which it is written; the status is last.
OUTCOMES = ("n_trials", "failed_step", "status")
#: What a simulation that has not been run is filled with. These values take no file.
_FILL = {"failed_step": np.int32(-1), "n_trials": np.int32(0), "status": np.int8(NOT_SIMULATED)}
_ATTRS = {"failed_step": FAILED_STEP_ATTRS, "n_trials": N_TRIALS_ATTRS, "status": STATUS_ATTRS}

#: Of those in benchmarks/codecs.py it decodes fastest, and compresses faster than a core simulates; zstd
#: saves 4 % of the bytes of evoked responses and takes three times as long to decode. With the checksum of
#: every chunk any reader notices a flipped byte, plain xarray too.
_SOURCE_CODECS = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4), Crc32cCodec())
_CODECS = (ZstdCodec(level=1), Crc32cCodec())

#: Simulations in a chunk of a coordinate: 1 MB, so that a query of all reads few, and a worker not much for
#: its own. The file of a coordinate has room for so many chunks at least: an archive that grows keeps one
#: file for each, and an empty place in it takes 16 bytes.
_COORDINATE_CHUNK, _ROOM = 2**17, 32


@dataclass(frozen=True)
class ShardLayout:
    """How the simulations of a campaign are divided into shards, and these into chunks.

    Attributes
    ----------
    n_simulations, n_regions, n_times
        Shape of ``source``.
    shard_size, chunk_size
        Simulations per shard (unit of writing) and per chunk (unit of reading), of which it is
        a multiple.
    """

    n_simulations: int
    n_regions: int
    n_times: int
    shard_size: int
    chunk_size: int

    @classmethod
    def of_store(cls, store: UPath) -> ShardLayout:
        """Read the layout of a store that exists; its shards stay as they were created."""
        source = open_array(store, "source")
        n_simulations, n_regions, n_times = source.shape
        shard_size = (source.shards or source.chunks)[0]
        return cls(n_simulations, n_regions, n_times, shard_size, source.chunks[0])

    @property
    def n_shards(self) -> int:
        """Number of shards; the last one may be partly filled."""
        return -(-self.n_simulations // self.shard_size)

    @property
    def n_files(self) -> int:
        """Most data files of a full archive; rest has no ``n_trials``, success no ``failed_step``."""
        return 4 * self.n_shards

    def simulations(self, shard: int) -> slice:
        """Ids of the simulations in a shard."""
        start = shard * self.shard_size
        return slice(start, min(start + self.shard_size, self.n_simulations))

    def size(self, shard: int) -> int:
        """Number of simulations in a shard."""
        ids = self.simulations(shard)
        return ids.stop - ids.start

    def total(self, shards: Iterable[int]) -> int:
        """Number of simulations in some shards."""
        return sum(map(self.size, shards))

    def nbytes(self, shard: int) -> int:
        """Size of a shard before compression, bytes."""
        return self.size(shard) * (self.n_regions * self.n_times * 4 + _BYTES_BESIDES)


def create_store(
    store: UPath,
    design: xr.Dataset,
    regions: list[str],
    times: np.ndarray,
    layout: ShardLayout,
    attrs: Mapping[str, Any],
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
    """
    template = _template(design, regions, times, layout)
    template.attrs = {"format": CREATING}
    unfinished = store.with_name(store.name + ".creating") if is_local(store) else store
    template.to_zarr(
        str(unfinished), mode="w", zarr_format=3, consolidated=False, compute=False,
        encoding=_encoding(template, layout),
    )  # fmt: skip
    write_attributes(unfinished, attrs)
    if is_local(store):
        unfinished.rename(store)


def _template(design: xr.Dataset, regions: list[str], times: np.ndarray, layout: ShardLayout) -> xr.Dataset:
    """The archive with lazy placeholders for what will be simulated."""
    shape = (layout.n_simulations, layout.n_regions, layout.n_times)
    block = (layout.shard_size, layout.n_regions, layout.n_times)
    source = dask.array.full(shape, np.nan, chunks=block, dtype=np.float32)
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
    return template


def _encoding(template: xr.Dataset, layout: ShardLayout) -> dict[str, dict[str, Any]]:
    """Chunks, shards and fill values.

    A parameter is one file for all simulations, in chunks.
    """
    inner = (layout.n_regions, layout.n_times)
    room = max(-(-layout.n_simulations // _COORDINATE_CHUNK), _ROOM) * _COORDINATE_CHUNK
    small = {"_FillValue": None, "compressors": _CODECS}
    encoding: dict[str, dict[str, Any]] = {
        str(name): {"chunks": (_COORDINATE_CHUNK,), "shards": (room,)} | small
        for name, coordinate in template.coords.items()
        if coordinate.dims == ("sim",)
    }
    encoding["time"] = encoding["region"] = small
    encoding["source"] = {
        "chunks": (layout.chunk_size, *inner),
        "shards": (layout.shard_size, *inner),
        "compressors": _SOURCE_CODECS,
        "fill_value": np.float32("nan"),
    }
    # The fill value alone makes every status 'not yet simulated', without a file.
    for name, fill in _FILL.items():
        encoding[name] = {"chunks": (layout.shard_size,), "fill_value": fill, "compressors": _CODECS}
    return encoding


def stored_bytes(source: np.ndarray, chunk_size: int) -> int:
    """Bytes that some sources, shape (n_sims, n_regions, n_times), take in a store."""
    chunks = (min(chunk_size, len(source)), *source.shape[1:])
    stored = zarr.create_array(
        MemoryStore(), shape=source.shape, dtype=np.float32, chunks=chunks, compressors=_SOURCE_CODECS
    )
    stored[:] = source
    return stored.nbytes_stored()
