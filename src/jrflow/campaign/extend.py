"""Prepare the archive of a campaign: open it, repair its design if necessary, or extend it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import numpy as np
import xarray as xr
from upath import UPath

from jrflow.archive.errors import ArchiveError, ArchiveMismatchError
from jrflow.archive.layout import OUTCOMES, array_metadata
from jrflow.archive.manifest import manifest_path
from jrflow.archive.paths import UNREADABLE, explain_full_disk, files, is_local, read_json, write_atomically
from jrflow.archive.store import Archive, write_attributes
from jrflow.campaign.create import archive_attributes, create
from jrflow.config.campaigns import EXTENDABLE
from jrflow.config.config import Config
from jrflow.model import MODEL
from jrflow.specification import Specification

#: Simulated variables over ``sim``; all other variables over ``sim`` belong to the design.
_SIMULATED = ("source", *OUTCOMES)

State = Literal["created", "found", "extended"]


def prepare_archive(config: Config, specification: Specification, store: UPath) -> tuple[Archive, State]:
    """Create the archive of a campaign with its whole design, or complete an existing one.

    Raises
    ------
    ArchiveMismatchError
        If a store of another campaign has this name.
    DiskFullError
        If the archive does not fit on the disk.
    """
    there = Archive.find(store)
    if there is None:
        create(config, specification, store)
        return Archive.open(store), "created"
    specification = specification.as_begun(there.specification)
    design = specification.draw()
    if _continues(there, specification):
        labels = {"region": np.array(specification.regions, dtype=object), "time": specification.times}
        with explain_full_disk(store, f"repairing the design of campaign {store.stem!r}"):
            restore_design(there, design.assign_coords({name: (name, v) for name, v in labels.items()}))
        return there, "found"
    with explain_full_disk(store, f"extending campaign {store.stem!r}"):
        extend(there, specification, design)
    return Archive.open(store), "extended"


def find_archive(specification: Specification, store: UPath) -> Archive | None:
    """Open the archive of a campaign; None if it does not exist, or has fewer simulations than the campaign.

    Raises
    ------
    ArchiveMismatchError
        If a store of another campaign has this name.
    """
    archive = Archive.find(store)
    if archive is None or not _continues(archive, specification.as_begun(archive.specification)):
        return None
    return archive


def _continues(archive: Archive, specification: Specification) -> bool:
    """Whether an archive has all simulations of a campaign; False if it has only the first ones.

    Raises
    ------
    ArchiveMismatchError
        If the archive belongs to another campaign; the message lists every difference, and the store is not
        changed.
    """
    before = archive.specification
    if before.identity != archive.attributes["config_hash"]:
        raise ArchiveError(
            f"{archive.path / 'zarr.json'}: expected a specification that agrees with its checksum, "
            "config_hash: it is damaged. A sealed archive is repaired by: jrflow archive repair "
            f"'{archive.path}'"
        )
    _check_whole(archive)
    found = before.differences(specification)
    if not found:
        # After an interrupted extension it has another length.
        return _has_length(archive, specification.n_simulations)
    if found.keys() != {"n"}:
        archive.refuse(found)
    there, wanted = found["n"]
    if wanted < there or not specification.is_extendable:
        why = "be extended, and only to more simulations: of others, the first rows depend on their number"
        archive.refuse(found, f"Only {', '.join(EXTENDABLE)} designs can {why}. ")
    return False


def _check_whole(archive: Archive) -> None:
    """Raise an ``ArchiveMismatchError`` for a selection of an archive, which cannot be continued."""
    n = archive.attributes.get("n_simulations")
    if n is None or not (archive.path / "sim/zarr.json").exists():  # an old archive, or a damaged one
        return
    there = archive.array("sim").shape[0]
    if there < n:
        raise ArchiveMismatchError(
            f"{archive.path} is a selection of {there} of the {n} simulations of its campaign and cannot be "
            "continued. It is not overwritten: choose another folder, or rename the selection"
        )


def _has_length(archive: Archive, n: int) -> bool:
    """Whether every variable over ``sim`` has n values; after an interrupted extension some have fewer."""
    names = [name for name in ("sim", *MODEL.space, *_SIMULATED) if archive.has(name)]
    return all(archive.array(name).shape[0] == n for name in names)


def restore_design(archive: Archive, design: xr.Dataset) -> list[str]:
    """Write lost variables of the design and lost labels of an archive again.

    Parameters
    ----------
    archive
        The archive.
    design
        Parameters over ``sim``, drawn again for all simulations of the archive; also ``region`` and ``time``.

    Returns
    -------
    Names of the variables that were written again.

    Raises
    ------
    ArchiveMismatchError
        If the archive has a different design.
    """
    lost = [name for name, values in _columns(design).items() if not _has(archive, name, values)]
    for name in lost:
        _write_whole(archive, name, design[name].values)
    return lost


def extend(archive: Archive, specification: Specification, design: xr.Dataset) -> None:
    """Extend an archive to a longer design that begins with its own design; existing simulations stay.

    The attributes are written last: after an interruption the store still has the old ones, and a repeated
    extension gives the same result. Open the archive again afterwards.

    Parameters
    ----------
    archive
        The open archive.
    specification, design
        Specification of the longer campaign, and its parameters over ``sim``.

    Raises
    ------
    ArchiveMismatchError
        If the design does not begin with the design of the archive.
    """
    store, n_before = archive.path, archive.specification.n_simulations
    for name, values in _columns(design).items():
        _has(archive, name, values[:n_before])
    manifest_path(store).unlink(missing_ok=True)  # it described the shorter archive
    layout = replace(archive.layout, n_simulations=design.sizes["sim"], aligned=None)
    kept = {name: _outcomes(archive, name, n_before) for name in OUTCOMES}
    for name, metadata in array_metadata(design, layout, specification.key).items():
        # Small and large archives have different chunks: files with the old chunks must go.
        changed = name != "source" and not _same_grid(store, name, metadata)
        if changed:
            _remove_chunks(store, name)
        if is_local(store):
            (store / name).mkdir(exist_ok=True)
        write_atomically(store / name / "zarr.json", metadata)
        if changed and name in kept:
            Archive.open(store).array(name, "r+")[:n_before] = kept[name]
    longer = Archive.open(store)
    for name, values in _columns(design).items():
        _write_whole(longer, name, values)
    write_attributes(store, archive_attributes(specification, design, archive.created))


def _outcomes(archive: Archive, name: str, n: int) -> np.ndarray:
    """One simulated variable of the first n simulations; unreadable parts have the fill value."""
    array, shard_size = archive.array(name), archive.layout.shard_size
    values = np.full(n, array.fill_value, array.dtype)
    for start in range(0, n, shard_size):
        with suppress(*UNREADABLE):
            part = np.asarray(array[start : min(n, start + shard_size)])
            values[start : start + len(part)] = part
    return values


def _same_grid(store: UPath, name: str, metadata: bytes) -> bool:
    """Whether an array exists and has the chunks and codecs of these metadata."""
    path, keys = store / name / "zarr.json", ("chunk_grid", "codecs")
    if not path.exists():
        return False
    there, wanted = read_json(path), json.loads(metadata)
    return all(there.get(key) == wanted[key] for key in keys)


def _write_whole(archive: Archive, name: str, values: np.ndarray) -> None:
    """Write a whole variable again.

    Zarr reads a file before it changes a part of it; this fails if the file is damaged. It also keeps values
    beyond the end, which are wrong if the store was longer before.
    """
    _remove_chunks(archive.path, name)
    archive.array(name, "r+")[:] = values


def _remove_chunks(store: UPath, name: str) -> None:
    for file, _ in list(files(store / name)):
        if file.startswith("c/"):
            (store / name / file).unlink()


def _columns(design: xr.Dataset) -> dict[str, np.ndarray]:
    return {str(name): variable.values for name, variable in design.variables.items()}


def _has(archive: Archive, name: str, values: np.ndarray) -> bool:
    """Whether an archive has these values; False if some are lost.

    Raises
    ------
    ArchiveMismatchError
        If the archive has other values.
    """
    array = archive.array(name)
    try:
        stored = np.asarray(array[: len(values)])
    except UNREADABLE:
        return False
    same = stored == values
    missing = stored != stored if array.fill_value != array.fill_value else stored == array.fill_value
    if (same | missing).all():  # Zarr returns the fill value if a file is missing
        return bool(same.all())
    first = tuple(int(k) for k in np.argwhere(~same)[0])
    raise ArchiveMismatchError(
        f"{archive.path}: the values of {name!r} are not those of its design: expected {values[first]} for "
        f"simulation {first[0]}, found {stored[first]}. Other versions of numpy or scipy can draw other "
        "values: use the versions the campaign was created with, or start a new campaign"
    )
