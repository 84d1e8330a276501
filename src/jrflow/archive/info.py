"""Description of an archive on one page."""

from __future__ import annotations

from collections.abc import Iterator

from jrflow.archive.dataset import described, is_selection
from jrflow.archive.manifest import manifest_of
from jrflow.archive.paths import AnyPath, files
from jrflow.archive.shards import pending_shards, read_status
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import count_statuses
from jrflow.config.sizes import readable
from jrflow.model import MODEL


def info(path: AnyPath) -> str:
    """Describe an archive: content, progress, size and origin."""
    archive = Archive.open(path)
    attrs, specification, created = archive.attributes, archive.specification, archive.created
    layout, pending = archive.layout, pending_shards(archive)
    counts = count_statuses(read_status(archive))
    sizes = dict(files(archive.path))
    stored, raw = sum(sizes.values()), layout.n_bytes(range(layout.n_shards))
    settings, simulation = specification.settings, specification.simulation
    protocol = specification.content["simulation"]["protocol"]
    rows = {
        "archive": f"{archive.path} ({attrs['format']})",
        "title": attrs["title"],
        "state": _state(archive, pending),
        "simulations": ", ".join(f"{n:,} {meaning}" for meaning, n in counts.items() if n),
        "design": f"{settings.design}, n = {settings.n:,}, seed {specification.seed}",
        "source": f"{layout.n_regions} regions, {layout.n_times} samples at {simulation.sfreq:g} Hz",
        "model": f"{settings.preset}; {simulation.solver}, dt {simulation.dt:g} s, {simulation.precision}",
        "protocol": ", ".join(f"{key} {value}" for key, value in protocol.items() if value is not None),
        "shards": f"{layout.n_shards} of {layout.shard_size} simulations, chunks of {layout.chunk_size}",
        "size": f"{readable(stored)} in {len(sizes)} files; {readable(raw)} before compression",
        "made by": f"jrflow {created['versions']['jrflow']}, commit {created['git_commit']}",
        "config hash": attrs["config_hash"],
    }
    width = max(map(len, rows))
    described = [f"{key.ljust(width)}  {value}" for key, value in rows.items()]
    return "\n".join([*described, "", "parameters that vary:", *_parameters(archive, attrs["varied_names"])])


def _state(archive: Archive, pending: list[int]) -> str:
    ids, n_shards = archive.read("sim").reshape(-1), archive.layout.n_shards
    if is_selection(ids, archive.attributes):
        return described(ids, archive.attributes)
    manifest = manifest_of(archive)
    if manifest is not None:
        return f"sealed {manifest.sealed_at}".rstrip()
    return f"not sealed: {n_shards - len(pending)} of {n_shards} shards are done"


def _parameters(archive: Archive, names: list[str]) -> Iterator[str]:
    for name in names:
        values, parameter = archive.read(name), MODEL.space[name]
        unit = "" if parameter.unit == "1" else f" {parameter.unit}"
        yield f"  {name:6}{values.min():>10.4g} to {values.max():<10.4g}{unit:6}  {parameter.long_name}"
