"""A campaign of 150 shards, each a sixth of a second, and what it is when nothing disturbs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jrflow.campaign import run_campaign
from jrflow.config import Config

# Before they are imported, so that what differs is shown.
pytest.register_assert_rewrite("evidence", "processes")

from evidence import NAME  # noqa: E402
from processes import jrflow  # noqa: E402

#: Simulated to the last trial, so that a random moment falls into simulating and into writing alike; the last
#: shard is not full.
_CONFIG = {
    "run": {"name": "survival"},
    "simulation": {
        "protocol": {
            "kind": "evoked", "n_trials": 60, "isi": 0.5, "tmin": -0.1, "tmax": 0.4, "transient": 0.3,
        },
        "steady_state_tolerance": None,
    },
    "priors": {"half": {"kind": "relative-uniform"}},
    "campaigns": {NAME: {"design": "prior", "n": 2390, "prior": "half"}},
    "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
    "inference": {},
}  # fmt: skip
_SHARDS = {"shard_size": 16, "chunk_size": 4}

WriteConfig = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _no_commit() -> Iterator[None]:
    """Archives name the commit, and whether anything was changed since; that may happen meanwhile."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_DIR", os.devnull)
        yield


@pytest.fixture(scope="session")
def write_config(tmp_path_factory: pytest.TempPathFactory) -> WriteConfig:
    """Write a configuration of that campaign, or of its first ``n``, with some execution settings."""
    folder = tmp_path_factory.mktemp("configs")

    def write(name: str, n: int = 2390, sections: dict[str, Any] | None = None, **execution: Any) -> Path:
        path = folder / f"{name}.yaml"
        campaigns = {NAME: _CONFIG["campaigns"][NAME] | {"n": n}}  # type: ignore[index]
        content = _CONFIG | {"campaigns": campaigns, "execution": _SHARDS | execution} | (sections or {})
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture(scope="session")
def in_process(write_config: WriteConfig) -> Path:
    """All 150 shards, simulated by the driver itself."""
    return write_config("in-process", backend="in-process")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, write_config: WriteConfig) -> Path:
    """Folder of the archive of all 150 shards, which nobody must touch."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = write_config("undisturbed", backend="local", n_workers=2)
    code, text = jrflow("campaign", config, NAME, "--out", folder).ends(300)
    assert code == 0, text
    return folder


@pytest.fixture(scope="session")
def short(write_config: WriteConfig) -> Path:
    """Its first 20 shards, simulated by the driver itself."""
    return write_config("short", 314, backend="in-process")


@pytest.fixture(scope="session")
def undisturbed_short(tmp_path_factory: pytest.TempPathFactory, short: Path) -> Path:
    """Folder of the archive of these 20 shards."""
    folder = tmp_path_factory.mktemp("undisturbed-short")
    code, text = jrflow("campaign", short, NAME, "--out", folder).ends(300)
    assert code == 0, text
    return folder


@pytest.fixture(scope="session")
def undisturbed_tiny(
    tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable[..., Config]
) -> Callable[[int], Path]:
    """Folder of the archive of the tiny campaign of four shards, or of one that is longer."""
    made: dict[int, Path] = {}

    def undisturbed_of(n: int = 100) -> Path:
        if n not in made:
            made[n] = tmp_path_factory.mktemp(f"tiny-{n}")
            run_campaign(tiny_config({"n": n}), NAME, made[n], progress=None)
        return made[n]

    return undisturbed_of
