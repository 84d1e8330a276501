"""What work is expected to take: more of it takes more, jobs keep their bounds, attempts ask for more."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from jrflow.config import Config, load_config
from jrflow.config.shards import shard_count
from jrflow.planning.cost import block_seconds, campaign_seconds, simulation_seconds, worker_bytes
from jrflow.planning.learning_cost import training_bytes, training_seconds
from jrflow.planning.packing import fitting_shards_per_block, requested_mb, requested_minutes
from jrflow.stages import STAGES

ROOT = Path(__file__).parents[2]


def _config(n: int = 4096, execution: dict[str, Any] | None = None, **simulation: Any) -> Config:
    return Config.model_validate(
        {
            "simulation": simulation,
            "priors": {"half": {"kind": "relative-uniform"}},
            "campaigns": {"train": {"design": "prior", "n": n, "prior": "half"}},
            "eeg": {"noise": {}},
            "inference": {},
            "execution": {"memory_per_worker": "64GiB"} | (execution or {}),
        }
    )


@pytest.fixture(scope="module")
def demo() -> Config:
    return load_config(ROOT / "config.yaml")


def _models(n: int, network: dict[str, Any] | None = None, **training: Any) -> Config:
    """A model trained on ``n`` simulations, and every analysis of them."""
    prior = {"design": "prior", "prior": "half"}
    return Config.model_validate(
        {
            "priors": {"half": {"kind": "relative-uniform"}},
            "campaigns": {
                "train": prior | {"n": n},
                "test": prior | {"n": n // 16},
                "sobol": prior | {"design": "saltelli", "n": n},
                "oat": prior | {"design": "one-at-a-time", "n": n},
            },
            "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
            "inference": {
                "networks": {"bilstm": {"kind": "bilstm"} | (network or {})},
                "models": {"net": {"train": "train", "test": "test"}},
                "training": {"max_presentations": 10_000} | training,
                "learning_curve": {"model": "net", "sizes": [256, 512], "presentations": 1000},
            },
            "sensitivity": {"sobol": ["sobol"], "one_at_a_time": ["oat"]},
            "limits": {"n_draws": max(2, n // 8), "posterior_cases": n // 64},
        }
    )


NAMES = {
    "sobol": "sobol",
    "one_at_a_time": "oat",
    "noise_levels": "net",
    "limits": "net",
    "reference": "net",
    "evaluate": "net",
    "baselines": "net",
}


EVOKED, REST = {"kind": "evoked", "n_trials": 10}, {"kind": "rest"}
CONNECTOME = {"kind": "synthetic", "n_regions": 4}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"steady_state_tolerance": None}),
        ({}, {"protocol": {"kind": "evoked", "noise_sd": 10.0}}),
        ({}, {"precision": "float64"}),
        ({"solver": "euler"}, {"solver": "rk4"}),
        ({"backend": "cuda"}, {"backend": "cpu"}),
        ({"dt": 1e-3}, {"dt": 0.5e-3}),
        ({"protocol": EVOKED, "steady_state_tolerance": None}, {"steady_state_tolerance": None}),
        ({"protocol": REST}, {"protocol": REST | {"duration": 20.0}}),
        ({"protocol": REST}, {"protocol": REST | {"noise_sd": 10.0}}),
    ],
)
def test_more_work_takes_longer(less: dict[str, Any], more: dict[str, Any]) -> None:
    """10 trials less than 60, a fine step more than a coarse one."""
    assert simulation_seconds(_config(**less), "train", 1) < simulation_seconds(_config(**more), "train", 1)


@settings(deadline=None)
@given(n_regions=st.integers(1, 500), more=st.integers(1, 100))
def test_more_regions_take_longer(n_regions: int, more: int) -> None:
    config = _config()
    fewer = simulation_seconds(config, "train", n_regions)
    assert fewer < simulation_seconds(config, "train", n_regions + more)


def test_delays_take_longer_and_most_where_they_differ() -> None:
    without = _config(connectome=CONNECTOME)
    alike = _config(connectome=CONNECTOME | {"speed": 3.0})
    varied = without.model_dump(mode="json")
    speeds = {"speed": {"low": 2.0, "high": 10.0}}
    varied["priors"]["half"] = {"kind": "independent", "parameters": speeds}
    configs = (without, alike, Config.model_validate(varied))
    seconds = [simulation_seconds(config, "train", 4) for config in configs]
    assert seconds == sorted(seconds)
    assert seconds[0] < seconds[1] < seconds[2]


@settings(deadline=None)
@given(n=st.integers(1, 10**6), factor=st.integers(2, 5), n_cores=st.integers(1, 64))
def test_larger_campaigns_take_longer(n: int, factor: int, n_cores: int) -> None:
    small, large = _config(n), _config(factor * n)
    assert campaign_seconds(small, "train", 1, n_cores) <= campaign_seconds(large, "train", 1, n_cores)
    assert campaign_seconds(small, "train", 1, 1) < campaign_seconds(large, "train", 1, 1)
    assert worker_bytes(small, "train", 1) <= worker_bytes(large, "train", 1)


@settings(deadline=None)
@given(n_shards=st.integers(1, 60), n_cores=st.integers(1, 64))
def test_shards_are_done_in_rounds(n_shards: int, n_cores: int) -> None:
    """A job whose last round is not full takes as long as one in which it is, but for the trial."""
    config = _config(64 * 128, {"shard_size": 128})
    full = math.ceil(n_shards / n_cores) * n_cores
    seconds = block_seconds(config, "train", 1, n_shards, n_cores)
    assert seconds == block_seconds(config, "train", 1, full, n_cores)


def _jobs(config: Config, per_block: int, n_cores: int) -> tuple[int, float, float]:
    """Jobs that the workflow makes, and seconds of the longest and the shortest."""
    n_shards = shard_count(config, "train", 1)
    n_jobs = math.ceil(n_shards / per_block)
    sizes = math.ceil(n_shards / n_jobs), n_shards // n_jobs
    longest, shortest = (block_seconds(config, "train", 1, size, n_cores) for size in sizes)
    return n_jobs, longest, shortest


@settings(deadline=None)  # all that could have been chosen is looked at
@given(
    n_shards=st.integers(1, 150),
    n_cores=st.integers(1, 32),
    shortest_s=st.floats(0, 200),
    longest_s=st.floats(1, 2000),
    most_jobs=st.integers(1, 500),
)
def test_jobs_keep_their_bounds(
    n_shards: int, n_cores: int, shortest_s: float, longest_s: float, most_jobs: int
) -> None:
    """Few jobs always; not too long where that can be; not too short where both of these can be."""
    config = _config(n_shards * 4096, {"shard_size": 4096})
    assert shard_count(config, "train", 1) == n_shards
    chosen = fitting_shards_per_block(config, "train", 1, n_cores, shortest_s, longest_s, most_jobs)
    assert chosen == n_shards or chosen % n_cores == 0
    assert 1 <= chosen <= n_shards
    n_jobs, longest, shortest = _jobs(config, chosen, n_cores)
    assert n_jobs <= most_jobs

    possible = {
        size: _jobs(config, size, n_cores)
        for size in (min(n_shards, k * n_cores) for k in range(1, math.ceil(n_shards / n_cores) + 1))
    }
    few = {size: jobs for size, jobs in possible.items() if jobs[0] <= most_jobs}
    quick = {size: jobs for size, jobs in few.items() if jobs[1] <= longest_s}
    long_enough = [size for size, jobs in quick.items() if jobs[2] >= shortest_s]
    assert longest <= longest_s or not quick
    assert shortest >= shortest_s or not long_enough
    if long_enough:
        assert chosen == min(long_enough)


@pytest.mark.parametrize(
    ("shortest_s", "longest_s", "most_jobs", "expected"),
    [
        (0, 1e9, 1000, 4),  # nothing asks for more than one round
        (0, 1e9, 10, 8),  # 62 shards in at most ten jobs
        (0, 1, 1, 62),  # the number of jobs wins over the longest time
        (1e9, 1e9, 1000, 62),  # the campaign itself is shorter
    ],
)
def test_which_bound_wins(shortest_s: float, longest_s: float, most_jobs: int, expected: int) -> None:
    config = _config(62 * 4096, {"shard_size": 4096})
    found = fitting_shards_per_block(config, "train", 1, 4, shortest_s, longest_s, most_jobs)
    assert found == expected


def test_the_longest_time_wins_over_the_shortest() -> None:
    """And comes as near to the shortest as it may: two rounds of four shards."""
    config = _config(62 * 4096, {"shard_size": 4096})
    longest_s = block_seconds(config, "train", 1, 8, 4)
    assert fitting_shards_per_block(config, "train", 1, 4, 2 * longest_s, longest_s, 1000) == 8


@settings(deadline=None)
@given(seconds=st.floats(0, 1e6), n_bytes=st.floats(1e6, 1e12), attempt=st.integers(1, 4))
def test_the_next_attempt_asks_for_more(seconds: float, n_bytes: float, attempt: int) -> None:
    assert requested_minutes(seconds, attempt + 1) > requested_minutes(seconds, attempt) >= seconds / 60
    assert requested_mb(n_bytes, attempt + 1) > requested_mb(n_bytes, attempt) >= n_bytes / 1e6


@pytest.mark.parametrize("rule", sorted(STAGES.keys() - {"train"}))
def test_every_rule_has_its_time_and_memory(demo: Config, rule: str) -> None:
    stage, name = STAGES[rule], NAMES.get(rule, "")
    small, large = _models(1024), _models(8192)
    assert 1 < stage.seconds(small, name) <= stage.seconds(large, name)
    assert 1e8 < stage.bytes(small, name) <= stage.bytes(large, name)
    if name:
        assert stage.seconds(small, name) < stage.seconds(large, name)
    if name and rule != "sobol":  # a Sobol analysis holds a bounded number of responses
        assert stage.bytes(small, name) < stage.bytes(large, name)
    assert stage.seconds(demo, {"net": "bilstm"}.get(name, name)) < 120


def test_training_takes_longer_for_more_and_less_with_more_hands() -> None:
    config = _models(1024)
    seconds = training_seconds(config, "net")
    deeper, muon = _models(1024, {"head_layers": 2}), _models(1024, {"head_layers": 2, "optimiser": "muon"})
    assert training_seconds(muon, "net") > training_seconds(deeper, "net") > seconds
    # Every device takes every step of the optimiser; one that is faster takes it faster.
    assert training_seconds(muon, "net", n_threads=4) < 0.5 * training_seconds(muon, "net")
    assert training_bytes(deeper, "net") > training_bytes(config, "net")
    for more in (_models(8192), _models(1024, {"hidden": 256}), _models(1024, max_presentations=20_000)):
        assert training_seconds(more, "net") > seconds
    assert training_seconds(_models(1024, spatial="channels"), "net") > seconds
    assert training_seconds(config, "net", n_threads=4) < seconds
    assert training_seconds(config, "net", 2, "gpu") < training_seconds(config, "net", 1, "gpu") < seconds
    assert training_bytes(_models(8192), "net") > training_bytes(config, "net")


@pytest.mark.parametrize("kind", ["bilstm", "lstm", "cnn_bilstm", "transformer", "mlp", "npe"])
def test_every_network_has_its_time_and_memory(kind: str) -> None:
    config, wider = _models(1024, {"kind": kind}), _models(1024, {"kind": kind, "layers": 4})
    assert 5 < training_seconds(config, "net") < training_seconds(wider, "net") < 300
    assert training_bytes(config, "net") < training_bytes(wider, "net")
    evaluate = STAGES["evaluate"]
    assert evaluate.seconds(config, "net") < evaluate.seconds(wider, "net")


def test_the_demo_lies_in_its_band(demo: Config) -> None:
    """Measured on two cores that others used as well: 15 to 38 s for a campaign, 75 to 90 s for a model."""
    for campaign in demo.campaigns:
        assert 5 < campaign_seconds(demo, campaign, 1, 2) < 60
    assert 20 < training_seconds(demo, "bilstm") < 200
