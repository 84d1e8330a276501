"""A full disk is foreseen where it can be, and explained where it cannot."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from jrflow.archive import DiskFullError
from jrflow.archive.paths import BEST_COMPRESSION, check_space, explain_full_disk, free_bytes
from jrflow.config.sizes import readable


def test_what_cannot_fit_is_refused_before_it_begins(tmp_path: Path) -> None:
    store = tmp_path / "not" / "yet" / "there.zarr"
    free = free_bytes(store)
    check_space(store, free // 2)
    with pytest.raises(DiskFullError, match=r"there\.zarr: .* are needed .* are free; free some space"):
        check_space(store, 2 * BEST_COMPRESSION * free)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_explained(tmp_path: Path, code: int) -> None:
    message = r"shard 3: no space left for .*: up to 12\.3 MB are still to be written, .* are free"
    with (
        pytest.raises(DiskFullError, match=message),
        explain_full_disk(tmp_path, "shard 3", lambda: 12_345_678),
    ):
        raise OSError(code, "full")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), explain_full_disk(tmp_path, "shard 3", lambda: 0):
        raise PermissionError(errno.EACCES, "not yours")


def test_bytes_are_readable() -> None:
    assert [readable(n) for n in (0, 999, 1500, 98_700_000, 2e9, 3.21e12)] == [
        "0 B", "999 B", "1.5 kB", "98.7 MB", "2 GB", "3.21 TB",
    ]  # fmt: skip
