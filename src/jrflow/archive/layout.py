"""Division of the simulations of a campaign into shards, and of shards into chunks.

One task writes one shard: a file of ``source``, then ``n_trials`` (evoked responses only), ``failed_step``
(only if a simulation failed), and ``status`` as the last file. No other task writes these files, so workers
need no locks. A shard without ``status`` is simulated again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from jrflow.archive.vocabulary import (
    CAMPAIGN_KEY,
    CAMPAIGN_KEY_ATTRS,
    CREATING,
    FAILED_STEP_ATTRS,
    N_TRIALS_ATTRS,
    NOT_SIMULATED,
    REGION_ATTRS,
    SIM_ATTRS,
    SOURCE_ATTRS,
    STATUS_ATTRS,
    TIME_ATTRS,
)

#: Size of failed_step, n_trials and status of one simulation, bytes.
_BYTES_BESIDES = 4 + 4 + 1

#: Simulated variables other than the source, in the order of writing; the status is the last.
OUTCOMES = ("n_trials", "failed_step", "status")
#: Most chunks of ``source`` for which all other variables over ``sim`` have the same chunks. Dask needs about
#: 1 ms for each chunk that it reads, so a query of a million simulations in chunks of 256 takes 40 s.
ALIGNED_CHUNKS = 256

#: Fill values of simulations that have not been run; they need no file.
_FILL = {"failed_step": np.int32(-1), "n_trials": np.int32(0), "status": np.int8(NOT_SIMULATED)}
_ATTRS = {"failed_step": FAILED_STEP_ATTRS, "n_trials": N_TRIALS_ATTRS, "status": STATUS_ATTRS}

#: If a file is lost, Zarr returns the fill value and no error. Means skip NaN, but not infinity: with
#: infinity, the loss is visible in everything that is computed from the source.
_SOURCE_FILL = np.float32("inf")

#: Of the codecs in benchmarks/codecs.py, this one decodes fastest, and it compresses faster than a core
#: simulates. zstd saves 4 % of the bytes of evoked responses, but decoding takes three times as long. The
#: checksum of each chunk reveals a changed byte to every reader, including plain xarray.
SOURCE_CODECS = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4), Crc32cCodec())
_CODECS = (ZstdCodec(level=1), Crc32cCodec())

#: Simulations in a chunk of a coordinate in larger archives: 1 MB, so that a query reads few chunks, and a
#: worker reads little more than its own simulations. The file of a coordinate has places for at least this
#: many chunks: an archive that grows keeps one file for each coordinate. An empty place takes 16 bytes.
_COORDINATE_CHUNK, _ROOM = 2**17, 32


@dataclass(frozen=True)
class ShardLayout:
    """Division of the simulations of a campaign into shards, and of shards into chunks.

    Attributes
    ----------
    n_simulations, n_regions, n_times
        Shape of ``source``.
    shard_size, chunk_size
        Simulations per shard (unit of writing) and per chunk (unit of reading). The size of a shard is a
        multiple of the size of a chunk.
    aligned
        Whether all variables over ``sim`` have the chunks of ``source``: xarray then sees consistent chunks,
        but queries of large archives are slow. None: only if the archive is small.
    """

    n_simulations: int
    n_regions: int
    n_times: int
    shard_size: int
    chunk_size: int
    aligned: bool | None = None

    def __post_init__(self) -> None:
        if self.aligned is None:
            n_chunks = -(-self.n_simulations // self.chunk_size)
            object.__setattr__(self, "aligned", n_chunks <= ALIGNED_CHUNKS)  # the class is frozen

    @property
    def n_shards(self) -> int:
        """Number of shards; the last one may be partly filled."""
        return -(-self.n_simulations // self.shard_size)

    @property
    def n_files(self) -> int:
        """Largest number of data files of a full archive: without failures there is no ``failed_step``."""
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

    @property
    def simulation_bytes(self) -> int:
        """Size of one simulation before compression, bytes."""
        return self.n_regions * self.n_times * 4 + _BYTES_BESIDES

    def n_bytes(self, shards: Iterable[int]) -> int:
        """Size of some shards before compression, bytes."""
        return self.total(shards) * self.simulation_bytes


def array_metadata(design: xr.Dataset, layout: ShardLayout, key: int) -> dict[str, bytes]:
    """Metadata (zarr.json) of all arrays over ``sim`` of a store as ``create_store`` makes it, by name."""
    memory: dict[str, Any] = {}
    regions, times = [str(k) for k in range(layout.n_regions)], np.arange(layout.n_times, dtype=float)
    template = template_of(design, regions, times, layout, key)
    write_template(MemoryStore(memory), template, layout)
    over_sim = [str(name) for name, variable in template.variables.items() if "sim" in variable.dims]
    return {name: memory[f"{name}/zarr.json"].to_bytes() for name in over_sim}


def write_template(where: str | MemoryStore, template: xr.Dataset, layout: ShardLayout) -> None:
    """Write the coordinates and the metadata of a template, but no lazy variable."""
    encoding = _encoding(template, layout)
    template.to_zarr(where, mode="w", zarr_format=3, consolidated=False, compute=False, encoding=encoding)


def template_of(
    design: xr.Dataset, regions: list[str], times: np.ndarray, layout: ShardLayout, key: int | None
) -> xr.Dataset:
    """Make the Dataset of an archive, with lazy placeholders for simulated variables."""
    shape = (layout.n_simulations, layout.n_regions, layout.n_times)
    block = (layout.shard_size, layout.n_regions, layout.n_times)
    source = dask.array.full(shape, _SOURCE_FILL, chunks=block, dtype=np.float32)
    variables: dict[str, Any] = {
        name: ("sim", dask.array.full(shape[0], fill, chunks=layout.shard_size), _ATTRS[name])
        for name, fill in _FILL.items()
    }
    variables["source"] = (("sim", "region", "time"), source, SOURCE_ATTRS)
    labels = {
        # Strings of variable length, because Zarr v3 does not specify fixed-length strings of NumPy.
        "region": ("region", np.array(regions, dtype=object), REGION_ATTRS),
        "time": ("time", times, TIME_ATTRS),
    }
    template = design.set_coords(list(design.data_vars)).assign_coords(labels).assign(variables)
    template["sim"].attrs = SIM_ATTRS
    template.attrs = {"format": CREATING}
    if key is None:
        return template
    # Every simulation has the key of its campaign, so that mixed campaigns are noticed, as a fill value.
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
    # A chunk of a variable over regions has as many numbers, so it has fewer simulations.
    n_regions = layout.n_regions
    fewer = chunk if layout.aligned else max(chunk // n_regions, 1)
    wide_room = max(-(-layout.n_simulations // fewer), fewest) * fewer
    encoding |= {
        str(name): {"chunks": (fewer, n_regions), "shards": (wide_room, n_regions)}
        | small
        | {"fill_value": _lost(coordinate.dtype)}
        for name, coordinate in template.coords.items()
        if coordinate.dims == ("sim", "region")
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
    # Without a file, the fill value means that every simulation is 'not yet simulated'.
    for name, fill in _FILL.items():
        encoding[name] = outcome | {"fill_value": fill}
    if CAMPAIGN_KEY in template:
        key = template[CAMPAIGN_KEY][0].values[()]
        encoding[CAMPAIGN_KEY] = {"chunks": (chunk,), "fill_value": key, "compressors": _CODECS}
    return encoding


def _lost(dtype: np.dtype[Any]) -> Any:
    """Fill value of a coordinate, which is read if its file is lost: no coordinate has this value."""
    return dtype.type(np.nan if dtype.kind == "f" else -1)


def stored_bytes(source: np.ndarray, chunk_size: int) -> int:
    """Size of sources (n_sims, n_regions, n_times) in a store, bytes."""
    chunks = (min(chunk_size, len(source)), *source.shape[1:])
    stored = zarr.create_array(
        MemoryStore(), shape=source.shape, dtype=np.float32, chunks=chunks, compressors=SOURCE_CODECS
    )
    stored[:] = source
    return stored.nbytes_stored()
