"""Sizes of shards and chunks: those that are chosen, and what fits."""

from __future__ import annotations

from typing import Any

import pytest

from jrflow.config import Config
from jrflow.config.shards import shard_count, shard_sizes


def _config(n: int, **execution: Any) -> Config:
    return Config.model_validate(
        {
            "priors": {"half": {"kind": "relative-uniform"}},
            "campaigns": {"train": {"design": "prior", "n": n, "prior": "half"}},
            "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
            "inference": {},
            "execution": execution,
        }
    )


@pytest.mark.parametrize(
    ("n", "n_regions", "shard", "chunk"),
    [
        (1_000_000, 1, 16384, 256),  # 79 MB; twice as many would be more than 130 MB
        (40_000, 1, 4096, 256),  # an eighth of the campaign
        (100, 1, 4096, 256),  # no smaller than 20 MB, however few there are
        (5_000, 200, 128, 1),  # 123 MB
        (1_024, 68, 128, 4),
    ],
)
def test_sizes_follow_from_bytes(n: int, n_regions: int, shard: int, chunk: int) -> None:
    """An evoked response of one region takes 1201 samples of 4 bytes."""
    assert shard_sizes(_config(n), "train", n_regions) == (shard, chunk)


def test_a_million_simulations_make_few_files() -> None:
    assert shard_count(_config(1_000_000), "train", 1) == 62


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        ({"shard_size": 100}, (100, 100)),
        ({"shard_size": 1000}, (1000, 8)),
        ({"shard_size": 512, "chunk_size": 64}, (512, 64)),
        ({"chunk_size": 100}, (4000, 100)),
        ({"chunk_size": 10_000}, (10_000, 10_000)),
        ({"memory_per_worker": "500MB"}, (8192, 256)),
    ],
)
def test_what_is_given_is_taken_and_the_other_fits(execution: Any, expected: tuple[int, int]) -> None:
    n = 1_000_000 if "memory_per_worker" in execution else 1000
    assert shard_sizes(_config(n, **execution), "train", 1) == expected


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        ({"backend": "scheduler"}, "belong together"),
        ({"scheduler": "tls://host:8786"}, "belong together"),
        ({"backend": "scheduler", "scheduler": "tcp://host:8786"}, "contradict each other"),
        ({"backend": "scheduler", "scheduler": "tls://host:1", "tls": False}, "contradict each other"),
        ({"backend": "scheduler", "scheduler": "host:8786"}, "should match pattern"),
    ],
)
def test_a_scheduler_has_an_address(execution: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config(10, **execution)
