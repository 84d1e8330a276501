"""Adding what one machine simulated of a campaign to what another did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from upath import UPath

from jrflow.archive.attributes import read_specification
from jrflow.archive.errors import ArchiveMismatchError
from jrflow.archive.identity import check_belongs
from jrflow.archive.integrity import damaged_shards
from jrflow.archive.layout import ShardLayout
from jrflow.archive.manifest import manifest_path
from jrflow.archive.place import files, write_atomically
from jrflow.archive.shards import shard_files
from jrflow.archive.writer import pending_shards, read_shard


def add_archive(target: UPath, other: UPath, advance: Callable[[int], None] = lambda _: None) -> list[int]:
    """Copy the shards of another archive of the same campaign that this one lacks.

    Nothing is written before all is compared: shards that both have must be the same, bit for bit.

    Parameters
    ----------
    target
        Receives; it may lack shards, or be sealed already.
    other
        Gives; it is left as it is.
    advance
        Called with the number of simulations of each shard that has been copied.

    Returns
    -------
    Numbers of the shards that were copied.

    Raises
    ------
    ArchiveMismatchError
        If the two are not of one campaign with shards of one size, or a shard that both have differs.
    """
    check_belongs(other, read_specification(target))
    layout = ShardLayout.of_store(target)
    _check_layout(layout, ShardLayout.of_store(other), target, other)
    missing, absent = set(pending_shards(target)), set(pending_shards(other))
    damaged = set(damaged_shards(other, [k for k in range(layout.n_shards) if k not in absent]))
    _check_common(target, other, [k for k in range(layout.n_shards) if k not in missing | absent | damaged])
    wanted = sorted(missing - absent - damaged)
    there = {name for name, _ in files(other)}
    if wanted:
        manifest_path(target).unlink(missing_ok=True)
    for shard in wanted:
        # The status comes last: with it the shard counts as done.
        for name in shard_files(shard):
            if name in there:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target / name, (other / name).read_bytes())
        advance(layout.size(shard))
    return wanted


def _check_layout(ours: ShardLayout, theirs: ShardLayout, target: UPath, other: UPath) -> None:
    if ours != theirs:
        raise ArchiveMismatchError(
            f"{target} and {other} are of one campaign, but were divided differently: expected {ours}, found "
            f"{theirs}; simulate both with the same execution.shard_size and chunk_size"
        )


def _check_common(target: UPath, other: UPath, shards: list[int]) -> None:
    """Make sure that what both have is the same; bytes may differ where another version compressed them."""
    conflicts = [shard for shard in shards if not _same(target, other, shard)]
    if conflicts:
        raise ArchiveMismatchError(
            f"{target} and {other} both have shards {', '.join(map(str, conflicts))}, with different values: "
            "nothing was added. Look for different versions (jrflow archive info), and keep one of the two"
        )


def _same(target: UPath, other: UPath, shard: int) -> bool:
    source = shard_files(shard)[0]
    ours, theirs = read_shard(target, shard), read_shard(other, shard)
    if (target / source).read_bytes() == (other / source).read_bytes():
        del ours["source"], theirs["source"]
    return all(np.array_equal(_bits(ours[name]), _bits(theirs[name])) for name in ours)


def _bits(values: np.ndarray) -> np.ndarray:
    """Values as integers: so that NaN equals itself."""
    return values.view(np.int32) if values.dtype == np.float32 else values
