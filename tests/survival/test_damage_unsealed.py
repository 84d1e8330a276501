"""An archive that is damaged before it is sealed: its campaign makes good what is lost, and no more."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from evidence import DAMAGES, NAME, assert_nothing_twice, assert_same, said, written

from jrflow.archive import ArchiveError
from jrflow.campaign import run_campaign
from jrflow.config import Config

MakeConfig = Callable[..., Config]
Undisturbed = Callable[..., Path]
InterruptedAfter = Callable[[int], Callable[..., Iterator[int]]]

#: Files, and the shards that are to be simulated again for the loss of one; the last shard is not full.
FILES: dict[str, set[int]] = {
    "source/c/1/0/0": {1},
    "source/c/3/0/0": {3},
    "n_trials/c/1": {1},
    "n_trials/c/3": {3},
    "status/c/1": {1},
    "status/c/3": {3},
    "A_e/c/0": set(),
    "sim/c/0": set(),
    "time/c/0": set(),
    "region/c/0": set(),
}


@pytest.fixture(scope="module")
def simulated(
    tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig, interrupted_after: InterruptedAfter
) -> Path:
    """All four shards are done, nothing is sealed."""
    folder = tmp_path_factory.mktemp("simulated")
    with pytest.raises(KeyboardInterrupt):
        run_campaign(tiny_config(), NAME, folder, interrupted_after(4), progress=None)
    return folder


@pytest.fixture
def folder(tmp_path: Path, simulated: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(simulated, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_only_what_is_damaged_is_made_again(
    tiny_config: MakeConfig, folder: Path, undisturbed_tiny: Undisturbed, name: str, damage: str
) -> None:
    before = written(folder)
    DAMAGES[damage](folder / f"{NAME}.zarr" / name)
    report = io.StringIO()
    manifest = run_campaign(tiny_config(), NAME, folder, progress=report)
    n_again = len(FILES[name])
    assert f"shards done: {4 - n_again} of 4" in report.getvalue()
    assert manifest.sealed["last_run"]["simulations"] == sum({1: 32, 3: 4}[k] for k in FILES[name])
    assert_nothing_twice(before, folder, apart_from=FILES[name])
    assert_same(folder, undisturbed_tiny())


@pytest.mark.parametrize("damage", DAMAGES)
def test_steps_of_failures_are_made_again(
    tiny_config: MakeConfig, tmp_path: Path, interrupted_after: InterruptedAfter, damage: str
) -> None:
    config = tiny_config(simulation={"protocol": tiny_config().simulation.protocol, "max_source": 1e-6})
    run_campaign(config, NAME, tmp_path / "undisturbed", progress=None)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(config, NAME, tmp_path / "run", interrupted_after(4), progress=None)
    before = written(tmp_path / "run")
    DAMAGES[damage](tmp_path / "run" / f"{NAME}.zarr" / "failed_step/c/2")
    run_campaign(config, NAME, tmp_path / "run", progress=None)
    assert_nothing_twice(before, tmp_path / "run", apart_from={2})
    assert_same(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.parametrize("damage", ["flip in the middle", "truncated", "deleted"])
@pytest.mark.parametrize("name", ["zarr.json", "source/zarr.json", "status/zarr.json", "A_e/zarr.json"])
def test_damaged_metadata_are_refused(
    tiny_config: MakeConfig,
    folder: Path,
    simulated: Path,
    undisturbed_tiny: Undisturbed,
    name: str,
    damage: str,
) -> None:
    """Never sealed as they are: the error names them, and with a copy of them all goes on."""
    before = written(folder)
    path = folder / f"{NAME}.zarr" / name
    DAMAGES[damage](path)
    with pytest.raises(ArchiveError, match=re.escape(f"{folder / NAME}.zarr")):
        run_campaign(tiny_config(), NAME, folder, progress=None)
    shutil.copy(simulated / f"{NAME}.zarr" / name, path)
    run_campaign(tiny_config(), NAME, folder, progress=None)
    assert_nothing_twice(before, folder)
    assert_same(folder, undisturbed_tiny())


@pytest.mark.parametrize("name", ["source/c/1/0/0", "status/c/1", "n_trials/c/1"])
def test_verify_tells_of_a_damaged_shard(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = folder / f"{NAME}.zarr"
    DAMAGES["flip in the middle"](store / name)
    code, text = said(capsys, "archive", "verify", store)
    assert code == 1
    assert "not sealed: 3 of 4 shards are done" in text or "shards that cannot be read: 1" in text


def test_what_killed_writers_had_begun_is_swept_away(
    tiny_config: MakeConfig, folder: Path, undisturbed_tiny: Undisturbed
) -> None:
    before = written(folder)
    store = folder / f"{NAME}.zarr"
    for name in ("source/c/1/0/0.9f.partial", "status/c/1.9f.partial", "zarr.json.77.partial"):
        (store / name).write_bytes(b"begun")
    run_campaign(tiny_config(), NAME, folder, progress=None)
    assert_nothing_twice(before, folder)
    assert_same(folder, undisturbed_tiny())


def test_what_a_killed_creation_had_begun_is_swept_away(
    tiny_config: MakeConfig, tmp_path: Path, simulated: Path, undisturbed_tiny: Undisturbed
) -> None:
    begun = tmp_path / f"{NAME}.zarr.creating"
    shutil.copytree(simulated / f"{NAME}.zarr" / "A_e", begun / "A_e")
    shutil.copytree(simulated / f"{NAME}.zarr" / "status", begun / "of_another_campaign")
    run_campaign(tiny_config(), NAME, tmp_path, progress=None)
    assert_same(tmp_path, undisturbed_tiny())
