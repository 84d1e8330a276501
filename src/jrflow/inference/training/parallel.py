"""Ranks: several processes that train one network together, and their communication.

A launcher (Slurm through submitit, or torchrun) starts one process for each GPU, or several processes on
CPUs. It numbers the ranks with the environment variables RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and
MASTER_PORT.
"""

from __future__ import annotations

import inspect
import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

#: Longest time that ranks wait while the first rank works alone. If its process ends, the closed connection
#: ends the wait immediately.
_PATIENCE = timedelta(days=7)
#: Longest time to leave the process group after an error, s; NCCL may wait for ranks that never answer.
_LEAVING = 10.0
_LOOPBACK, _LOOPBACK_INTERFACE = "127.0.0.1", "lo"
#: Buffers are constant and equal on all ranks, so DDP need not send them at each step. Newer versions of
#: PyTorch use another name for this option and warn about the old name.
_NEW_NAME = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
_CONSTANT_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if _NEW_NAME else "broadcast_buffers": False}


class RanksError(RuntimeError):
    """Ranks cannot connect to each other, or do not agree."""


@dataclass(frozen=True)
class Ranks:
    """One process among those that train one network.

    Attributes
    ----------
    rank, world_size
        Number of this rank, from 0, and total number of ranks.
    device
        Device of this rank.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    #: Process group on CPUs with a long timeout.
    _waiting: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def alone(cls, device: str | torch.device = "cpu") -> Ranks:
        """A single process."""
        return cls(device=torch.device(device))

    @property
    def is_first(self) -> bool:
        """Whether this is the first rank, which writes files and messages."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is only one rank."""
        return self.world_size == 1

    def share(self, n: int) -> tuple[slice, int]:
        """Share of this rank in ``n`` simulations: positions, and number of simulations that count.

        A share is never empty, because every rank must take part in every step. If there are fewer
        simulations than ranks, the remaining ranks receive one simulation that does not count.
        """
        if self.rank < n:
            return slice(self.rank, None, self.world_size), len(range(self.rank, n, self.world_size))
        return slice(0, 1), 0

    def sum(self, values: torch.Tensor, *, patiently: bool = False) -> torch.Tensor:
        """Sum a tensor over the ranks; it must have the same shape on all ranks.

        Parameters
        ----------
        values
            Tensor on any device.
        patiently
            Whether to use the long timeout, because some ranks may need much longer than others.
        """
        if self.is_alone:
            return values
        group, device = (self._waiting, torch.device("cpu")) if patiently else (None, self.device)
        total = values.to(device, copy=True)
        dist.all_reduce(total, group=group)
        return total.to(values.device)

    def gather(self, value: int) -> list[int]:
        """Values of all ranks, in order of the rank."""
        said = torch.zeros(self.world_size, dtype=torch.int64)
        said[self.rank] = value
        return [int(number) for number in self.sum(said)]

    def ask_first(self, action: Callable[[], bool]) -> bool:
        """Run an action on the first rank while the others wait; return its result on all ranks.

        Raises
        ------
        RanksError
            On the other ranks, if the action failed on the first rank.
        """
        if self.is_alone:
            return action()
        answer = torch.tensor(-1)
        try:
            if self.is_first:
                answer = torch.tensor(int(action()))
        finally:
            dist.broadcast(answer, 0, group=self._waiting)
        if answer < 0:
            raise RanksError(f"rank {self.rank}: the first rank gave up; its own message says why")
        return bool(answer)

    def align(self, network: nn.Module) -> None:
        """Copy the weights of the first rank to all ranks."""
        if not self.is_alone:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Copy the weights of the first rank to all ranks, and average gradients over ranks at each step.

        This uses PyTorch's DistributedDataParallel. A trainer library would be one more dependency, with its
        own checkpoints and devices. A single process does not use it, so its results do not change.
        """
        if self.is_alone:
            return network
        self.align(network)
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, **_CONSTANT_BUFFERS)


#: A single process on the CPU.
ALONE = Ranks.alone()


@contextmanager
def joined_ranks(timeout_s: float = 300.0) -> Iterator[Ranks]:
    """Join the other ranks that a launcher has started, if any.

    Parameters
    ----------
    timeout_s
        Longest time that a rank waits for another, s. If one rank hangs, the others then end with an error.

    Yields
    ------
    Ranks
        This rank; a single rank if WORLD_SIZE is missing or 1. It uses a GPU if there is one: the GPU with
        the number LOCAL_RANK modulo the number of visible GPUs, because a launcher may show each rank only
        its own GPU.

    Raises
    ------
    RanksError
        If variables are missing or contradict each other, or some ranks do not connect in time.
    """
    rank, world_size, local_rank = _placed(os.environ)
    device = _device(local_rank)
    if world_size == 1:
        yield Ranks.alone(device)
        return
    ranks = _join(rank, world_size, device, timedelta(seconds=timeout_s))
    try:
        yield ranks
    except BaseException as error:
        error.add_note(
            f"This was rank {rank} of {world_size}. If the error is about a connection or a timeout, another "
            "rank has ended or hangs: see the end of that rank's log"
        )
        # Use a daemon thread, so that the process can end even if leaving the group hangs.
        leaving = threading.Thread(target=dist.destroy_process_group, daemon=True)
        leaving.start()
        leaving.join(_LEAVING)
        raise
    dist.destroy_process_group()


def _join(rank: int, world_size: int, device: torch.device, timeout: timedelta) -> Ranks:
    on_gpu = device.type == "cuda"
    try:
        dist.init_process_group(
            "nccl" if on_gpu else "gloo", rank=rank, world_size=world_size, timeout=timeout,
            device_id=device if on_gpu else None, store=_store(rank, world_size, timeout),
        )  # fmt: skip
        # All ranks are connected now. Create the group with the long timeout only after this point.
        ranks = Ranks(rank, world_size, device)
        ranks.sum(torch.ones(1))
        return Ranks(rank, world_size, device, dist.new_group(backend="gloo", timeout=_PATIENCE))
    except RuntimeError as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise RanksError(
            f"rank {rank}: expected {world_size} ranks to meet at {address} within "
            f"{timeout.total_seconds():g} s, but they did not: {error}. Check that all ranks have the "
            "same WORLD_SIZE, MASTER_ADDR and MASTER_PORT, that this port is free and open between "
            "the nodes, and that each rank has its own GPU"
        ) from error


def _store(rank: int, world_size: int, timeout: timedelta) -> Any:
    """Store through which ranks connect; it listens on the loopback interface if all are on this machine.

    PyTorch's default store would listen on all interfaces, without authentication. Ranks on several machines
    connect to the address of MASTER_ADDR. None to use the store of torchrun.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if os.environ.get("LOCAL_WORLD_SIZE") == str(world_size):
        address = _LOOPBACK
        if _LOOPBACK_INTERFACE in {name for _, name in socket.if_nameindex()}:
            os.environ |= dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), _LOOPBACK_INTERFACE)
    listening = _listening(address, port) if rank == 0 else None
    return dist.TCPStore(  # type: ignore[attr-defined]
        address, port, world_size, rank == 0, timeout,
        master_listen_fd=None if listening is None else listening.detach(),
    )  # fmt: skip


def _listening(address: str, port: int) -> socket.socket | None:
    """Socket at one address only; None if others cannot reach it: PyTorch then listens on all addresses."""
    family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    if address != _LOOPBACK and ipaddress.ip_address(place[0]).is_loopback:
        return None  # on some machines the host name stands for a loopback address
    try:
        return socket.create_server(place[:2], family=family, backlog=1024)
    except OSError as error:
        raise RuntimeError(f"cannot listen on {address}:{port} ({error})") from error


def _placed(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, number of ranks and rank on this machine, from the environment variables."""
    world_size = _number(environment, "WORLD_SIZE", 1, None) if "WORLD_SIZE" in environment else 1
    names = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if not environment.get(name)]
    if world_size > 1 and missing:
        raise RanksError(
            f"WORLD_SIZE is {world_size}, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            "missing: expected all of RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as torchrun "
            "or submitit set them; start the ranks with one of these, or unset WORLD_SIZE to train in one "
            "process"
        )
    if world_size > 1:
        _number(environment, "MASTER_PORT", 1, 65535)
    rank, local_rank = (
        _number(environment, name, 0, world_size - 1) if environment.get(name) else 0 for name in names[:2]
    )
    if local_rank > rank:
        raise RanksError(
            f"RANK is {rank}, but LOCAL_RANK is {local_rank}: expected a LOCAL_RANK of at most RANK; set "
            "LOCAL_RANK to the number of the rank among the ranks of this machine, from 0"
        )
    return rank, world_size, local_rank


def _number(environment: Mapping[str, str], name: str, low: int, high: int | None) -> int:
    text = environment[name]
    if text.isdecimal() and low <= int(text) and (high is None or int(text) <= high):
        return int(text)
    wanted = f"of {low} or more" if high is None else f"from {low} to {high}"
    if high is not None and name.endswith("RANK"):
        wanted += f" (WORLD_SIZE is {high + 1})"
    raise RanksError(f"{name}: expected a whole number {wanted}, received {text!r}; the launcher sets it")


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Without this setting, cuDNN's LSTM may differ in the last bits between runs.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
