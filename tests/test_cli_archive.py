"""jrflow archive and the parts of jrflow campaign: what they print, their exit codes, what they leave."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
import zarr

from jrflow.archive.manifest import manifest_path
from jrflow.archive.paths import files, place
from jrflow.archive.seal import seal
from jrflow.archive.store import Archive
from jrflow.campaign import run_campaign
from jrflow.cli import main
from jrflow.config import Config
from jrflow.simulation import simulate

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    run_campaign(tiny_config(), "train", folder, progress=None)
    return folder


@pytest.fixture
def archive(sealed: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(sealed, tmp_path / "copy")
    return tmp_path / "copy/train.zarr"


@pytest.fixture
def config(tiny_config: MakeConfig, tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tiny_config().model_dump(mode="json")))
    return str(path)


def _contents(store: Path) -> dict[str, bytes]:
    return {name: (store / name).read_bytes() for name, _ in files(place(store))}


def test_info_says_what_it_is(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "info", str(archive)]) == 0
    printed = capsys.readouterr().out
    for text in (
        "sealed 20", "100 ok", "prior, n = 100, seed ", "1 regions, 201 samples at 1000 Hz",
        "4 of 32 simulations, chunks of 8", "before compression", "unit-consistent; exp-ab4, dt 0.001 s",
    ):  # fmt: skip
        assert text in printed
    assert [line.split()[0] for line in printed.partition("vary:\n")[2].splitlines()][:2] == ["A_e", "A_i"]


def test_verify_of_a_sound_archive(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "verify", str(archive), "--simulate", "5"]) == 0
    printed = capsys.readouterr().out
    assert "NOT SOUND" not in printed
    assert [line.split()[1] for line in printed.splitlines()][:2] == ["manifest:", "files:"]
    assert "simulated again: 5 simulations: the same, bit for bit" in printed


def test_verify_and_repair_of_a_damaged_one(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _contents(archive)
    shard = archive / "source/c/2/0/0"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    (archive / "a_3/c/0").unlink()
    untouched = (archive / "source/c/1/0/0").stat().st_mtime_ns
    assert main(["archive", "verify", str(archive)]) == 1
    printed = capsys.readouterr().out
    assert "NOT SOUND  files: 2 of " in printed
    assert "a_3/c/0: missing" in printed
    assert "source/c/2/0/0: checksum differs" in printed
    assert main(["archive", "repair", str(archive), "--workers", "1"]) == 0
    assert "repaired a_3/c/0\nrepaired source/c/2/0/0\n" in capsys.readouterr().out
    assert _contents(archive) == before
    assert (archive / "source/c/1/0/0").stat().st_mtime_ns == untouched
    assert main(["archive", "verify", str(archive)]) == 0


def test_what_was_changed_on_purpose_is_noticed(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not damage: numbers that somebody has written, with checksums of their own, and a new seal."""
    store = place(archive)
    manifest_path(store).unlink()
    zarr.open_array(archive / "A_e", mode="r+")[3] = 4.0
    zarr.open_array(archive / "source", mode="r+")[50] = 1.0
    seal(Archive.open(store), {})
    assert main(["archive", "verify", str(archive), "--simulate", "100"]) == 1
    printed = capsys.readouterr().out
    assert "NOT SOUND  design: drawn again, A_e differ" in printed
    assert "NOT SOUND  simulated again: simulations 3, 50 of 100 differ" in printed


def test_repair_refuses_other_last_digits_until_they_are_wanted(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def otherwise(*args: object, **options: object) -> xr.Dataset:
        ds = simulate(*args, **options)  # type: ignore[arg-type]
        ds["source"] = ds["source"] * np.float32(1 + 1e-6)
        return ds

    monkeypatch.setattr("jrflow.campaign.shard.simulate", otherwise)
    monkeypatch.setattr("jrflow.cluster.dask.map_over_workers", _in_process)
    (archive / "source/c/3/0/0").unlink()
    assert main(["archive", "repair", str(archive)]) == 2
    told = capsys.readouterr().err
    assert "\n  source/c/3/0/0: " in told
    assert "--reseal" in told
    assert main(["archive", "verify", str(archive)]) == 1
    assert main(["archive", "repair", str(archive), "--reseal"]) == 0
    assert main(["archive", "verify", str(archive)]) == 0


def test_repair_needs_a_seal(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["campaign", config, "train", "--design", "--out", str(tmp_path)]) == 0
    assert main(["archive", "repair", str(tmp_path / "train.zarr")]) == 2
    assert "start its campaign again" in capsys.readouterr().err
    assert main(["archive", "verify", str(tmp_path / "train.zarr")]) == 1
    assert "not sealed: 0 of 4 shards are done" in capsys.readouterr().out


def test_two_machines_one_archive(
    config: str, sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for machine, block in (("a", "1/2"), ("b", "2/2")):
        command = ["campaign", config, "train", "--block", block, "--out", str(tmp_path / machine)]
        assert main(command) == 0
    ours, theirs = (str(tmp_path / machine / "train.zarr") for machine in "ab")
    assert "block 2 of 2: 36 simulations" in capsys.readouterr().out
    assert main(["archive", "add", ours, theirs]) == 0
    assert "complete and sealed" in capsys.readouterr().out
    assert _contents(Path(ours)) == _contents(sealed / "train.zarr")
    assert main(["archive", "verify", ours]) == 0
    assert main(["archive", "add", theirs, str(sealed / "train.zarr")]) == 0


def test_a_part_is_not_the_whole(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for machine in "ab":
        main(["campaign", config, "train", "--block", "1/4", "--out", str(tmp_path / machine)])
    ours, theirs = (str(tmp_path / machine / "train.zarr") for machine in "ab")
    assert main(["archive", "add", ours, theirs]) == 1
    assert "3 shards are still missing" in capsys.readouterr().err


def test_conflicts_are_refused_and_nothing_is_added(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["campaign", config, "train", "--block", "1/2", "--out", str(tmp_path / "a")])
    main(["campaign", config, "train", "--block", "1/1", "--out", str(tmp_path / "b")])
    ours, theirs = tmp_path / "a/train.zarr", tmp_path / "b/train.zarr"
    zarr.open_array(theirs / "source", mode="r+")[40] = 0.0
    before = _contents(ours)
    assert main(["archive", "add", str(ours), str(theirs)]) == 2
    assert "both have shards 1, with different values: nothing was added" in capsys.readouterr().err
    assert _contents(ours) == before


def test_other_campaigns_are_not_added(
    config: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(config).read_text().replace("n: 100", "n: 99")
    Path(config).write_text(text)
    main(["campaign", config, "train", "--out", str(tmp_path / "other")])
    assert main(["archive", "add", str(archive), str(tmp_path / "other/train.zarr")]) == 2
    assert "n: in the store 99, expected 100" in capsys.readouterr().err


def test_export_of_a_selection(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "some.nc"
    assert main(["archive", "export", str(archive), str(out), "--query", "A_e > 3 and status == 0"]) == 0
    expected = xr.open_zarr(archive).query(sim="A_e > 3").load()
    assert f"some.nc: {expected.sizes['sim']} simulations" in capsys.readouterr().out
    with xr.open_dataset(out, engine="h5netcdf") as ds:
        np.testing.assert_array_equal(ds["source"], expected["source"])
        np.testing.assert_array_equal(ds["A_e"], expected["A_e"])
        assert ds["A_e"].attrs["units"] == "mV"
    assert main(["archive", "export", str(archive), str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("A_x > 3", "expected an expression such as"),
        ("A_e > 100", r"selects none of the simulations; there are A_e"),
    ],
)
def test_a_query_that_makes_no_sense(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str, message: str
) -> None:
    assert main(["archive", "export", str(archive), str(tmp_path / "no.nc"), "--query", query]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "no.nc").exists()


@pytest.mark.parametrize("block", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_an_impossible_block_is_refused(config: str, capsys: pytest.CaptureFixture[str], block: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["campaign", config, "train", "--block", block, "--out", "."])
    assert caught.value.code == 2
    assert "expected K/N with 1 <= K <= N" in capsys.readouterr().err


def test_no_archive_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("info", "verify"):
        assert main(["archive", command, str(tmp_path / "none.zarr")]) == 2
        assert "none.zarr: there is no archive" in capsys.readouterr().err


def _in_process(*_: object) -> object:
    return nullcontext(map)
