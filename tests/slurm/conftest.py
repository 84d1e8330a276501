"""A run small enough for many tests, and what it is when nothing disturbs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

# Before they are imported, so that what differs is shown.
pytest.register_assert_rewrite("evidence", "processes", "site_of_tests")

from pipelines import Pipeline  # noqa: E402
from site_of_tests import SHARDS, TINY, once, run_name, shared_folder, shell  # noqa: E402

from jrflow.campaign import run_campaign  # noqa: E402
from jrflow.config import Config  # noqa: E402


def pytest_sessionstart() -> None:
    """Say why nothing can be tested, rather than let everything fail, or nothing."""
    if shutil.which("sinfo") is None or "idle" not in shell("sinfo", "-h", "-o", "%t", check=False):
        pytest.exit("these tests need the test cluster: make test-slurm", returncode=1)


@pytest.fixture(scope="session", autouse=True)
def _no_commit() -> Iterator[None]:
    """Archives name the commit, and whether anything was changed since; that may happen meanwhile."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_DIR", os.devnull)
        yield


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the archive of SHARDS, simulated by one process: once for all processes of the tests."""
    folder = shared_folder(tmp_path_factory) / "undisturbed"
    with once(folder) as is_first:
        if is_first:
            run_campaign(Config.model_validate(SHARDS), "train", folder / "archives", progress=None)
    return folder / "archives"


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of TINY, run on this machine: once for all processes of the tests."""
    folder = shared_folder(tmp_path_factory) / "here"
    with once(folder) as is_first:
        pipeline = Pipeline(folder, TINY)
        if is_first:
            pipeline.here()
    return pipeline.run


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration: SHARDS with some sections changed, under a name of its own."""

    def write(base: dict[str, Any], **sections: Any) -> Path:
        content = base | {"run": {"name": run_name(tmp_path)}}
        for name, section in sections.items():
            content[name] = base.get(name, {}) | section
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write
