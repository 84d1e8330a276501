"""Chunks are read in whatever way they are stored, and damaged ones are found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from jrflow.archive.chunks import ShardFiles
from jrflow.archive.paths import place
from jrflow.archive.shards import damaged_shards
from jrflow.archive.store import Archive

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
    reader = ShardFiles.of(source)
    assert (reader is not None) == direct
    copy = place(tmp_path / "b.zarr")
    assert damaged_shards(Archive.open(copy), range(4)) == []
    if reader is not None:
        chunk = np.empty(source.chunks, np.float32)
        reader.read(5, chunk)
        np.testing.assert_array_equal(chunk, zarr.open_array(sealed / "source")[40:48])
    first = sorted(file for file in (copy / "source/c").rglob("*") if file.is_file())[0]
    first.write_bytes(first.read_bytes()[:-2])
    assert damaged_shards(Archive.open(copy), range(4)) == [0]


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
def test_damage_is_found_and_named(sealed: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(sealed / "source" / "c" / "1" / "0" / "0")
    assert damaged_shards(Archive.open(place(sealed)), range(4)) == [1]
    source = zarr.open_array(sealed / "source", mode="r")
    reader = ShardFiles.of(source)
    assert reader is not None
    with pytest.raises((ValueError, OSError), match=message):
        reader.read(4, np.empty(source.chunks, np.float32))
