"""What is wrong with an archive, or asked of one that cannot be: an error that names it, never a number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import yaml
import zarr

import jrflow
from jrflow.archive import ArchiveError
from jrflow.archive.dataset import export_archive
from jrflow.archive.merge import join_archives
from jrflow.archive.paths import place
from jrflow.campaign import run_campaign
from jrflow.campaign.repair import repair_archive
from jrflow.campaign.run import run_block
from jrflow.campaign.verify import verify_archive
from jrflow.cli import main
from jrflow.config import Config, ConfigError

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    run_campaign(tiny_config({"n": 40}), "train", folder, progress=None)
    return folder


@pytest.fixture
def archive(sealed: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(sealed, tmp_path / "archives")
    return tmp_path / "archives/train.zarr"


def _edited(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def _manifest(**changes: Any) -> Callable[[Path], None]:
    return lambda store: _edited(store.with_suffix(".json"), lambda content: content | changes)


def _without(key: str) -> Callable[[Path], None]:
    def remove(content: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in content.items() if k != key}

    return lambda store: _edited(store.with_suffix(".json"), remove)


def _truncated(name: str) -> Callable[[Path], None]:
    return lambda store: (store / name).write_bytes((store / name).read_bytes()[:-5])


#: What happened to a sealed archive, and what the error names.
DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "shard lost": (lambda store: (store / "source/c/1/0/0").unlink(), "source/c/1/0/0: missing"),
    "all shards lost": (lambda store: shutil.rmtree(store / "source/c"), "source/c/0/0/0: missing"),
    "shard truncated": (_truncated("source/c/0/0/0"), "source/c/0/0/0"),
    "shard empty": (lambda store: (store / "source/c/0/0/0").write_bytes(b""), "source/c/0/0/0"),
    "status lost": (lambda store: (store / "status/c/1").unlink(), "status/c/1: missing"),
    "trials lost": (lambda store: (store / "n_trials/c/0").unlink(), "n_trials/c/0: missing"),
    "parameter lost": (lambda store: (store / "A_e/c/0").unlink(), "A_e/c/0: missing"),
    "variable lost": (lambda store: shutil.rmtree(store / "b_e"), "b_e/c/0: missing"),
    "key lost": (lambda store: (store / "campaign_key/zarr.json").unlink(), "campaign_key/zarr.json"),
    "array metadata truncated": (_truncated("source/zarr.json"), "source/zarr.json"),
    "store metadata truncated": (_truncated("zarr.json"), "zarr.json"),
    "manifest lost": (lambda store: store.with_suffix(".json").unlink(), "train.json"),
    "manifest truncated": (lambda store: _truncated("../train.json")(store), "train.json"),
    "manifest is a list": (lambda store: store.with_suffix(".json").write_text("[]"), "train.json"),
    "manifest is empty": (lambda store: store.with_suffix(".json").write_text(""), "train.json"),
    "manifest of a later version": (_manifest(format="jrflow-archive-3"), "jrflow-archive-3"),
    "manifest of another program": (_manifest(format=None), "train.json"),
    "manifest without files": (_without("files"), "train.json"),
    "manifest without sizes": (_without("n_times"), "train.json"),
    "manifest of another archive": (_manifest(config_hash="0" * 64), "not sealed"),
    "store of a later version": (
        lambda store: _edited(store / "zarr.json", _set_format("jrflow-archive-3")), "jrflow-archive-3"
    ),
    "not a store": (lambda store: (shutil.rmtree(store), store.mkdir()), "expected a Zarr store"),
    "a file": (lambda store: (shutil.rmtree(store), store.write_text("")), "expected a Zarr store"),
    "nothing": (lambda store: shutil.rmtree(store), "does not exist"),
    "a broken link": (
        lambda store: (store.rename(store.with_name("x")), store.symlink_to("gone.zarr")), "does not exist"
    ),
}  # fmt: skip


def _is_sound(store: Path) -> bool:
    """Whether verification finds nothing, where it does not refuse to begin."""
    try:
        return all(finding.sound for finding in verify_archive(place(store)))
    except ArchiveError:
        return False


def _set_format(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda content: content | {"attributes": content["attributes"] | {"format": name}}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_and_never_opened(archive: Path, case: str) -> None:
    damage, expected = DAMAGE[case]
    damage(archive)
    with pytest.raises(ArchiveError) as raised:
        jrflow.open_archive(archive)
    assert expected in str(raised.value)
    assert not _is_sound(archive)


def _repaired(store: Path) -> None:
    repair_archive(place(store), progress=None)


#: What is asked, and the error.
ASKED: dict[str, tuple[Callable[[Path, xr.Dataset], Any], type[Exception], str]] = {
    "export into itself": (lambda s, ds: ds.jrflow.export(s / "part.zarr"), ValueError, "lies within"),
    "export into an array": (lambda s, ds: ds.jrflow.export(s / "A_e/part.nc"), ValueError, "lies within"),
    "export over itself": (lambda s, ds: ds.jrflow.export(s), FileExistsError, "train.zarr"),
    "export over a manifest": (
        lambda s, ds: (s.with_name("a.json").write_text("{}"), ds.jrflow.export(s.with_name("a.zarr"))),
        FileExistsError, "a.json",
    ),
    "export to an unknown kind": (lambda s, ds: ds.jrflow.export(s.with_name("a.csv")), ValueError, ".nc"),
    "export without an ending": (lambda s, ds: ds.jrflow.export(s.with_name("a")), ValueError, ".zarr"),
    "export to no folder": (
        lambda s, ds: ds.jrflow.export(s.parent / "no/a.nc"), FileNotFoundError, "not a folder"
    ),
    "export of nothing": (
        lambda s, ds: ds.isel(sim=[]).jrflow.export(s.with_name("a.zarr")), ValueError, "at least one"
    ),
    "export without source": (
        lambda s, ds: ds.drop_vars("source").jrflow.export(s.with_name("a.zarr")), ValueError, "source"
    ),
    "export of netCDF to a URL": (lambda s, ds: ds.jrflow.export("memory://a/b.nc"), ValueError, "netCDF"),
    "query of nothing": (
        lambda s, ds: export_archive(s, s.with_name("a.nc"), "A_e > 1000"), ValueError, "A_e"
    ),
    "query of an unknown name": (
        lambda s, ds: export_archive(s, s.with_name("a.nc"), "A_q > 1"), ValueError, "A_q"
    ),
    "query that is no expression": (
        lambda s, ds: export_archive(s, s.with_name("a.nc"), "A_e >"), ValueError, "A_e >"
    ),
    "explain an unknown id": (lambda s, ds: ds.jrflow.explain(40), ValueError, "no simulation with id 40"),
    "explain a fraction": (lambda s, ds: ds.jrflow.explain(0.5), ValueError, "0.5"),
    "explain a truth value": (lambda s, ds: ds.jrflow.explain(True), ValueError, "True"),
    "explain text": (lambda s, ds: ds.jrflow.explain("0"), ValueError, "'0'"),
    "explain without attributes": (
        lambda s, ds: ds.drop_attrs().jrflow.explain(0), ValueError, "specification"
    ),
    "check of what was computed": (
        lambda s, ds: ds.drop_encoding().jrflow.check(), ValueError, "from which one archive"
    ),
    "add itself to nothing": (
        lambda s, ds: join_archives(place(s.with_name("no.zarr")), [place(s)], None), ArchiveError, "no.zarr"
    ),
    "repair of nothing": (lambda s, ds: _repaired(s.with_name("no.zarr")), ArchiveError, "no.zarr"),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_what_cannot_be_is_refused(archive: Path, case: str) -> None:
    ask, error, expected = ASKED[case]
    before = sorted(path.name for path in archive.rglob("*"))
    with pytest.raises(error) as raised:
        ask(archive, xr.open_zarr(archive))
    assert expected in str(raised.value)
    assert sorted(path.name for path in archive.rglob("*")) == before
    assert jrflow.open_archive(archive).sizes["sim"] == 40


@pytest.mark.parametrize("block", [(0, 2), (3, 2), (-1, 2)])
def test_an_impossible_block(tiny_config: MakeConfig, tmp_path: Path, block: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="block"):
        run_block(tiny_config(), "train", tmp_path, block, progress=None)


@pytest.mark.parametrize("n", [10**9, 10**12])
def test_a_campaign_that_cannot_fit_is_refused_at_once(
    tiny_config: MakeConfig, tmp_path: Path, n: int
) -> None:
    """On a disk and, where space is not counted, in memory; a store has not been begun."""
    config = tiny_config({"n": n})
    with pytest.raises((ArchiveError, ConfigError), match=r"free|memory"):
        run_campaign(config, "train", tmp_path, progress=None)
    with pytest.raises((ArchiveError, ConfigError), match="memory"):
        run_campaign(config, "train", "memory://bucket/run", progress=None)
    assert not list(tmp_path.glob("*.zarr*"))


@pytest.mark.parametrize("out", ["file", "file/below", "archives/train.zarr/zarr.json"])
def test_archives_go_into_a_folder(
    archive: Path, tmp_path: Path, tiny_config: MakeConfig, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_config().model_dump(mode="json")))
    assert main(["campaign", str(config), "train", "--out", str(tmp_path / out)]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_lost_parameter_file_selects_nothing(archive: Path) -> None:
    """Plain xarray does not notice it; a query of fill values must not find simulations."""
    (archive / "b_i/c/0").unlink()
    for query in ("b_i < 40", "b_i >= 40"):
        assert xr.open_zarr(archive).query(sim=query).sizes["sim"] == 0
    zarr.open_array(archive / "b_i")
