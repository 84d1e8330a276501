"""How the work is carried out: settings that must not change results."""

import re
from typing import Literal

from pydantic import Field, model_validator

from jrflow.config.section import Section

_PREFIXES = ("", "k", "M", "G", "T")


class ExecutionConfig(Section):
    """Workers, shards and the safety of the connections between them."""

    backend: Literal["local", "in-process"] = "local"
    """local: Dask worker processes on this machine; in-process: no workers, for debugging."""
    n_workers: int = Field(0, ge=0)
    """Number of worker processes; 0 takes one for each core this process may use."""
    memory_per_worker: str = Field("2GiB", pattern=r"^\d+(\.\d+)?\s?([kMGT]i?)?B$")
    """Limit at which Dask restarts a worker: a number and its unit, such as 500MB or 2GiB."""
    shard_size: int = Field(4096, ge=1)
    """Simulations per shard: one task, one file, one atomic write; a multiple of chunk_size."""
    chunk_size: int = Field(256, ge=1)
    """Simulations per compressed chunk within a shard: the unit of reading."""
    tls: bool = True
    """Encrypt and authenticate the connections between scheduler and workers."""

    @model_validator(mode="after")
    def _aligned(self) -> "ExecutionConfig":
        if self.shard_size % self.chunk_size:
            nearest = max(1, round(self.shard_size / self.chunk_size)) * self.chunk_size
            raise ValueError(
                f"shard_size ({self.shard_size}) must be a multiple of chunk_size ({self.chunk_size}), "
                f"for instance {nearest}"
            )
        return self

    @property
    def memory_bytes(self) -> float:
        """Memory per worker, bytes."""
        number, prefix, binary = re.findall(r"([\d.]+)\s?([kMGT]?)(i?)B", self.memory_per_worker)[0]
        return float(number) * (1024 if binary else 1000) ** _PREFIXES.index(prefix)
