"""How campaigns are divided into jobs, and what these ask for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from jrflow.config import Config, load_config
from jrflow.config.cluster import HERE, ClusterConfig
from jrflow.config.shards import shard_count
from jrflow.planning.cost import block_seconds, sealing_seconds
from jrflow.planning.requests import Requests
from jrflow.stages import STAGES

ROOT = Path(__file__).parents[2]


def _requests(
    cluster: ClusterConfig, n: int = 4096, execution: dict[str, Any] | None = None, n_cores: int = 4
) -> Requests:
    config = Config.model_validate(
        {
            "priors": {"half": {"kind": "relative-uniform"}},
            "campaigns": {"train": {"design": "prior", "n": n, "prior": "half"}},
            "eeg": {"noise": {}},
            "inference": {},
            "execution": {"memory_per_worker": "64GiB"} | (execution or {}),
        }
    )
    return Requests(config, cluster, 1, n_cores)


def _block(requests: Requests, shards: int) -> float:
    return block_seconds(requests.config, "train", 1, shards, requests.cores("train"))


MILLIONS = 100_000_000


@pytest.mark.parametrize(
    "cluster",
    [HERE, ClusterConfig(cluster="local"), ClusterConfig(simulate="adaptive")],
    ids=["here", "local", "adaptive"],
)
def test_only_where_snakemake_submits_the_work_is_divided(cluster: ClusterConfig) -> None:
    requests = _requests(cluster, MILLIONS)
    assert requests.shards_per_block("train") == 0
    assert requests.n_blocks("train") == 1
    assert _requests(ClusterConfig(), MILLIONS).n_blocks("train") > 1


def test_what_the_configuration_says_holds() -> None:
    execution = {"shard_size": 512, "shards_per_block": 3}
    for cluster in (HERE, ClusterConfig()):
        requests = _requests(cluster, 4096, execution)
        assert requests.shards_per_block("train") == 3
        assert requests.n_blocks("train") == 3
    # But not where Dask spreads the simulations.
    assert _requests(ClusterConfig(simulate="adaptive"), 4096, execution).n_blocks("train") == 1


@given(
    n=st.integers(1, 50_000_000),
    cores=st.integers(1, 128),
    shortest=st.integers(0, 60),
    longer=st.floats(1.0, 100.0),
    most=st.integers(1, 1000),
)
@example(n=12484609, cores=1, shortest=1, longer=2.0, most=109)
@settings(max_examples=5 * settings().max_examples)
def test_blocks_keep_their_bounds(n: int, cores: int, shortest: int, longer: float, most: int) -> None:
    longest = max(1, round(shortest * longer))
    cluster = ClusterConfig(cores=cores, shortest_job=shortest, longest_job=longest, most_jobs=most)
    requests = _requests(cluster, n)
    n_shards, n_blocks = shard_count(requests.config, "train", 1), requests.n_blocks("train")
    assert 1 <= n_blocks <= most
    cores, per_block = requests.cores("train"), requests.shards_per_block("train") or n_shards
    # Of the limit a quarter may be expected, and the workflow gives each the same number, or one less.
    longest_s, largest, smallest = 60 * longest / 4, -(-n_shards // n_blocks), n_shards // n_blocks
    if _block(requests, largest) > longest_s:
        assert largest <= cores or -(-n_shards // (per_block - cores)) > most
    if n_blocks > 1 and _block(requests, smallest) < 60 * shortest:
        # Larger ones would be too long, or no fewer: the shortest would be as short.
        fewer = -(-n_shards // (per_block + cores))
        assert _block(requests, -(-n_shards // fewer)) > longest_s or n_shards // fewer == smallest
    assert requests.block("train", 9)[0] <= longest
    assert requests.campaign("train", 9)[0] <= longest


def test_a_small_campaign_is_one_job() -> None:
    requests = _requests(ClusterConfig(), 4096)
    assert requests.n_blocks("train") == 1
    assert requests.is_short("train")


def test_as_few_jobs_as_there_may_be() -> None:
    assert _requests(ClusterConfig(most_jobs=3, shortest_job=0), MILLIONS).n_blocks("train") <= 3


def test_later_attempts_ask_for_more_up_to_the_longest_time() -> None:
    requests = _requests(ClusterConfig(longest_job=60), MILLIONS)
    asked = [requests.block("train", attempt) for attempt in range(1, 6)]
    minutes, memory = zip(*asked, strict=True)
    assert list(minutes) == sorted(minutes)
    assert minutes[0] < minutes[1]
    assert minutes[-1] == 60
    assert all(later == pytest.approx(1.5 * sooner, abs=2) for sooner, later in pairwise(memory))


def test_steps_of_the_analysis() -> None:
    requests = Requests(load_config(ROOT / "config.yaml"), ClusterConfig(longest_job=30), 1, 1)
    first, second = (requests.analysis(STAGES["report"], "", attempt) for attempt in (1, 2))
    assert first[0] < second[0] <= 30
    assert first[1] < second[1]
    assert requests.analysis(STAGES["report"], "", 20)[0] == 30


def test_sealing_what_blocks_have_simulated_takes_its_time() -> None:
    """A terabyte is read once more: half an hour on one core."""
    requests = _requests(ClusterConfig(longest_job=1440), 200_000_000)
    assert requests.n_blocks("train") > 1
    seconds = sealing_seconds(requests.config, "train", 1)
    assert seconds > 1800
    assert 60 * requests.campaign("train", 1)[0] > seconds
    assert not requests.is_short("train")


def test_no_more_cores_than_shards() -> None:
    execution = {"shard_size": 1024, "chunk_size": 64, "n_workers": 3}
    assert _requests(ClusterConfig(cores=8), 2048, execution).cores("train") == 2
    assert _requests(ClusterConfig(cores=8), 16_384, execution).cores("train") == 8
    assert _requests(HERE, 16_384, execution).cores("train") == 3
    assert _requests(HERE, 16_384, execution | {"n_workers": 0}, n_cores=5).cores("train") == 5
