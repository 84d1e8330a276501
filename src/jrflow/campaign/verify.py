"""Verify an archive: its files, simulations and provenance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from upath import UPath

from jrflow.archive.dataset import described, is_selection
from jrflow.archive.manifest import Manifest, compare, find_manifest, load_manifest
from jrflow.archive.paths import UNREADABLE, files
from jrflow.archive.shards import damaged_shards, pending_shards, read_design, read_status
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import NOT_SIMULATED, STATUS_MEANINGS, count_statuses
from jrflow.campaign.shard import simulate_design


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    what
        Name of the check: files, simulations, ...
    sound
        Whether no fault was found.
    text
        Description of the result.
    """

    what: str
    sound: bool
    text: str


def verify_archive(store: UPath, n_simulate: int = 0) -> list[Finding]:
    """Run all checks of an archive.

    Parameters
    ----------
    store
        The archive, sealed or not.
    n_simulate
        Number of simulations, spread over the archive, that are run again and compared bit for bit.

    Raises
    ------
    ArchiveError
        If the path is not an archive.
    """
    path = find_manifest(store)
    # The manifest is decisive even if the attributes of the store are damaged or different.
    manifest = load_manifest(path) if store.exists() and path is not None else None
    if manifest is not None:
        found = [*_files(store, manifest)]
        if not all(finding.sound for finding in found if finding.what == "files"):
            return found
    archive = Archive.open(store)
    if manifest is None:
        selection = is_selection(archive.read("sim").reshape(-1), archive.attributes)
        found = [*(_copied(archive) if selection else _unsealed(archive))]
    else:
        selection = manifest.is_selection
    found += [
        *_simulations(archive, manifest),
        _provenance(archive, manifest),
        _design(archive, selection=selection),
    ]
    if n_simulate:
        found.append(_again(archive, n_simulate))
    return found


def _copied(archive: Archive) -> Iterator[Finding]:
    """A selection that xarray wrote, without checksums."""
    what = described(archive.read("sim"), archive.attributes)
    text = f"{what}; without a manifest a lost file is not noticed: write selections with ds.jrflow.export"
    yield Finding("selection", sound=True, text=text)


def _unsealed(archive: Archive) -> Iterator[Finding]:
    n_shards, pending = archive.layout.n_shards, pending_shards(archive)
    done = [shard for shard in range(n_shards) if shard not in pending]
    damaged = damaged_shards(archive, done)
    text = f"not sealed: {len(done)} of {n_shards} shards are done; start its campaign again to finish it"
    yield Finding("manifest", sound=False, text=text)
    if damaged:
        text = (
            f"shards that cannot be read: {', '.join(map(str, damaged))}; the next start simulates them again"
        )
        yield Finding("shards", sound=False, text=text)


def _files(store: UPath, manifest: Manifest) -> Iterator[Finding]:
    what = "a selection, not a sealed archive" if manifest.is_selection else "sealed"
    text = f"{what} {manifest.sealed_at}".rstrip()
    yield Finding("selection" if manifest.is_selection else "manifest", sound=True, text=text)
    faults, n_files = compare(store, manifest), len(manifest.files)
    if faults:
        lines = [f"{name}: {fault}" for name, fault in faults.items()]
        text = "\n  ".join(
            [f"{len(faults)} of {n_files} are damaged; jrflow archive repair restores them", *lines]
        )
        yield Finding("files", sound=False, text=text)
    else:
        yield Finding(
            "files", sound=True, text=f"all {n_files} are there, with the checksums of the manifest"
        )
    strays = [name for name, _ in files(store) if name not in manifest.files]
    if strays:
        yield Finding(
            "strays",
            sound=True,
            text=f"{len(strays)} files that do not belong to the archive: {', '.join(strays[:5])}",
        )


def _simulations(archive: Archive, manifest: Manifest | None) -> Iterator[Finding]:
    counts = count_statuses(read_status(archive))
    text = ", ".join(f"{n} {meaning}" for meaning, n in counts.items() if n)
    sound = counts[STATUS_MEANINGS[NOT_SIMULATED]] == 0
    if manifest is not None and counts != manifest.counts:
        sound, text = False, f"{text}; the manifest says {manifest.counts}"
    yield Finding("simulations", sound=sound, text=text)


def _provenance(archive: Archive, manifest: Manifest | None) -> Finding:
    attrs, specification = archive.attributes, archive.specification
    digest = specification.identity
    if digest != attrs["config_hash"]:
        text = f"config_hash is {attrs['config_hash'][:12]}, but the specification's is {digest[:12]}"
        return Finding("provenance", sound=False, text=text)
    described = (specification.content, attrs["config_hash"])
    if manifest is not None and (manifest.specification, manifest.config_hash) != described:
        return Finding("provenance", sound=False, text="the manifest is that of another archive")
    return Finding(
        "provenance", sound=True, text=f"specification {digest[:12]}, commit {attrs['git_commit'][:12]}"
    )


def _design(archive: Archive, *, selection: bool) -> Finding:
    """Whether the parameters are those of the specification."""
    design = archive.specification.draw()
    if selection:
        ids = archive.read("sim").reshape(-1)
        design = design.isel(sim=ids[(ids >= 0) & (ids < design.sizes["sim"])])
    differing = [
        str(name)
        for name, variable in design.variables.items()
        if not _is_stored(archive, str(name), variable.values)
    ]
    if differing:
        names = ", ".join(differing)
        text = (
            f"drawn again, {names} differ: damaged, changed, or drawn with other versions of numpy or scipy"
        )
        return Finding("design", sound=False, text=text)
    return Finding("design", sound=True, text="drawn again from the specification: the same")


def _is_stored(archive: Archive, name: str, values: np.ndarray) -> bool:
    """Whether a variable can be read and has these values."""
    try:
        return np.array_equal(archive.read(name), values)
    except UNREADABLE:
        return False


def _again(archive: Archive, n: int) -> Finding:
    """Run some simulations again."""
    done = np.flatnonzero(read_status(archive) != NOT_SIMULATED)
    chosen = np.unique(done[np.linspace(0, len(done) - 1, min(n, len(done))).astype(int)])
    source = archive.array("source")
    differing = []
    for k in chosen.tolist():
        design = read_design(archive, slice(k, k + 1))
        again = simulate_design(archive.specification, design)["source"].values
        if not np.array_equal(np.asarray(source[k : k + 1]), again.astype(np.float32), equal_nan=True):
            differing.append(str(k))
    if differing:
        text = f"simulations {', '.join(differing)} of {len(chosen)} differ when they are run again"
        return Finding("simulated again", sound=False, text=text)
    return Finding("simulated again", sound=True, text=f"{len(chosen)} simulations: the same, bit for bit")
