"""What the jobs of a run ask for on a cluster, and how a campaign is divided into jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from jrflow.config.cluster import SHARING, ClusterConfig
from jrflow.config.config import Config
from jrflow.config.shards import shard_count, worker_bytes
from jrflow.planning.cost import block_timer, sealing_seconds
from jrflow.planning.packing import fitting_shards_per_block, requested_mb, requested_minutes

#: Of the longest time limit, so much may be expected: expectations are wrong by a factor.
_CAUTION = 4


@dataclass(frozen=True)
class Workers:
    """Threads and devices that share a stage's work.

    Attributes
    ----------
    threads
        Threads of each process.
    devices, device
        Number and kind of the devices of a training.
    """

    threads: int = 1
    devices: int = 1
    device: Literal["cpu", "gpu"] = "cpu"


ONE_CORE = Workers()


class Step(Protocol):
    """A step of the analysis, as far as planning knows it: see :class:`jrflow.stages.stage.Stage`."""

    def seconds(self, config: Config, name: str = ..., workers: Workers = ...) -> float:
        """Expected time, s."""
        ...

    def bytes(self, config: Config, name: str = ...) -> float:
        """Expected memory, bytes."""
        ...


@dataclass(frozen=True)
class _Division:
    """How a campaign is divided into jobs, and what these are expected to take.

    Attributes
    ----------
    shards_per_block
        Shards of one job; 0: a single job does the campaign.
    n_blocks, cores
        Jobs that simulate, and workers of each.
    block_s, rest_s
        A block's time, and that of the campaign's own job, which seals it, s.
    block_bytes, rest_bytes
        Memory of their workers.
    """

    shards_per_block: int
    n_blocks: int
    cores: int
    block_s: float
    rest_s: float
    block_bytes: float
    rest_bytes: float


@dataclass(frozen=True)
class Requests:
    """Requests of one run on one cluster.

    Attributes
    ----------
    config, cluster
        The run, and where it is carried out.
    n_regions
        Regions of its connectome, or 1.
    n_cores
        Cores of this machine that may be used, where nothing is submitted.
    """

    config: Config
    cluster: ClusterConfig
    n_regions: int
    n_cores: int

    def shards_per_block(self, campaign: str) -> int:
        """Number of shards of one job; 0: a single job does the campaign.

        What the configuration says holds; else, where Snakemake submits the blocks, they are as large as
        the cluster's shortest and longest job allow.
        """
        return self._divisions[campaign].shards_per_block

    def n_blocks(self, campaign: str) -> int:
        """Number of jobs that simulate a campaign."""
        return self._divisions[campaign].n_blocks

    def cores(self, campaign: str) -> int:
        """Workers of one job that simulates: no more than it has shards."""
        return self._divisions[campaign].cores

    def is_short(self, campaign: str) -> bool:
        """Whether what is left for the campaign's own job is too short for one, and fits a shared one."""
        seconds = self._divisions[campaign].rest_s
        return seconds < 60 * self.cluster.shortest_job and self._fits_shared(seconds)

    def shares_job(self, step: Step, name: str) -> bool:
        """Whether a step of the analysis is short enough to share a job with others."""
        return self._fits_shared(step.seconds(self.config, name))

    def campaign(self, campaign: str, attempt: int) -> tuple[int, int]:
        """Minutes and MB of a campaign's own job, which simulates what no block has."""
        division = self._divisions[campaign]
        minutes = self._minutes(division.rest_s, attempt, shared=self.is_short(campaign))
        return minutes, requested_mb(division.rest_bytes, attempt)

    def block(self, campaign: str, attempt: int) -> tuple[int, int]:
        """Minutes and MB of one block."""
        division = self._divisions[campaign]
        minutes = self._minutes(division.block_s, attempt, shared=False)
        return minutes, requested_mb(division.block_bytes, attempt)

    def analysis(self, step: Step, name: str, attempt: int) -> tuple[int, int]:
        """Minutes and MB of a step of the analysis."""
        seconds = step.seconds(self.config, name)
        minutes = self._minutes(seconds, attempt, shared=self._fits_shared(seconds))
        return minutes, requested_mb(step.bytes(self.config, name), attempt)

    def expected(self, step: Step, name: str) -> tuple[int, int]:
        """Seconds and bytes of a step that submits jobs itself, on the processors that it will have there."""
        training = self.cluster.training
        device: Literal["cpu", "gpu"] = "gpu" if training.gpus_per_node else "cpu"
        workers = Workers(training.cores_per_rank, training.nodes * training.ranks, device)
        if self.cluster.cluster == "in-process":
            workers = ONE_CORE
        return math.ceil(step.seconds(self.config, name, workers)), math.ceil(step.bytes(self.config, name))

    @cached_property
    def _divisions(self) -> dict[str, _Division]:
        """Of every campaign, once: Snakemake asks several times for each of perhaps thousands of jobs."""
        return {name: self._division(name) for name in self.config.campaigns}

    def _division(self, campaign: str) -> _Division:
        n_shards = shard_count(self.config, campaign, self.n_regions)
        per_block = self._fitting(campaign, n_shards)
        n_blocks = -(-n_shards // per_block) if per_block else 1
        here = self.config.execution.n_workers or self.n_cores
        most = self.cluster.cores if self.cluster.cluster == "slurm" else here
        cores = min(per_block or n_shards, most)
        seconds = block_timer(self.config, campaign, self.n_regions, cores)
        sealing = sealing_seconds(self.config, campaign, self.n_regions)
        worker = worker_bytes(self.config, campaign, self.n_regions)
        divided = n_blocks > 1
        return _Division(
            shards_per_block=per_block, n_blocks=n_blocks, cores=cores,
            block_s=seconds(per_block or n_shards), rest_s=seconds(0 if divided else n_shards) + sealing,
            block_bytes=cores * worker, rest_bytes=worker if divided else cores * worker,
        )  # fmt: skip

    def _fitting(self, campaign: str, n_shards: int) -> int:
        """Shards of one job of a campaign of so many; 0: all of them."""
        said = self.config.execution.shards_per_block
        if self.cluster.spreads:
            return 0
        if said or self.cluster.cluster != "slurm":
            return said
        fitting = fitting_shards_per_block(
            self.config, campaign, self.n_regions, min(n_shards, self.cluster.cores),
            shortest_s=60 * self.cluster.shortest_job, longest_s=60 * self.cluster.longest_job / _CAUTION,
            most_jobs=self.cluster.most_jobs,
        )  # fmt: skip
        return fitting if fitting < n_shards else 0

    @property
    def _shared_minutes(self) -> int:
        """Longest time of a step in a shared job: Snakemake adds them up, and asks for the sum."""
        return max(1, self.cluster.longest_job // SHARING)

    def _minutes(self, seconds: float, attempt: int, *, shared: bool) -> int:
        longest = self._shared_minutes if shared else self.cluster.longest_job
        return min(requested_minutes(seconds, attempt), longest)

    def _fits_shared(self, seconds: float) -> bool:
        return requested_minutes(seconds, 1) <= self._shared_minutes
