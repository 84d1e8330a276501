"""Settings so small that a campaign takes a moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from jrflow.config import Config

if TYPE_CHECKING:
    from jrflow.campaign import ShardTask

_HERE = Path(__file__).parent

# A shell ignores SIGINT in what it starts in the background, and programs inherit that: tests would depend on
# how they were started.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Property-based tests take their number of examples from these profiles: always the same few, or with
#: --hypothesis-profile=long (make test-long) many that differ from run to run.
_ANY_SPEED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("usual", max_examples=40, derandomize=True, **_ANY_SPEED)
settings.register_profile("long", max_examples=1000, **_ANY_SPEED)
settings.load_profile("usual")

PROTOCOL = {"kind": "evoked", "n_trials": 3, "isi": 0.25, "tmin": -0.05, "tmax": 0.15, "transient": 0.05}


#: Files of tests that take longest, longest first: no worker begins one of them when the others are done.
_LONGEST = ("test_workflow.py", "survival/test_kills.py", "model/test_gpu.py", "inference/test_reference.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where files are shared out to several workers, begin with those that take longest."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    name = item.path.relative_to(_HERE).as_posix()
    return _LONGEST.index(name) if name in _LONGEST else len(_LONGEST)


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., Config]:
    """Configurations with one campaign, 'train', of 100 simulations in four shards, the last not full."""

    def make(campaign: dict[str, Any] | None = None, **sections: Any) -> Config:
        return Config.model_validate(
            {
                "simulation": {"protocol": PROTOCOL},
                "priors": {"half": {"kind": "relative-uniform"}},
                "campaigns": {"train": {"design": "prior", "n": 100, "prior": "half"} | (campaign or {})},
                "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
                "inference": {},
                "execution": {"backend": "in-process", "shard_size": 32, "chunk_size": 8},
            }
            | sections
        )

    return make


@pytest.fixture(scope="session")
def interrupted_after() -> Callable[[int], Callable[..., Iterator[int]]]:
    """Make a ``map_shards`` that carries out n tasks, and is interrupted then."""

    def after(n: int) -> Callable[..., Iterator[int]]:
        def map_shards(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
            yield from map(function, tasks[:n])
            raise KeyboardInterrupt

        return map_shards

    return after
