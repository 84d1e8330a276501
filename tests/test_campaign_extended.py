"""A campaign that is made larger: what is there stays, and the end is as if it had been so large at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jrflow.archive import ArchiveError, ArchiveMismatchError, open_archive
from jrflow.archive.manifest import Manifest
from jrflow.archive.paths import files, place, write_atomically
from jrflow.archive.shards import pending_shards
from jrflow.archive.store import Archive
from jrflow.campaign import run_campaign
from jrflow.campaign.create import create_from
from jrflow.campaign.repair import repair_archive
from jrflow.campaign.verify import verify_archive
from jrflow.config import Config
from jrflow.design import REPLICATES
from jrflow.simulation import simulate
from jrflow.specification import Specification

MakeConfig = Callable[..., Config]
InterruptedAfter = Callable[[int], Callable[..., Iterator[int]]]

#: Kind of design, size before and after; a saltelli design of n has 11 n simulations.
GROWING = [("prior", 50, 110), ("sobol-sequence", 32, 128), ("saltelli", 4, 16)]


def _contents(folder: Path) -> dict[str, bytes]:
    store = place(folder / "train.zarr")
    return {name: (store / name).read_bytes() for name, _ in files(store)}


def _run(config: Config, folder: Path, **options: Any) -> Manifest:
    return run_campaign(config, "train", folder, **{"progress": None} | options)


@pytest.mark.parametrize(("design", "before", "after"), GROWING)
def test_an_extended_archive_is_that_of_the_larger_campaign(
    tiny_config: MakeConfig, tmp_path: Path, design: str, before: int, after: int
) -> None:
    small, large = (tiny_config({"design": design, "n": n}) for n in (before, after))
    _run(small, tmp_path / "extended")
    first = (tmp_path / "extended/train.zarr/source/c/0/0/0").stat().st_mtime_ns
    manifest = _run(large, tmp_path / "extended")
    _run(large, tmp_path / "at once")
    assert manifest.counts["ok"] == large.n_simulations("train")
    assert (tmp_path / "extended/train.zarr/source/c/0/0/0").stat().st_mtime_ns == first
    assert _contents(tmp_path / "extended") == _contents(tmp_path / "at once")


@pytest.mark.parametrize("interrupted", [0, 4, 17])
def test_a_small_archive_gets_the_chunks_of_a_large_one(
    tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: int
) -> None:
    """Also where that was interrupted before it wrote this many files; what was simulated is kept."""
    monkeypatch.setattr("jrflow.archive.layout.ALIGNED_CHUNKS", 8)
    small, large = tiny_config({"n": 50}), tiny_config({"n": 110})
    _run(small, tmp_path / "extended")
    store = place(tmp_path / "extended/train.zarr")
    first = (store / "source/c/0/0/0").stat().st_mtime_ns
    if interrupted:
        calls = iter(range(interrupted))

        def write(path: Any, content: bytes) -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            write_atomically(path, content)

        with monkeypatch.context() as patched:
            patched.setattr("jrflow.campaign.extend.write_atomically", write)
            patched.setattr("jrflow.archive.store.write_atomically", write)
            with pytest.raises(KeyboardInterrupt):
                _run(large, tmp_path / "extended")
    manifest = _run(large, tmp_path / "extended")
    _run(large, tmp_path / "at once")
    assert manifest.layout.aligned is False
    assert (store / "source/c/0/0/0").stat().st_mtime_ns == first
    assert _contents(tmp_path / "extended") == _contents(tmp_path / "at once")


def test_archives_of_earlier_versions_are_extended_and_repaired(
    tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lack the key of their campaign and their length, and have large chunks whatever their size."""
    small, large = tiny_config({"n": 50}), tiny_config({"n": 110})
    with monkeypatch.context() as patched:
        patched.setattr("jrflow.archive.layout.ALIGNED_CHUNKS", 0)
        patched.setattr("jrflow.campaign.create.create_from", partial(create_from, keyed=False))
        _run(small, tmp_path)
    store = place(tmp_path / "train.zarr")
    before = _contents(tmp_path)
    assert "campaign_key/zarr.json" not in before
    assert open_archive(store).jrflow.explain(3).campaign == "train"
    for name in ("A_e/zarr.json", "zarr.json", "b_i/c/0"):
        (store / name).unlink()
    assert repair_archive(store, progress=None) == ["A_e/zarr.json", "b_i/c/0", "zarr.json"]
    assert _contents(tmp_path) == before
    _run(large, tmp_path)
    _run(large, tmp_path / "at once")
    assert _contents(tmp_path) == _contents(tmp_path / "at once")


def test_only_what_is_new_is_simulated(
    tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of the shard that was partly filled, whatever other versions would now make of the old ones."""
    _run(tiny_config({"n": 50}), tmp_path)
    simulated: list[int] = []

    def counted(design: Any, **options: Any) -> Any:
        simulated.extend(design["sim"].values)
        return simulate(design, **options)

    monkeypatch.setattr("jrflow.campaign.shard.simulate", counted)
    report = io.StringIO()
    manifest = _run(tiny_config({"n": 70}), tmp_path, progress=report)
    assert simulated == list(range(50, 70))
    assert "train: extended; shards done: 1 of 3\n" in report.getvalue()
    assert manifest.layout.n_simulations == 70


def test_it_is_open_again_until_it_is_sealed(
    tiny_config: MakeConfig, tmp_path: Path, interrupted_after: InterruptedAfter
) -> None:
    _run(tiny_config({"n": 50}), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _run(tiny_config({"n": 110}), tmp_path, map_shards=interrupted_after(0))
    store = place(tmp_path / "train.zarr")
    assert pending_shards(Archive.open(store)) == [1, 2, 3]
    with pytest.raises(ArchiveError, match="not sealed: 60 of 110"):
        open_archive(store)
    unfinished = open_archive(store, allow_unsealed=True)
    assert (unfinished["status"].values == np.r_[np.zeros(50), np.ones(60)]).all()
    with pytest.raises(ArchiveMismatchError, match="n: in the store 110, expected 50"):
        _run(tiny_config({"n": 50}), tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"n": 50}, {"n": 40}, "only to more simulations"),
        (
            {"design": "lhs", "n": 40},
            {"design": "lhs", "n": 50},
            "Only prior, sobol-sequence, saltelli designs",
        ),
        ({"n": 50}, {"n": 60, "seed": 7}, "seed: in the store"),
    ],
)
def test_nothing_else_may_change(
    tiny_config: MakeConfig, tmp_path: Path, before: dict[str, Any], after: dict[str, Any], message: str
) -> None:
    _run(tiny_config(before), tmp_path)
    contents = _contents(tmp_path)
    with pytest.raises(ArchiveMismatchError, match=message):
        _run(tiny_config(after), tmp_path)
    assert _contents(tmp_path) == contents
    assert _run(tiny_config(before), tmp_path).counts["ok"] == before["n"]


def test_a_design_that_other_versions_would_draw_otherwise_is_not_extended(
    tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tiny_config({"n": 50}), tmp_path)
    contents = _contents(tmp_path)
    other = tiny_config({"n": 60})
    drawn = Specification.draw

    def differently(specification: Specification) -> Any:
        design = drawn(specification)
        design["A_e"] = design["A_e"] * (1 + 1e-12)
        return design

    monkeypatch.setattr(Specification, "draw", differently)
    with pytest.raises(ArchiveMismatchError, match="the values of 'A_e' are not those of its design"):
        _run(other, tmp_path)
    assert _contents(tmp_path) == contents


def test_a_saltelli_campaign_of_version_0_1_stays_one_scramble(
    tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its specification names no scrambles. It is found complete, verified, and extended as it was begun."""
    small, large = (tiny_config({"design": "saltelli", "n": n}) for n in (2, 4))

    now = Specification.of

    def of_version_0_1(config: Config, name: str) -> Specification:
        content = now(config, name).content
        return Specification.parse({key: value for key, value in content.items() if key != "replicates"})

    with monkeypatch.context() as then:
        then.setattr(Specification, "of", of_version_0_1)
        _run(small, tmp_path / "old")
        _run(large, tmp_path / "old at once")
    contents = _contents(tmp_path / "old")
    _run(small, tmp_path / "old")
    assert _contents(tmp_path / "old") == contents
    assert all(finding.sound for finding in verify_archive(place(tmp_path / "old/train.zarr"), n_simulate=2))
    _run(large, tmp_path / "old")
    assert _contents(tmp_path / "old") == _contents(tmp_path / "old at once")
    archive = open_archive(tmp_path / "old/train.zarr")
    assert "replicates" not in archive.attrs
    _run(large, tmp_path / "new")
    new = open_archive(tmp_path / "new/train.zarr")
    assert new.attrs["replicates"] == REPLICATES
    assert not np.array_equal(new["A_e"], archive["A_e"])
