"""How make test shares tests out to its workers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(6))
def test(number):
    pathlib.Path(f"{__name__}-{os.environ['PYTEST_XDIST_WORKER']}").touch()
"""


@pytest.mark.parametrize("file", ["Makefile", ".ci/run"])
def test_one_worker_runs_all_tests_of_a_file(tmp_path: Path, file: str) -> None:
    """What they share, such as a run of the whole pipeline, is made once."""
    found = re.search(r"-n auto (--dist \S+ --no-\S+)", (ROOT / file).read_text(encoding="utf-8"))
    assert found
    for name in ("test_one", "test_other"):
        (tmp_path / f"{name}.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", *found[1].split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout
    for name in ("test_one", "test_other"):
        assert len(list(tmp_path.glob(f"{name}-gw*"))) == 1
