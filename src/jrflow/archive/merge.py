"""Join archives of one campaign from several machines, and seal the result when it is complete."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

import numpy as np
from upath import UPath

from jrflow.archive.errors import ArchiveMismatchError
from jrflow.archive.lock import claim_shards
from jrflow.archive.manifest import manifest_of, manifest_path
from jrflow.archive.paths import check_space, explain_full_disk, files, write_atomically
from jrflow.archive.seal import seal, sealed_by
from jrflow.archive.shards import damaged_shards, pending_shards, read_shard, shard_files
from jrflow.archive.store import Archive
from jrflow.progress import Progress


def join_archives(target: UPath, others: list[UPath], progress: TextIO | None = sys.stderr) -> list[int]:
    """Add shards of other archives of the same campaign; seal the archive if it is then complete.

    Parameters
    ----------
    target
        Archive to complete.
    others
        Archives to copy from; they are not changed.
    progress
        Where the progress is written; None for silence.

    Returns
    -------
    Shards that are still missing.

    Raises
    ------
    ArchiveMismatchError
        If the archives belong to different campaigns, or have different values for the same simulations.
    CampaignBusyError
        If another process is working on the archive.
    """
    with claim_shards(target):
        archive = Archive.open(target)
        added = {str(other): _add(archive, Archive.open(other), progress) for other in others}
        pending = pending_shards(archive)
        if not pending and manifest_of(archive) is None:
            with explain_full_disk(target, f"sealing {target.name}"):
                seal(archive, sealed_by({"added": added}))
    return pending


def add_archive(target: Archive, other: Archive, advance: Callable[[int], None]) -> list[int]:
    """Copy missing shards from another archive of the same campaign.

    All shards that exist in both archives are compared first, and must be equal to the bit.

    Parameters
    ----------
    target
        Archive to complete; it may be sealed already.
    other
        Archive to copy from; it is not changed.
    advance
        Called with the number of simulations of each shard that has been copied.

    Returns
    -------
    Numbers of the shards that were copied.

    Raises
    ------
    ArchiveMismatchError
        If the campaigns or the sizes of shards differ, or a shard differs between the archives.
    """
    other.check_belongs(target.specification)
    layout = target.layout
    if layout != other.layout:
        raise ArchiveMismatchError(
            f"{target.path} and {other.path} are of one campaign, but were divided differently: expected "
            f"{layout}, found {other.layout}; simulate both with the same execution.shard_size and chunk_size"
        )
    missing, absent = set(pending_shards(target)), set(pending_shards(other))
    damaged = set(damaged_shards(other, (k for k in range(layout.n_shards) if k not in absent)))
    _check_common(target, other, [k for k in range(layout.n_shards) if k not in missing | absent | damaged])
    wanted = sorted(missing - absent - damaged)
    there = {name for name, _ in files(other.path)}
    if wanted:
        manifest_path(target.path).unlink(missing_ok=True)
    for shard in wanted:
        # The status is the last file: with it the shard counts as done.
        for name in shard_files(shard):
            if name in there:
                (target.path / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target.path / name, (other.path / name).read_bytes())
        advance(layout.size(shard))
    return wanted


def _add(target: Archive, other: Archive, progress: TextIO | None) -> list[int]:
    """Add an archive, and show the progress."""
    layout, missing = target.layout, pending_shards(target)
    check_space(target.path, layout.n_bytes(missing))
    if progress is not None:
        for change in other.changed_versions():
            print(f"{other.path}: note: made with other versions: {change}", file=progress)
    with (
        Progress(f"adding {other.path.name}", layout.total(missing), progress) as bar,
        explain_full_disk(
            target.path, f"adding {other.path}", lambda: layout.n_bytes(pending_shards(target))
        ),
    ):
        return add_archive(target, other, bar.advance)


def _check_common(target: Archive, other: Archive, shards: list[int]) -> None:
    """Check that common shards have equal values; files may differ if another version compressed them."""
    conflicts = [shard for shard in shards if not _same(target, other, shard)]
    if conflicts:
        raise ArchiveMismatchError(
            f"{target.path} and {other.path} both have shards {', '.join(map(str, conflicts))}, with "
            "different values: nothing was added. Look for different versions (jrflow archive info), and "
            "keep one of the two"
        )


def _same(target: Archive, other: Archive, shard: int) -> bool:
    source = shard_files(shard)[0]
    ours, theirs = read_shard(target, shard), read_shard(other, shard)
    if (target.path / source).read_bytes() == (other.path / source).read_bytes():
        del ours["source"], theirs["source"]
    return all(np.array_equal(_bits(ours[name]), _bits(theirs[name])) for name in ours)


def _bits(values: np.ndarray) -> np.ndarray:
    """Values as integers, so that NaN is equal to NaN."""
    return values.view(np.int32) if values.dtype == np.float32 else values
