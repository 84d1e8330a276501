"""What proves that a campaign survived: every byte of its archive, and which shards were written when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jrflow.archive.shards import pending_shards, shard_files
from jrflow.archive.store import Archive
from jrflow.cli import main

NAME = "train"


def written(folder: Path) -> dict[int, int]:
    """When the source of each shard that is done was written, ns; nothing where there is no store yet."""
    store = folder / f"{NAME}.zarr"
    if not store.exists():
        return {}
    pending, found = set(pending_shards(Archive.open(store))), {}
    for source in store.glob("source/c/*/0/0"):
        shard = int(source.parts[-3])
        if shard not in pending:
            found[shard] = source.stat().st_mtime_ns
    return found


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file there is, by name; of the manifest, which holds a date, all but that.

    Locks are no part of it: jobs that simulate a block each leave the file, the last driver removes it.
    """
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }
    manifest = folder / f"{NAME}.json"
    if manifest.exists():
        found[manifest.name] = json.dumps(_manifest(manifest) | {"sealed": None}, sort_keys=True)
    return found


def assert_same(folder: Path, undisturbed: Path) -> None:
    """Every byte as in the other archive; nothing more, nothing less; and sound by its own account."""
    found, expected = contents(folder), contents(undisturbed)
    assert found.keys() ^ expected.keys() == set()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert _manifest(folder / f"{NAME}.json")["files"] == _manifest(undisturbed / f"{NAME}.json")["files"]
    assert main(["archive", "verify", str(folder / f"{NAME}.zarr")]) == 0


def assert_nothing_twice(before: dict[int, int], folder: Path, apart_from: set[int] | None = None) -> None:
    """What was done before has not been written again."""
    after = written(folder)
    again = {shard for shard, when in before.items() if after.get(shard) != when}
    assert again == (apart_from or set())


def flip(path: Path, position: float = 0.5) -> None:
    """Change one bit of a file, so far into it."""
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def truncate(path: Path, fraction: float = 0.5) -> None:
    """Cut a file off."""
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])


#: What may happen to a file: a bit flips in its first bytes, its middle or its last ones, or parts are gone.
DAMAGES: dict[str, Callable[[Path], object]] = {
    "flip at the beginning": lambda path: flip(path, 0.02),
    "flip in the middle": lambda path: flip(path, 0.5),
    "flip at the end": lambda path: flip(path, 1.0),
    "truncated": truncate,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": Path.unlink,
}


def source_of(folder: Path, shard: int) -> Path:
    return folder / f"{NAME}.zarr" / shard_files(shard)[0]


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code of a command run in this process, and what it said."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out + err


def _manifest(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content
