"""What an archive is, on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator

from upath import UPath

from jrflow.archive.attributes import created_with, read_specification, store_attributes
from jrflow.archive.layout import ShardLayout
from jrflow.archive.manifest import read_manifest
from jrflow.archive.place import files, read_array
from jrflow.archive.selection import described, is_selection
from jrflow.archive.status import count_statuses
from jrflow.archive.writer import pending_shards, read_status, shard_bytes
from jrflow.config.sizes import readable
from jrflow.model.parameters import ALL_PARAMETERS


def info(store: UPath) -> str:
    """Describe an archive: what was simulated, how far it is, how large, where it comes from."""
    attrs, specification = store_attributes(store), read_specification(store)
    layout, pending, created = ShardLayout.of_store(store), pending_shards(store), created_with(store)
    counts = count_statuses(read_status(store))
    sizes = dict(files(store))
    stored, raw = sum(sizes.values()), shard_bytes(store, range(layout.n_shards))
    protocol, settings = json.loads(attrs["protocol"]), specification.settings
    rows = {
        "archive": f"{store} ({attrs['format']})",
        "title": attrs["title"],
        "state": _state(store, layout, pending),
        "simulations": ", ".join(f"{n:,} {meaning}" for meaning, n in counts.items() if n),
        "design": f"{settings.design}, n = {settings.n:,}, seed {specification.seed}",
        "source": f"{layout.n_regions} regions, {layout.n_times} samples at {attrs['sfreq']:g} Hz",
        "model": f"{attrs['preset']}; {attrs['solver']}, dt {attrs['dt']:g} s, {attrs['precision']}",
        "protocol": ", ".join(f"{key} {value}" for key, value in protocol.items() if value is not None),
        "shards": f"{layout.n_shards} of {layout.shard_size} simulations, chunks of {layout.chunk_size}",
        "size": f"{readable(stored)} in {len(sizes)} files; {readable(raw)} before compression",
        "made by": f"jrflow {created['versions']['jrflow']}, commit {created['git_commit']}",
        "config hash": attrs["config_hash"],
    }
    width = max(map(len, rows))
    described = [f"{key.ljust(width)}  {value}" for key, value in rows.items()]
    return "\n".join([*described, "", "parameters that vary:", *_parameters(store, attrs["varied_names"])])


def _state(store: UPath, layout: ShardLayout, pending: list[int]) -> str:
    ids, attrs = read_array(store, "sim").reshape(-1), store_attributes(store)
    if is_selection(ids, attrs):
        return described(ids, attrs)
    manifest = read_manifest(store)
    if manifest is not None:
        return f"sealed {manifest['sealed'].get('time', '')}".rstrip()
    return f"not sealed: {layout.n_shards - len(pending)} of {layout.n_shards} shards are done"


def _parameters(store: UPath, names: list[str]) -> Iterator[str]:
    for name in names:
        values, parameter = read_array(store, name), ALL_PARAMETERS[name]
        unit = "" if parameter.unit == "1" else f" {parameter.unit}"
        yield f"  {name:6}{values.min():>10.4g} to {values.max():<10.4g}{unit:6}  {parameter.long_name}"
