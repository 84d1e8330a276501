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
from jrflow.archive.errors import ArchiveError
from jrflow.archive.identity import differences, refuse
from jrflow.archive.layout import ShardLayout, create_store
from jrflow.archive.manifest import manifest_path
from jrflow.archive.space import check_space, explain_full_disk
from jrflow.config.campaigns import EXTENDABLE
from jrflow.config.config import Config
from jrflow.config.shards import shard_sizes
from jrflow.config.simulation import SimulationConfig
from jrflow.provenance import content_hash, git_commit, versions
from jrflow.simulation import COLUMN
from jrflow.specification import connectome_of, design_from

#: Settings of the simulation that stand among a store's attributes; all of them are in its specification.
_SHOWN = ("protocol", "solver", "dt", "sfreq", "precision", "backend", "max_source")


def prepare_store(config: Config, specification: Mapping[str, Any], store: UPath) -> str:
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
        name = specification["campaign"]
        regions = regions_of(specification)
        n_times = config.simulation.timing.n_times
        sizes = shard_sizes(config, name, len(regions))
        layout = ShardLayout(config.n_simulations(name), len(regions), n_times, *sizes)
        _create(specification, store, layout)
        return "created"
    design = design_from(specification)
    if is_prepared(config, specification, store):
        with explain_full_disk(store, f"mending campaign {store.stem!r}"):
            mend_design(store, _labelled(specification, design))
        return "found"
    n_before = design_from(read_specification(store)).sizes["sim"]
    attrs = archive_attributes(specification, design.attrs, created_with(store))
    with explain_full_disk(store, f"extending campaign {store.stem!r}"):
        extend_store(store, design, n_before, attrs)
    return "extended"


def is_prepared(config: Config, specification: Mapping[str, Any], store: UPath) -> bool:
    """Whether the store of a campaign is there, as long as it should be.

    Raises
    ------
    ArchiveMismatchError
        If it is another campaign's.
    """
    if not _exists(store) or check_continues(store, specification) != specification:
        return False
    # It has another length where its extension was interrupted.
    return has_length(store, config.n_simulations(specification["campaign"]))


def check_continues(store: UPath, specification: Mapping[str, Any]) -> dict[str, Any]:
    """Make sure that a store holds a campaign, or the beginning of it; return the store's specification.

    Raises
    ------
    ArchiveMismatchError
        If it holds another one; the message lists every difference. The store is left as it is.
    """
    before = read_specification(store)
    if content_hash(before) != store_attributes(store)["config_hash"]:
        raise ArchiveError(
            f"{store / 'zarr.json'}: expected a specification that agrees with its checksum, config_hash: "
            f"it is damaged. A sealed archive is mended by: jrflow archive repair '{store}'"
        )
    found = differences(before, specification)
    if not found:
        return before
    if found.keys() != {"n"}:
        refuse(store, found)
    there, wanted = found["n"]
    if wanted < there or specification["design"] not in EXTENDABLE:
        why = "be extended, and only to more simulations: of others, the first rows depend on their number"
        refuse(store, found, f"Only {', '.join(EXTENDABLE)} designs can {why}. ")
    return before


def regions_of(specification: Mapping[str, Any]) -> list[str]:
    """Names of the regions of a campaign."""
    connectome = connectome_of(specification)
    return [COLUMN] if connectome is None else list(connectome.names)


def create_from(
    specification: Mapping[str, Any], store: UPath, layout: ShardLayout, created: Mapping[str, Any]
) -> None:
    """Create the store of a campaign from its specification, as of certain versions."""
    design = design_from(specification)
    attrs = archive_attributes(specification, design.attrs, created)
    create_store(store, design, regions_of(specification), _times_of(specification), layout, attrs)


def archive_attributes(
    specification: Mapping[str, Any], design_attrs: Mapping[str, Any], created: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes that make a store explain itself; a worker needs nothing else.

    They hold no date: archives of one campaign made by the same versions are alike to the last byte.
    """
    simulation = specification["simulation"]
    settings = SimulationConfig.model_validate(simulation)
    return {
        "format": FORMAT,
        **conventions(specification, created["versions"]["jrflow"]),
        **design_attrs,
        "campaign": specification["campaign"],
        **{key: simulation[key] for key in _SHOWN},
        "n_epochs": settings.timing.n_epochs,
        "specification": specification,
        "config_hash": content_hash(specification),
        **created,
    }


def _labelled(specification: Mapping[str, Any], design: xr.Dataset) -> xr.Dataset:
    """A design with the names of its regions and the time of each sample."""
    regions = np.array(regions_of(specification), dtype=object)
    return design.assign_coords(region=("region", regions), time=("time", _times_of(specification)))


def _times_of(specification: Mapping[str, Any]) -> np.ndarray:
    """Time of each sample, s."""
    return SimulationConfig.model_validate(specification["simulation"]).timing.times


def _exists(store: UPath) -> bool:
    return store.exists() and not is_half_made(store)


def _create(specification: Mapping[str, Any], store: UPath, layout: ShardLayout) -> None:
    n_bytes = sum(layout.nbytes(shard) for shard in range(layout.n_shards))
    check_space(store, n_bytes)
    store.parent.mkdir(parents=True, exist_ok=True)
    manifest_path(store).unlink(missing_ok=True)  # of a store that was deleted
    created = {"git_commit": git_commit(), "versions": versions()}
    with explain_full_disk(store, f"creating campaign {store.stem!r}", lambda: n_bytes):
        create_from(specification, store, layout, created)
