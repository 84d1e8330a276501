"""Joining what several machines simulated of one campaign, and sealing it when it is complete."""

from __future__ import annotations

import sys
from typing import TextIO

from upath import UPath

from jrflow.archive.identity import changed_versions
from jrflow.archive.layout import ShardLayout
from jrflow.archive.lock import claim_shards
from jrflow.archive.manifest import read_manifest, seal
from jrflow.archive.merge import add_archive
from jrflow.archive.space import check_space, explain_full_disk
from jrflow.archive.writer import pending_shards, shard_bytes
from jrflow.campaign.run import sealed_by
from jrflow.progress import Progress


def join_archives(target: UPath, others: list[UPath], progress: TextIO | None = sys.stderr) -> list[int]:
    """Add what other archives have of the same campaign; seal the archive if that completes it.

    Parameters
    ----------
    target
        Archive that receives.
    others
        Archives that give; they are left as they are.
    progress
        Where the progress is written; None for silence.

    Returns
    -------
    Shards that are still missing.

    Raises
    ------
    ArchiveMismatchError
        If they are not of one campaign, or have different values for the same simulations.
    CampaignBusyError
        If another process is at work on the archive.
    """
    with claim_shards(target):
        added = {}
        for other in others:
            added[str(other)] = _add(target, other, progress)
        pending = pending_shards(target)
        if not pending and read_manifest(target) is None:
            with explain_full_disk(target, f"sealing {target.name}"):
                seal(target, sealed_by({"added": added}))
    return pending


def _add(target: UPath, other: UPath, progress: TextIO | None) -> list[int]:
    layout, missing = ShardLayout.of_store(target), pending_shards(target)
    check_space(target, shard_bytes(target, missing))
    if progress is not None:
        for change in changed_versions(other):
            print(f"{other}: note: made with other versions: {change}", file=progress)
    with (
        Progress(f"adding {other.name}", layout.total(missing), progress) as bar,
        explain_full_disk(target, f"adding {other}", lambda: shard_bytes(target, pending_shards(target))),
    ):
        return add_archive(target, other, bar.advance)
