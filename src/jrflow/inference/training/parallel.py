"""Several ranks that train one network: their numbers, and their communication.

A launcher (Slurm through submitit, or torchrun) starts one process for each GPU, or several on CPUs, and
tells each by the environment variables RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT who it is.
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

#: So long may the first rank take for what the others only wait for. Should its process end before, they are
#: told at once by its closed connection.
_PATIENCE = timedelta(days=7)
#: So long may leaving take after an error, s; NCCL may wait for ranks that will never answer.
_LEAVING = 10.0
_LOOPBACK, _LOOPBACK_INTERFACE = "127.0.0.1", "lo"
#: Buffers are constants, alike from the start: DDP need not send them along at each step. Newer versions of
#: PyTorch call this differently and warn of the old name.
_NEW_NAME = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
_CONSTANT_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if _NEW_NAME else "broadcast_buffers": False}


class RanksError(RuntimeError):
    """Ranks do not find one another, or do not agree."""


@dataclass(frozen=True)
class Ranks:
    """One process among those that train one network.

    Attributes
    ----------
    rank, world_size
        Number of this rank, from 0, and of all.
    device
        Where it computes.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    #: Group in which one may wait for long, over CPUs.
    _waiting: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def alone(cls, device: str | torch.device = "cpu") -> Ranks:
        """A single process."""
        return cls(device=torch.device(device))

    @property
    def is_first(self) -> bool:
        """Whether this rank writes and speaks for all."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there are no others."""
        return self.world_size == 1

    def share(self, n: int) -> tuple[slice, int]:
        """Share that this rank takes of ``n`` simulations: their positions, and how many count.

        A share is never empty, for every rank must take part in every step: where there are fewer
        simulations than ranks, those left over take one that does not count.
        """
        if self.rank < n:
            return slice(self.rank, None, self.world_size), len(range(self.rank, n, self.world_size))
        return slice(0, 1), 0

    def sum(self, values: torch.Tensor, *, patiently: bool = False) -> torch.Tensor:
        """Sum over the ranks, of a tensor of one shape on all of them, wherever it is.

        Patiently where some may take longer by more than the time in which ranks wait for one another.
        """
        if self.is_alone:
            return values
        group, device = (self._waiting, torch.device("cpu")) if patiently else (None, self.device)
        total = values.to(device, copy=True)
        dist.all_reduce(total, group=group)
        return total.to(values.device)

    def gather(self, value: int) -> list[int]:
        """What each rank says."""
        said = torch.zeros(self.world_size, dtype=torch.int64)
        said[self.rank] = value
        return [int(number) for number in self.sum(said)]

    def ask_first(self, action: Callable[[], bool]) -> bool:
        """Let the first rank do something, while the others wait; all get its answer.

        Raises
        ------
        RanksError
            On the other ranks, if it failed there.
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
        """Give all ranks the first one's weights."""
        if not self.is_alone:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Make all ranks start from the first one's weights, and average their gradients at each step.

        PyTorch's own DistributedDataParallel does it: the loop is ours already, and a trainer around it would
        be one more dependency that owns checkpoints and devices. A single process needs none, and keeps
        its results to the last bit.
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
        How long a rank waits for another, s; where one hangs, the others then end with an error.

    Yields
    ------
    Ranks
        Alone where WORLD_SIZE is missing or 1. On a GPU where there is one: that of number LOCAL_RANK modulo
        the number seen, for a launcher may show every rank its own GPU only.

    Raises
    ------
    RanksError
        If variables are missing or contradict one another, or not all ranks came in time.
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
            f"This was rank {rank} of {world_size}. Where it speaks of a connection or of time, another rank "
            "has ended or hangs: see what that one said last"
        )
        # A daemon, so that the process ends even if this does not.
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
        # Only now all are known to be there, so that nobody waits in the patient group for one who is not.
        ranks = Ranks(rank, world_size, device)
        ranks.sum(torch.ones(1))
        return Ranks(rank, world_size, device, dist.new_group(backend="gloo", timeout=_PATIENCE))
    except RuntimeError as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise RanksError(
            f"rank {rank}: expected {world_size} ranks to meet at {address} within "
            f"{timeout.total_seconds():g} s, but they did not: {error}. See whether all were given the "
            "same WORLD_SIZE, MASTER_ADDR and MASTER_PORT, whether that port is free and open between "
            "the nodes, and whether each has a GPU of its own"
        ) from error


def _store(rank: int, world_size: int, timeout: timedelta) -> Any:
    """Where ranks meet: listening on the loopback interface if all are on this machine.

    PyTorch's own would listen on all interfaces, without asking who connects. Ranks on several machines meet
    at the address that MASTER_ADDR stands for. None: torchrun's own place is used.
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
    """Socket at one address only; None where others could not reach it: then PyTorch listens on all."""
    family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    if address != _LOOPBACK and ipaddress.ip_address(place[0]).is_loopback:
        return None  # some machines know their own name by such an address only
    try:
        return socket.create_server(place[:2], family=family, backlog=1024)
    except OSError as error:
        raise RuntimeError(f"{address}:{port} cannot be listened on ({error})") from error


def _placed(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, number of ranks and rank on this machine, as the environment says."""
    world_size = _number(environment, "WORLD_SIZE", 1, None) if "WORLD_SIZE" in environment else 1
    names = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if not environment.get(name)]
    if world_size > 1 and missing:
        raise RanksError(
            f"WORLD_SIZE is {world_size}, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            "missing: expected all of RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as torchrun "
            "or submitit set them; start it by one of these, or unset WORLD_SIZE to train in one process"
        )
    if world_size > 1:
        _number(environment, "MASTER_PORT", 1, 65535)
    rank, local_rank = (
        _number(environment, name, 0, world_size - 1) if environment.get(name) else 0 for name in names[:2]
    )
    if local_rank > rank:
        raise RanksError(
            f"RANK is {rank}, but LOCAL_RANK is {local_rank}: expected no more ranks on this machine before "
            "this one than there are in all; set LOCAL_RANK to its number among the ranks of this machine"
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
    # Without it, cuDNN's LSTM may differ in the last bits from one run to the next.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
