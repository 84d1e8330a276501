"""What jobs ask for is worked out once for each campaign, however many jobs ask."""

from __future__ import annotations

from typing import Any

import pytest

from jrflow.config import Config
from jrflow.config.cluster import HERE, ClusterConfig
from jrflow.config.shards import shard_count
from jrflow.planning import packing, requests
from jrflow.planning.requests import Requests


@pytest.fixture
def config() -> Config:
    """4,096 shards, which the cost model divides into jobs."""
    return Config.model_validate(
        {
            "priors": {"half": {"kind": "relative-uniform"}},
            "campaigns": {"train": {"design": "prior", "n": 262_144, "prior": "half"}},
            "execution": {"shard_size": 64},
        }
    )


def test_a_campaign_is_divided_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    divided, fitting = [], packing.fitting_shards_per_block

    def counted(*arguments: Any, **more: Any) -> int:
        divided.append(arguments)
        return fitting(*arguments, **more)

    monkeypatch.setattr(requests, "fitting_shards_per_block", counted)
    asked = Requests(config, ClusterConfig(shortest_job=0, longest_job=1, cores=2), 1, 2)
    for attempt in (1, 2, 1, 2):
        assert asked.block("train", attempt)[0] >= 1
        assert asked.cores("train") == 2
    assert len(divided) == 1


def test_blocks_hold_all_shards(config: Config) -> None:
    for cluster in (ClusterConfig(shortest_job=0, longest_job=1, cores=2), ClusterConfig(most_jobs=7)):
        asked = Requests(config, cluster, 1, 2)
        per_block = asked.shards_per_block("train") or shard_count(config, "train", 1)
        assert 0 <= per_block * asked.n_blocks("train") - shard_count(config, "train", 1) < per_block
    assert Requests(config, HERE, 1, 2).n_blocks("train") == 1
