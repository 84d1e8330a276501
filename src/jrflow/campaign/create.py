"""Create the store of a campaign from its specification, with descriptive metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr
from upath import UPath

from jrflow.archive.layout import ShardLayout
from jrflow.archive.manifest import manifest_path
from jrflow.archive.paths import check_memory, check_space, explain_full_disk
from jrflow.archive.store import create_store
from jrflow.archive.vocabulary import FORMAT
from jrflow.config.config import Config
from jrflow.config.shards import shard_sizes
from jrflow.model import MODEL
from jrflow.provenance import git_commit, versions
from jrflow.specification import Specification

#: Settings of the simulation that are attributes of a store; the specification contains all settings.
_SHOWN = ("protocol", "solver", "dt", "sfreq", "precision", "backend", "max_source")


def create(config: Config, specification: Specification, store: UPath) -> None:
    """Create the store of a campaign; the size of shards is configured or chosen.

    Raises
    ------
    ArchiveError, DiskFullError
        If the design does not fit into memory, or the archive does not fit on the disk.
    """
    n_regions, n_simulations = len(specification.regions), specification.n_simulations
    sizes = shard_sizes(config, specification.campaign, n_regions)
    layout = ShardLayout(n_simulations, n_regions, specification.simulation.timing.n_times, *sizes)
    n_bytes = n_simulations * layout.simulation_bytes
    check_space(store, n_bytes)
    check_memory(n_simulations)
    store.parent.mkdir(parents=True, exist_ok=True)
    manifest_path(store).unlink(missing_ok=True)  # of a store that was deleted
    created = {"git_commit": git_commit(), "versions": versions()}
    with explain_full_disk(store, f"creating campaign {store.stem!r}", lambda: n_bytes):
        create_from(specification, store, layout, created)


def create_from(
    specification: Specification,
    store: UPath,
    layout: ShardLayout,
    created: Mapping[str, Any],
    *,
    keyed: bool = True,
) -> None:
    """Create the store of a campaign with the metadata of given versions; see ``create``.

    Stores of early versions are not ``keyed``: they contain neither the key nor the length of their campaign.
    """
    design = specification.draw()
    attrs = archive_attributes(specification, design, created)
    if not keyed:
        del attrs["n_simulations"]
    key = specification.key if keyed else None
    create_store(store, design, specification.regions, specification.times, layout, attrs, key=key)


def archive_attributes(
    specification: Specification, design: xr.Dataset, created: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes that describe a store completely; a worker needs no other information.

    They contain no date: archives of one campaign by the same versions are equal to the byte.
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


def conventions(specification: Specification, version: str) -> dict[str, str]:
    """Attributes of the conventions CF and ACDD, for programs and people who do not know jrflow.

    Parameters
    ----------
    specification
        Everything that the simulations depend on.
    version
        Version of jrflow that created it.
    """
    simulation, settings = specification.simulation, specification.settings
    what = "Evoked responses" if simulation.protocol.kind == "evoked" else "Resting activity"
    of_whom = "a cortical column" if simulation.connectome is None else "networks of cortical columns"
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": f"{what} of {of_whom}: campaign {specification.campaign}",
        "summary": (
            f"{what} of {of_whom}, simulated with the {MODEL.name} neural mass model (preset "
            f"{settings.preset}) for parameters of a {settings.design} design. Each value of "
            "'sim' is one simulation; its parameters are coordinates over 'sim', its outcome is 'status'."
        ),
        "keywords": f"EEG, {MODEL.name}, neural mass model, simulation, parameter inference",
        "id": specification.identity,
        "source": f"numerical simulation of the {MODEL.name} neural mass model by jrflow {version}",
        "references": MODEL.references,
    }
