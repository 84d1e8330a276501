"""Chunks read in whatever way they are stored, and what is said of those that cannot be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from jrflow.archive import ArchiveError
from jrflow.archive.batches import Batch, Batches
from jrflow.archive.chunks import ShardFiles, ThroughZarr, chunk_reader

BLOSC = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4)


def recompressed(path: Path, copy: Path, **options: Any) -> zarr.Array:
    """A copy of an archive, its source stored in another way."""
    shutil.copytree(path, copy)
    shutil.copy(path.with_suffix(".json"), copy.with_suffix(".json"))
    source = zarr.open_array(path / "source", mode="r")
    how = {"chunks": source.chunks, "shards": source.shards, "fill_value": np.float32("nan")} | options
    other = zarr.create_array(
        str(copy), name="source", shape=source.shape, dtype=source.dtype, overwrite=True, **how
    )
    other[:] = source[:]
    return other


@pytest.mark.parametrize(
    ("options", "direct"),
    [
        ({"compressors": BLOSC}, True),
        ({"compressors": BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=4)}, True),
        ({"compressors": (BLOSC, Crc32cCodec())}, True),
        ({"compressors": ZstdCodec()}, False),
        ({"compressors": None}, False),
        ({"compressors": BLOSC, "shards": None}, False),
        ({"compressors": BLOSC, "chunks": (8, 1, 6)}, False),
    ],
)
def test_other_ways_of_storing(sealed: Path, tmp_path: Path, options: dict[str, Any], direct: bool) -> None:
    source = recompressed(sealed, tmp_path / "b.zarr", **options)
    assert isinstance(chunk_reader(source), ShardFiles if direct else ThroughZarr)
    batches = Batches(tmp_path / "b.zarr", 40, seed=0)
    everything = Batch(*(np.concatenate(part) for part in zip(*batches.epoch(0), strict=True)))
    np.testing.assert_array_equal(everything.source, zarr.open_array(sealed / "source")[:][everything.sim])


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "No such file"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "checksum"),
        (lambda file: flip(file, -9), "checksum"),
        (lambda file: flip(file, 4), "checksum"),
    ],
)
def test_damage_names_the_chunk(sealed: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(sealed / "source" / "c" / "1" / "0" / "0")
    with pytest.raises(ArchiveError, match=rf"train\.zarr: chunk [4-7] of source \(rows .*{message}"):
        list(Batches(sealed, 4, seed=0).epoch(0))


def test_chunk_that_was_never_written(sealed: Path) -> None:
    recompressed(sealed, sealed.with_name("b.zarr"), shards=None, compressors=None)
    shutil.rmtree(sealed.with_name("b.zarr") / "source" / "c" / "5")
    with pytest.raises(ArchiveError, match=r"chunk 5 of source \(rows 40 to 47\).*not finite"):
        list(Batches(sealed.with_name("b.zarr"), 4, seed=0).epoch(0))
