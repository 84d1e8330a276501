"""Slurm's commands, with recorded answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from answers import Slurm


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """No command is found but those that are given an answer."""
    return Slurm(tmp_path, monkeypatch)
