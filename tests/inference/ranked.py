"""Ranks as real processes on one machine, and what may happen to one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import torch
import xarray as xr

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.inference.from_archives import train_model
from jrflow.inference.training.parallel import Ranks, joined_ranks
from jrflow.inference.training.session import Session
from jrflow.observe.noise import EvokedNoise

#: So long may anything take that should take a moment, s: the machine may be busy.
PATIENCE = 60.0

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["jrflow.inference.from_archives", "jrflow.inference.training.parallel"])


@dataclass(frozen=True)
class Fault:
    """What happens to one rank, before an epoch (from 0)."""

    what: Literal["kill", "raise", "hang"]
    rank: int
    epoch: int


@dataclass(frozen=True)
class Job:
    """A training as a launcher would start it."""

    store: Path
    lead_field: xr.DataArray
    levels: dict[str, EvokedNoise]
    config: TrainingConfig
    network: NetworkConfig
    folder: Path
    fault: Fault | None = None
    timeout_s: float = 30.0

    def here(self, **arguments: Any) -> Any:
        """Train in this process."""
        inputs = self.store, self.lead_field, self.levels, self.config, self.network, 0, self.folder
        return train_model(*inputs, **({"progress": None} | arguments))


@dataclass(frozen=True)
class Rank:
    process: BaseProcess
    log: Path

    def ends(self, seconds: float = PATIENCE) -> tuple[int, str]:
        """Its exit code and all that it said."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds:g} s: {self.said}"
        return self.process.exitcode, self.said

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def hears(self, text: str) -> None:
        """Wait until it says something."""
        give_up = time.monotonic() + PATIENCE
        while text not in self.said:
            assert self.process.is_alive(), self.said
            assert time.monotonic() < give_up, self.said
            time.sleep(0.02)


@contextmanager
def ranks_of(job: Job, n: int, logs: Path) -> Iterator[list[Rank]]:
    """Start a job on n ranks, without a launcher's variables where n is 1; kill what is left at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs.mkdir(parents=True, exist_ok=True)
    ranks = []
    for rank in range(n):
        told = {
            "RANK": rank,
            "WORLD_SIZE": n,
            "LOCAL_RANK": rank,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        log = logs / f"{time.monotonic_ns()}-{rank}.log"
        environment = {name: str(value) for name, value in told.items()} if n > 1 else {}
        process = _PROCESSES.Process(target=_main, args=(job, environment, str(log)), daemon=True)
        process.start()
        ranks.append(Rank(process, log))
    try:
        yield ranks
    finally:
        for each in ranks:
            each.process.kill()
            each.process.join()


def _main(job: Job, environment: dict[str, str], log: str) -> None:
    said = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.environ.update(environment | {"OMP_NUM_THREADS": "1"})
    torch.set_num_threads(1)
    with joined_ranks(job.timeout_s) as ranks:
        _arm(job.fault, ranks)
        model = job.here(progress=sys.stderr, ranks=ranks)
        weights = torch.cat([tensor.double().ravel() for tensor in model.network.state_dict().values()])
        _say(f"weights: {hash(tuple(weights.tolist()))}")
        _say(f"rank {ranks.rank} is told; model: {(job.folder / 'model.json').exists()}")


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def _arm(fault: Fault | None, ranks: Ranks) -> None:
    original = Session.run_epoch

    def run_epoch(session: Session) -> None:
        if fault is not None and (session.epoch, ranks.rank) == (fault.epoch, fault.rank):
            _say(f"now: {fault.what}")
            if fault.what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault.what == "raise":
                raise ArithmeticError("as it was asked to")
            time.sleep(PATIENCE)
        _say(f"at epoch {session.epoch}")
        original(session)

    Session.run_epoch = run_epoch  # type: ignore[method-assign]
