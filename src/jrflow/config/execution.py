"""How the work is carried out: settings that must not change results."""

import os
import re
from typing import Literal

from pydantic import Field, model_validator

from jrflow.config.fault import ContradictionError
from jrflow.config.section import Section

_PREFIXES = ("", "k", "M", "G", "T")


class ExecutionConfig(Section):
    """Workers, shards and the safety of the connections between them."""

    backend: Literal["local", "in-process", "scheduler"] = "local"
    """local: Dask worker processes on this machine; in-process: no workers, for debugging; scheduler:
    the workers of a Dask scheduler that already runs."""
    scheduler: str | None = Field(None, pattern=r"^(tls|tcp)://\S+:\d+$")
    """Address of the Dask scheduler if backend is scheduler, such as tls://host:8786. For tls, name its
    certificates in Dask's own configuration (distributed.comm.tls)."""
    n_workers: int = Field(0, ge=0, le=100_000)
    """Number of worker processes; 0: one for each core that this process may use."""
    memory_per_worker: str = Field("2GiB", pattern=r"^\d+(\.\d+)?\s?([kMGT]i?)?B$")
    """Memory above which Dask restarts a worker: a number and its unit, such as 500MB or 2GiB."""
    shard_size: int | None = Field(None, ge=1)
    """Simulations per shard, a multiple of chunk_size. One task simulates a shard and writes it as one file.
    null: shards of 20 to 130 MB, and at least eight shards in a campaign that is large enough."""
    chunk_size: int | None = Field(None, ge=1)
    """Simulations per compressed chunk within a shard, the smallest part that can be read. null: about
    1 MB."""
    shards_per_block: int = Field(0, ge=0)
    """Number of shards that one job of the workflow simulates; 0 makes each campaign one job."""
    tls: bool = True
    """Encrypt and authenticate the connections between scheduler and workers."""

    @model_validator(mode="after")
    def _aligned(self) -> "ExecutionConfig":
        if self.shard_size and self.chunk_size and self.shard_size % self.chunk_size:
            nearest = max(1, round(self.shard_size / self.chunk_size)) * self.chunk_size
            raise ContradictionError(
                f"shard_size ({self.shard_size}) must be a multiple of chunk_size ({self.chunk_size}), "
                f"for instance {nearest}",
                "shard_size",
                "chunk_size",
            )
        return self

    @model_validator(mode="after")
    def _reachable(self) -> "ExecutionConfig":
        if (self.backend == "scheduler") != (self.scheduler is not None):
            raise ContradictionError(
                "backend: scheduler and the scheduler's address belong together: give both, or neither; "
                f"received backend {self.backend!r} and scheduler {self.scheduler!r}",
                "backend",
                "scheduler",
            )
        if self.scheduler and self.tls != self.scheduler.startswith("tls://"):
            raise ContradictionError(
                f"scheduler {self.scheduler!r} and tls: {str(self.tls).lower()} contradict each other; "
                "anyone who reaches a scheduler at tcp:// can run code on it: prefer tls://",
                "scheduler",
                "tls",
            )
        return self

    @property
    def memory_bytes(self) -> float:
        """Memory per worker, bytes."""
        number, prefix, binary = re.findall(r"([\d.]+)\s?([kMGT]?)(i?)B", self.memory_per_worker)[0]
        return float(number) * (1024 if binary else 1000) ** _PREFIXES.index(prefix)

    @property
    def n_cores(self) -> int:
        """Worker processes; of a scheduler elsewhere those that n_workers says it has, at least one."""
        if self.backend == "in-process":
            return 1
        here = len(os.sched_getaffinity(0)) if self.backend == "local" else 1
        return self.n_workers or here
