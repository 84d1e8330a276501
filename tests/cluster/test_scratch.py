"""A node's own disk, and what is done where it cannot be used."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jrflow.cluster.scratch import local_folder


@pytest.fixture(autouse=True)
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of temporary files before; afterwards it is the same again."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert os.environ["TMPDIR"] == str(folder)
    assert tempfile.gettempdir() == str(folder)
    assert not list(folder.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _used(scratch: str | None) -> tuple[Path, str]:
    """Where temporary files went, in this process and in those that it starts, and what was said."""
    said = io.StringIO()
    with local_folder(scratch, said):
        here = Path(tempfile.gettempdir())
        child = subprocess.run(
            [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert Path(child.stdout.strip()) == here
        (here / "left").touch()
        if here.name != "system":
            return here, said.getvalue()
        (here / "left").unlink()
    return here, said.getvalue()


@pytest.mark.parametrize("scratch", [None, ""])
def test_none_is_the_systems(scratch: str | None, before: Path) -> None:
    assert _used(scratch) == (before, "")


def test_an_absent_folder_is_made_and_nothing_left_in_it(tmp_path: Path) -> None:
    scratch = tmp_path / "a" / "b c"
    used, said = _used(str(scratch))
    assert used.parent == scratch
    assert said == ""
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("form", ["$NODE_DISK/mine", "${NODE_DISK}/mine"])
def test_variables_of_the_node(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "disk"))
    assert _used(form)[0].parent == tmp_path / "disk" / "mine"


@pytest.mark.parametrize("scratch", ["$NOT_SET_HERE", "${NOT_SET_HERE}/mine", "/tmp/$NOT_SET_HERE"])
def test_a_variable_that_is_not_set(
    scratch: str, tmp_path: Path, before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    used, said = _used(scratch)
    assert used == before
    assert said == f"scratch {scratch}: this variable is not set here; using {before} instead\n"
    assert [path.name for path in tmp_path.iterdir()] == ["system"], "no folder of that name"


def test_a_file_is_in_the_way(tmp_path: Path, before: Path) -> None:
    (tmp_path / "file").touch()
    used, said = _used(str(tmp_path / "file" / "mine"))
    assert used == before
    assert said.endswith(f": cannot be written (Not a directory); using {before} instead\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else(tmp_path: Path, before: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o500)
    used, said = _used(str(tmp_path / "theirs"))
    assert used == before
    assert "cannot be written (Permission denied)" in said


def test_a_full_disk(small_disk: Path, before: Path) -> None:
    used, said = _used(str(small_disk))
    assert used == before
    assert said == f"scratch {small_disk}: only 1.05 MB free; using {before} instead\n"


def test_nothing_need_be_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with local_folder(str(tmp_path / "file"), None):
        pass


def test_an_error_within_restores_as_well(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), local_folder(str(tmp_path / "disk"), None):
        _ = 1 / 0
    assert not list((tmp_path / "disk").iterdir())


def test_no_variable_before_is_none_after(
    tmp_path: Path, before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR")
    with local_folder(str(tmp_path / "disk"), None):
        assert os.environ["TMPDIR"].startswith(str(tmp_path / "disk"))
    assert "TMPDIR" not in os.environ
    monkeypatch.setenv("TMPDIR", str(before))
    tempfile.tempdir = None


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    """As those of a job that was requeued; folders of others and of other machines stay."""
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    scratch, here = tmp_path / "disk", socket.gethostname()
    names = {f"jrflow-{here}-{gone.pid}-x": False, f"jrflow-{here}-{os.getpid()}-x": True}
    names |= {f"jrflow-other-{gone.pid}-x": True, "mine": True, f"jrflow-{here}-x-1": True}
    for name in names:
        (scratch / name).mkdir(parents=True)
    with local_folder(str(scratch), None):
        assert {name: (scratch / name).exists() for name in names} == names
