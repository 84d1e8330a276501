"""What the jobs of a run ask for on a cluster, and how a campaign is divided into jobs."""

from __future__ import annotations

from dataclasses import dataclass

from jrflow.config.cluster import ClusterConfig
from jrflow.config.config import Config
from jrflow.config.cost import block_seconds, sealing_seconds
from jrflow.config.packing import fitting_shards_per_block, requested_mb, requested_minutes
from jrflow.config.shards import shard_count, worker_bytes
from jrflow.config.stages import Rule, analysis_bytes, analysis_seconds

#: Of the longest time limit, so much may be expected: expectations are wrong by a factor.
_CAUTION = 4


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
        said = self.config.execution.shards_per_block
        if self.cluster.spreads:
            return 0
        if said or self.cluster.cluster != "slurm":
            return said
        n_shards = shard_count(self.config, campaign, self.n_regions)
        fitting = fitting_shards_per_block(
            self.config, campaign, self.n_regions, min(n_shards, self.cluster.cores),
            shortest_s=60 * self.cluster.shortest_job, longest_s=60 * self.cluster.longest_job / _CAUTION,
            most_jobs=self.cluster.most_jobs,
        )  # fmt: skip
        return fitting if fitting < n_shards else 0

    def n_blocks(self, campaign: str) -> int:
        """Number of jobs that simulate a campaign."""
        per_block = self.shards_per_block(campaign)
        return -(-shard_count(self.config, campaign, self.n_regions) // per_block) if per_block else 1

    def cores(self, campaign: str) -> int:
        """Workers of one job that simulates: no more than it has shards."""
        n_shards = self.shards_per_block(campaign) or shard_count(self.config, campaign, self.n_regions)
        here = self.config.execution.n_workers or self.n_cores
        return min(n_shards, self.cluster.cores if self.cluster.cluster == "slurm" else here)

    def is_short(self, campaign: str) -> bool:
        """Whether what is left for the campaign's own job is too short for a job."""
        return self._campaign_seconds(campaign) < 60 * self.cluster.shortest_job

    def campaign(self, campaign: str, attempt: int) -> tuple[int, int]:
        """Minutes and MB of a campaign's own job, which simulates what no block has."""
        n_workers = 1 if self.n_blocks(campaign) > 1 else self.cores(campaign)
        return self._simulating(campaign, n_workers, self._campaign_seconds(campaign), attempt)

    def block(self, campaign: str, attempt: int) -> tuple[int, int]:
        """Minutes and MB of one block."""
        n_shards = self.shards_per_block(campaign) or shard_count(self.config, campaign, self.n_regions)
        seconds = block_seconds(self.config, campaign, self.n_regions, n_shards, self.cores(campaign))
        return self._simulating(campaign, self.cores(campaign), seconds, attempt)

    def analysis(self, rule: Rule, name: str, attempt: int) -> tuple[int, int]:
        """Minutes and MB of a step of the analysis."""
        seconds = analysis_seconds(self.config, rule, name)
        return self._minutes(seconds, attempt), requested_mb(analysis_bytes(self.config, rule, name), attempt)

    def _campaign_seconds(self, campaign: str) -> float:
        n_blocks = self.n_blocks(campaign)
        n_shards = 0 if n_blocks > 1 else shard_count(self.config, campaign, self.n_regions)
        simulating = block_seconds(self.config, campaign, self.n_regions, n_shards, self.cores(campaign))
        return simulating + sealing_seconds(self.config, campaign, self.n_regions)

    def _simulating(self, campaign: str, n_workers: int, seconds: float, attempt: int) -> tuple[int, int]:
        n_bytes = n_workers * worker_bytes(self.config, campaign, self.n_regions)
        return self._minutes(seconds, attempt), requested_mb(n_bytes, attempt)

    def _minutes(self, seconds: float, attempt: int) -> int:
        return min(requested_minutes(seconds, attempt), self.cluster.longest_job)
