"""The store of a campaign: created, found, or made longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from upath import UPath

from jrflow.archive.attributes import (
    FORMAT,
    created_with,
    is_half_made,
    read_specification,
    store_attributes,
)
from jrflow.archive.conventions import conventions
from jrflow.archive.design import extend_store, has_length, mend_design
from jrflow.archive.errors import ArchiveError, ArchiveMismatchError
from jrflow.archive.identity import refuse
from jrflow.archive.layout import ShardLayout
from jrflow.archive.manifest import manifest_path
from jrflow.archive.place import open_array
from jrflow.archive.space import check_memory, check_space, explain_full_disk
from jrflow.archive.template import create_store
from jrflow.config.campaigns import EXTENDABLE
from jrflow.config.config import Config
from jrflow.config.shards import shard_sizes
from jrflow.provenance import git_commit, versions
from jrflow.specification import Specification

#: Settings of the simulation that stand among a store's attributes; all of them are in its specification.
_SHOWN = ("protocol", "solver", "dt", "sfreq", "precision", "backend", "max_source")


def prepare_store(config: Config, specification: Specification, store: UPath) -> str:
    """Make sure that the store of a campaign is there, with its whole design.

    Returns
    -------
    'created', 'found', or 'extended'.

    Raises
    ------
    ArchiveMismatchError
        If a store of another campaign is in the way.
    DiskFullError
        If it cannot fit.
    """
    if not _exists(store):
        name = specification.campaign
        regions = specification.regions
        n_times = config.simulation.timing.n_times
        sizes = shard_sizes(config, name, len(regions))
        layout = ShardLayout(config.n_simulations(name), len(regions), n_times, *sizes)
        _create(specification, store, layout)
        return "created"
    specification = specification.as_begun(read_specification(store))
    design = specification.draw()
    if is_prepared(config, specification, store):
        with explain_full_disk(store, f"mending campaign {store.stem!r}"):
            mend_design(store, _labelled(specification, design))
        return "found"
    n_before = read_specification(store).n_simulations
    attrs = archive_attributes(specification, design, created_with(store))
    with explain_full_disk(store, f"extending campaign {store.stem!r}"):
        extend_store(store, design, n_before, attrs, specification.key)
    return "extended"


def is_prepared(config: Config, specification: Specification, store: UPath) -> bool:
    """Whether the store of a campaign is there, as long as it should be.

    Raises
    ------
    ArchiveMismatchError
        If it is another campaign's.
    """
    if not _exists(store):
        return False
    specification = specification.as_begun(read_specification(store))
    if check_continues(store, specification) != specification:
        return False
    # It has another length where its extension was interrupted.
    return has_length(store, specification.n_simulations)


def check_continues(store: UPath, specification: Specification) -> Specification:
    """Make sure that a store holds a campaign, or the beginning of it; return the store's specification.

    Raises
    ------
    ArchiveMismatchError
        If it holds another one; the message lists every difference. The store is left as it is.
    """
    before = read_specification(store)
    if before.identity != store_attributes(store)["config_hash"]:
        raise ArchiveError(
            f"{store / 'zarr.json'}: expected a specification that agrees with its checksum, config_hash: "
            f"it is damaged. A sealed archive is mended by: jrflow archive repair '{store}'"
        )
    _check_whole(store)
    found = before.differences(specification)
    if not found:
        return before
    if found.keys() != {"n"}:
        refuse(store, found)
    there, wanted = found["n"]
    if wanted < there or not specification.is_extendable:
        why = "be extended, and only to more simulations: of others, the first rows depend on their number"
        refuse(store, found, f"Only {', '.join(EXTENDABLE)} designs can {why}. ")
    return before


def _check_whole(store: UPath) -> None:
    """Raise an ``ArchiveMismatchError`` for a copy of a part of an archive, which cannot be continued."""
    n = store_attributes(store).get("n_simulations")
    if n is None or not (store / "sim/zarr.json").exists():  # an old archive, or a damaged one
        return
    there = open_array(store, "sim").shape[0]
    if there < n:
        raise ArchiveMismatchError(
            f"{store} is a selection of {there} of the {n} simulations of its campaign and cannot be "
            "continued. It is not overwritten: choose another folder, or rename the selection"
        )


def create_from(
    specification: Specification,
    store: UPath,
    layout: ShardLayout,
    created: Mapping[str, Any],
    *,
    keyed: bool = True,
) -> None:
    """Create the store of a campaign from its specification, as of certain versions; see ``create_store``."""
    design = specification.draw()
    attrs = archive_attributes(specification, design, created)
    if not keyed:
        del attrs["n_simulations"]
    key = specification.key if keyed else None
    create_store(store, design, specification.regions, specification.times, layout, attrs, key=key)


def archive_attributes(
    specification: Specification, design: xr.Dataset, created: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes that make a store explain itself; a worker needs nothing else.

    They hold no date: archives of one campaign made by the same versions are alike to the last byte.
    """
    simulation = specification.content["simulation"]
    return {
        "format": FORMAT,
        **conventions(specification, created["versions"]["jrflow"]),
        **design.attrs,
        "n_simulations": design.sizes["sim"],
        "campaign": specification.campaign,
        **{key: simulation[key] for key in _SHOWN},
        "n_epochs": specification.simulation.timing.n_epochs,
        "specification": specification.text,
        "config_hash": specification.identity,
        **created,
    }


def _labelled(specification: Specification, design: xr.Dataset) -> xr.Dataset:
    """A design with the names of its regions and the time of each sample."""
    regions = np.array(specification.regions, dtype=object)
    return design.assign_coords(region=("region", regions), time=("time", specification.times))


def _exists(store: UPath) -> bool:
    return store.exists() and not is_half_made(store)


def _create(specification: Specification, store: UPath, layout: ShardLayout) -> None:
    n_bytes = layout.n_simulations * layout.simulation_bytes
    check_space(store, n_bytes)
    check_memory(layout.n_simulations)
    store.parent.mkdir(parents=True, exist_ok=True)
    manifest_path(store).unlink(missing_ok=True)  # of a store that was deleted
    created = {"git_commit": git_commit(), "versions": versions()}
    with explain_full_disk(store, f"creating campaign {store.stem!r}", lambda: n_bytes):
        create_from(specification, store, layout, created)
