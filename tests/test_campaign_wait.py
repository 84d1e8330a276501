"""Waiting for another process that is at work on the same simulations (``--wait``)."""

from __future__ import annotations

import io
import math
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jrflow.archive.lock import CampaignBusyError, claim_shards
from jrflow.archive.paths import place
from jrflow.campaign.run import run_block, run_campaign
from jrflow.cli import main
from jrflow.config import Config

#: Hold some shards, or all, until the input ends.
_HOLD = """
import sys
from jrflow.archive.lock import claim_shards
from jrflow.archive.paths import place
store, *n = sys.argv[1:]
with claim_shards(place(store), range(int(n[0])) if n else None):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(store: Path, *n: int) -> Iterator[tuple[int, Callable[[], None]]]:
    """A process that holds all shards, or the first n: its number, and what ends it."""
    command = [sys.executable, "-c", _HOLD, str(store), *map(str, n)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid, process.stdin.close


class Listener(io.StringIO):
    """A stream that does something as soon as somebody says that he waits."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def write(self, text: str) -> int:
        if "waiting for" in text:
            self._then()
        return super().write(text)

    def assert_waited_for(self, pid: int) -> None:
        waiting = f"train.zarr: waiting for process {pid} on {socket.gethostname()} (all shards, since 20"
        assert self.getvalue().count(waiting) == 1


@pytest.fixture
def config(tiny_config: Callable[..., Config]) -> Config:
    return tiny_config()


def test_who_waits_does_what_is_left(config: Config, tmp_path: Path) -> None:
    with another_process(tmp_path / "train.zarr") as (pid, go):
        with pytest.raises(CampaignBusyError, match=f"at work on it: process {pid} on"):
            run_campaign(config, "train", tmp_path, progress=None)
        said = Listener(go)
        assert run_block(config, "train", tmp_path, (1, 2), progress=said, wait=math.inf) == 64
    said.assert_waited_for(pid)
    with another_process(tmp_path / "train.zarr") as (pid, go):
        said = Listener(go)
        run_campaign(config, "train", tmp_path, progress=said, wait=math.inf)
    said.assert_waited_for(pid)
    assert "shards done: 2 of 4" in said.getvalue()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.json", "train.zarr"]


def test_what_the_other_has_finished_is_returned(config: Config, tmp_path: Path) -> None:
    done = run_campaign(config, "train", tmp_path, progress=None)
    manifest, hidden = tmp_path / "train.json", tmp_path / "hidden"
    for block in (None, (1, 1)):
        manifest.rename(hidden)  # so that it is sealed while this one waits
        with another_process(tmp_path / "train.zarr") as (pid, go):
            said = Listener(lambda go=go: (hidden.rename(manifest), go()))
            if block is None:
                assert run_campaign(config, "train", tmp_path, progress=said, wait=math.inf) == done
            else:
                assert run_block(config, "train", tmp_path, block, progress=said, wait=math.inf) == 0
        said.assert_waited_for(pid)
        assert "shards" not in said.getvalue().replace("all shards", "")


def test_patience_ends(tmp_path: Path) -> None:
    store = place(tmp_path / "train.zarr")
    with another_process(tmp_path / "train.zarr", 3):
        began = time.monotonic()
        with (
            pytest.raises(CampaignBusyError, match=r"\(shards 0 to 2, since"),
            claim_shards(store, range(2, 4), wait=0.3),
        ):
            pass
        assert 0.3 <= time.monotonic() - began < 20
        with claim_shards(store, range(3, 4)):
            pass


def test_the_command_waits(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(config.model_dump_json())  # JSON is YAML
    command = ["campaign", str(path), "train", "--out", str(tmp_path)]
    with another_process(tmp_path / "train.zarr") as (pid, go):
        said = Listener(go)
        monkeypatch.setattr(sys, "stderr", said)
        assert main(command) == 2
        assert "another process is at work on it" in said.getvalue()
        assert main([*command, "--wait"]) == 0
    said.assert_waited_for(pid)
