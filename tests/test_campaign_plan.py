"""What is said before a campaign begins."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jrflow.campaign import run_campaign
from jrflow.config import Config


def test_a_trial_tells_what_a_larger_campaign_will_take(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jrflow.config.cost._TRIAL", 16)
    report = io.StringIO()
    config = tiny_config({"n": 400}, execution={"backend": "in-process", "shard_size": 200, "chunk_size": 8})
    run_campaign(config, "train", tmp_path, progress=report)
    told = re.search(
        r"estimated from a trial: \d+ m?s on 1 core, ([\d.]+) kB after compression", report.getvalue()
    )
    assert told is not None, report.getvalue()
    stored = sum(path.stat().st_size for path in tmp_path.glob("train.zarr/source/c/*/0/0"))
    assert float(told[1]) * 1000 == pytest.approx(stored, rel=0.2)


def test_many_files_call_for_a_look_at_quotas(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jrflow.campaign.plan._MANY_FILES", 15)
    monkeypatch.setattr("jrflow.campaign.plan.free_files", lambda _: 20)
    report = io.StringIO()
    run_campaign(tiny_config(), "train", tmp_path, progress=report)
    assert (
        "train: warning: 20 files are left on this file system; raise execution.shard_size"
        in report.getvalue()
    )
    assert "train: note: 16 files; raise execution.shard_size for fewer\n" in report.getvalue()
    assert "quota -s" in report.getvalue()
