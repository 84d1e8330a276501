"""One campaign from its configuration to a sealed archive: design, simulation, sealing."""

from jrflow.campaign.run import run_campaign
from jrflow.campaign.shard import MapShards, ShardTask, simulate_shard

__all__ = ["MapShards", "ShardTask", "run_campaign", "simulate_shard"]
