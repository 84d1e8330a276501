"""Training on several ranks: the same as on one, whatever happens to one of them."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from ranked import Fault, Job, Rank, ranks_of
from safetensors.torch import load_file

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.training.checkpoint import Checkpoint, save_checkpoint
from jrflow.inference.training.model import load_model
from jrflow.inference.training.parallel import Ranks, RanksError, joined_ranks
from jrflow.inference.training.train import _agreed_checkpoint
from jrflow.lock import BusyError

#: Of 900 simulations the last batch has one.
TRAINING = TrainingConfig(batch_size=31, max_presentations=2700)
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=8)
FILES = ["history.csv", "model.json", "tensorboard", "weights.safetensors"]
COMPLETE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}


@pytest.fixture(scope="module")
def job(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Job]:
    def make(**changes: Any) -> Job:
        folder = tmp_path_factory.mktemp("job") / "model"
        store = experiment.store("train")
        return replace(
            Job(store, experiment.lead_field, experiment.levels, TRAINING, NETWORK, folder), **changes
        )

    return make


@pytest.fixture(scope="module")
def alone(job: Callable[..., Job]) -> Path:
    """Folder of the model that one process trained."""
    one = job()
    one.here()
    return one.folder


@pytest.fixture(scope="module")
def together(job: Callable[..., Job]) -> tuple[Path, list[str]]:
    """Folder of the model that two ranks trained, and what they said."""
    two = job()
    return two.folder, succeed(two, 2)


def succeed(job: Job, n: int) -> list[str]:
    with ranks_of(job, n, job.folder.parent) as ranks:
        ends = [rank.ends() for rank in ranks]
    assert all(code == 0 for code, _ in ends), ends
    return [said for _, said in ends]


def fail(job: Job, n: int, seconds: float = 30.0) -> list[tuple[int | None, str]]:
    """All ranks end with an error within a time, but for one that hangs."""
    with ranks_of(job, n, job.folder.parent) as ranks:
        assert job.fault is not None
        ranks[job.fault.rank].hears("now:")
        since = time.monotonic()
        hangs = ranks[job.fault.rank] if job.fault.what == "hang" else None
        ends = [(None, rank.said) if rank is hangs else rank.ends(seconds) for rank in ranks]
        assert time.monotonic() - since < seconds
    assert all(code != 0 for code, _ in ends), ends
    return ends


def assert_close(folder: Path, other: Path) -> None:
    """Same to rounding, but for the rare estimates that it moves."""
    histories = [pd.read_csv(path / "history.csv") for path in (folder, other)]
    pd.testing.assert_frame_equal(*histories, rtol=1e-4)
    weights = [load_file(path / "weights.safetensors") for path in (folder, other)]
    assert weights[0].keys() == weights[1].keys()
    ours, theirs = (load_model(path).description for path in (folder, other))
    assert ours.fingerprint == theirs.fingerprint
    np.testing.assert_allclose(ours.calibration_half_width, theirs.calibration_half_width, rtol=1e-2)


def assert_same(folder: Path, other: Path) -> None:
    for name in ("history.csv", "weights.safetensors"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    ours, theirs = (load_model(path).description for path in (folder, other))
    assert ours == theirs


def test_two_ranks_do_what_one_process_does(alone: Path, together: tuple[Path, list[str]]) -> None:
    folder, said = together
    assert_close(folder, alone)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    last = pd.read_csv(folder / "history.csv").iloc[-1]
    line = f"training on train: epoch 3 of 3, training loss {last.training_loss:.3g}, validation loss "
    assert line in said[0]
    assert line not in said[1]  # one speaks for all
    for rank in range(2):
        assert f"rank {rank} is told; model: True" in said[rank]  # not before it is saved


def test_two_ranks_do_what_one_process_does_with_muon(job: Callable[..., Job]) -> None:
    deep = NETWORK.model_copy(update={"optimiser": "muon", "head_layers": 1, "head_width": 16})
    one, two = job(network=deep), job(network=deep)
    one.here()
    weights = [re.findall("weights: (.*)", said) for said in succeed(two, 2)]
    assert len(weights[0]) == 1
    assert weights[0] == weights[1]
    assert_close(two.folder, one.folder)
    killed = job(network=deep, fault=Fault("kill", rank=1, epoch=2))
    fail(killed, 2)
    succeed(replace(killed, fault=None), 2)
    assert_same(killed.folder, two.folder)


def test_a_killed_rank_ends_all_and_what_they_left_goes_on(
    job: Callable[..., Job], alone: Path, together: tuple[Path, list[str]]
) -> None:
    killed = job(fault=Fault("kill", rank=1, epoch=2))
    (_, first), _ = fail(killed, 2)
    assert "This was rank 0 of 2. If the error is about a connection" in first
    with_one = replace(killed, folder=killed.folder.with_name("with-one"), fault=None)
    shutil.copytree(killed.folder, with_one.folder)

    said = succeed(replace(killed, fault=None), 2)
    assert [text.count("at epoch") for text in said] == [1, 1]
    assert "at epoch 2" in said[0]
    assert_same(killed.folder, together[0])

    with_one.here()
    assert_close(with_one.folder, alone)


def test_two_ranks_go_on_from_ones_checkpoint(job: Callable[..., Job], alone: Path) -> None:
    one = job(fault=Fault("kill", rank=0, epoch=1))
    fail(one, 1)
    assert (one.folder / ".lock").exists()  # a file is left, but nothing is locked
    said = succeed(replace(one, fault=None), 2)
    assert "at epoch 0" not in said[0]
    assert_close(one.folder, alone)


@pytest.mark.parametrize("what", ["raise", "hang"])
def test_no_rank_waits_for_ever(job: Callable[..., Job], what: Any) -> None:
    ends = fail(job(fault=Fault(what, rank=1, epoch=1), timeout_s=4.0), 2)
    assert "This was rank 0 of 2" in ends[0][1]
    if what == "raise":
        assert "ArithmeticError: as it was asked to" in ends[1][1]


def test_a_second_training_refuses_or_waits_and_takes_over(job: Callable[..., Job], alone: Path) -> None:
    holder = job(fault=Fault("hang", rank=0, epoch=1))
    second = replace(holder, fault=None)
    with ranks_of(holder, 1, holder.folder.parent) as (first,):
        first.hears("now: hang")
        who = rf"process {first.process.pid} on {socket.gethostname()} \(training on train, since 20"
        with pytest.raises(BusyError, match=f"model: another process is at work on it: {who}"):
            second.here()
        with ranks_of(second, 2, holder.folder.parent) as ranks:
            ends = [rank.ends() for rank in ranks]
        assert [code for code, _ in ends] == [1, 1]
        assert "BusyError" in ends[0][1]
        assert "RanksError: rank 1: the first rank gave up" in ends[1][1]

        said = Ending(first)
        model = second.here(progress=said, wait=60.0)
    assert said.getvalue().count("model: waiting for process") == 1
    assert_same(second.folder, alone)

    before = (second.folder / "model.json").stat().st_mtime_ns
    again = second.here()
    assert again.description == model.description
    assert (second.folder / "model.json").stat().st_mtime_ns == before
    changed = replace(second, config=TRAINING.model_copy(update={"max_presentations": 900}))
    assert changed.here().description.fingerprint != model.description.fingerprint


class Ending(io.StringIO):
    """A stream that ends the process that is waited for."""

    def __init__(self, rank: Rank) -> None:
        super().__init__()
        self._rank = rank

    def write(self, text: str) -> int:
        if "waiting for" in text:
            self._rank.process.kill()
        return super().write(text)


def test_ranks_that_see_different_checkpoints_are_an_error(tmp_path: Path) -> None:
    class SecondSeesNone:
        def gather(self, epoch: int) -> list[int]:
            return [epoch, 0]

    save_checkpoint(tmp_path, Checkpoint("ours", 3, [], {}, {}, {}))
    with pytest.raises(
        RanksError, match=r"but found rank 0 one of epoch 3, rank 1 one of epoch 0 \(0: none\).*late"
    ):
        _agreed_checkpoint(tmp_path, "ours", SecondSeesNone())  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 2, 3, 8, 10])
def test_shares_hold_every_simulation_once(n: int) -> None:
    shares = [Ranks(rank, 3).share(n) for rank in range(3)]
    taken = [np.arange(n)[share] for share, _ in shares]
    assert all(len(positions) > 0 for positions in taken)
    counted = [positions[:count] for positions, (_, count) in zip(taken, shares, strict=True)]
    assert sorted(np.concatenate(counted)) == list(range(n))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"RANK": "", "MASTER_PORT": ""},
            r"WORLD_SIZE is 2, but RANK, MASTER_PORT are missing: expected all of",
        ),
        ({"LOCAL_RANK": ""}, r"LOCAL_RANK is missing.*unset WORLD_SIZE to train in one process"),
        ({"RANK": "2"}, r"RANK: expected a whole number from 0 to 1 \(WORLD_SIZE is 2\), received '2'"),
        ({"RANK": "0"}, r"RANK is 0, but LOCAL_RANK is 1: expected a LOCAL_RANK of at most RANK"),
        ({"WORLD_SIZE": "two"}, r"WORLD_SIZE: expected a whole number of 1 or more, received 'two'"),
        ({"WORLD_SIZE": "1"}, r"RANK: expected a whole number from 0 to 0 \(WORLD_SIZE is 1\), received '1'"),
        ({"MASTER_PORT": "0"}, r"MASTER_PORT: expected a whole number from 1 to 65535, received '0'"),
    ],
)
def test_a_wrong_environment_is_an_error(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    for name, value in (COMPLETE | changes).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RanksError, match=message), joined_ranks():
        pass


def test_ranks_that_do_not_come_are_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (COMPLETE | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(
            RanksError, match=r"expected 2 ranks to meet at 127.0.0.1:1 within 1 s, but they did not"
        ),
        joined_ranks(1.0),
    ):
        pass


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COMPLETE:
        monkeypatch.delenv(name, raising=False)
    with joined_ranks() as ranks:
        assert (ranks.rank, ranks.world_size, ranks.is_first, ranks.is_alone) == (0, 1, True, True)
        assert ranks.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
        assert ranks.gather(7) == [7]


_LISTENS = """
import psutil, torch
from jrflow.inference.training.parallel import joined_ranks
with joined_ranks(60) as ranks:
    found = {c.laddr.ip for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN}
    ranks.sum(torch.ones(1))
    print(ranks.rank, *sorted(found))
"""


@pytest.mark.slow
def test_ranks_of_one_machine_listen_on_loopback_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": socket.gethostname()}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", _LISTENS], stdout=subprocess.PIPE, text=True,
            env=os.environ | shared | {"MASTER_PORT": str(port), "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]  # fmt: skip
    said = [rank.communicate(timeout=120)[0].split() for rank in ranks]
    assert [words[0] for words in said] == ["0", "1"]
    assert {ip for _, *ips in said for ip in ips} == {"127.0.0.1"}
