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

from site_of_tests import run_name, shell  # noqa: E402


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


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration: tiny.yaml or LONG with some sections changed, under a name of its own."""

    def write(base: dict[str, Any], **sections: Any) -> Path:
        content = base | {"run": {"name": run_name(tmp_path)}}
        for name, section in sections.items():
            content[name] = base.get(name, {}) | section
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write
