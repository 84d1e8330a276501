"""Stages as jobs: what is submitted, and that it does the work of the stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from jrflow.cluster import command as job_module
from jrflow.cluster.record import fingerprint
from jrflow.cluster.task import Request, Task
from jrflow.config import Config
from jrflow.config.cluster import HERE, ClusterConfig
from jrflow.planning.requests import Requests
from jrflow.stages import STAGES
from jrflow.stages.command import main
from jrflow.stages.sobol import Sobol
from jrflow.stages.train import Train

PRIOR = {"design": "prior", "prior": "all"}
CONFIG = Config.model_validate(
    {
        "priors": {"all": {"kind": "relative-uniform"}},
        "campaigns": {
            "train": PRIOR | {"n": 4096},
            "test": PRIOR | {"n": 64},
            "sobol": PRIOR | {"design": "saltelli", "n": 65_536},
        },
        "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
        "inference": {"models": {"m": {"train": "train", "test": "test", "seeds": 2}}},
    }
)
Launched = list[tuple[list[Task], Request]]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launched:
    """What is submitted; it is carried out at once."""
    found: Launched = []

    def launch(tasks: Sequence[Task], request: Request, *_: object) -> None:
        found.append((list(tasks), request))
        for task in tasks:
            task.function(*task.arguments)

    monkeypatch.setattr(job_module, "launch", launch)
    return found


def start(stage: str, name: str, folder: Path, cluster: dict[str, Any] | None) -> int:
    """Start a stage as its rule does."""
    description = "" if cluster is None else str(folder / "cluster.yaml")
    if cluster is not None:
        (folder / "cluster.yaml").write_text(yaml.safe_dump(cluster))
    where = HERE if cluster is None else ClusterConfig.model_validate(cluster)
    seconds, n_bytes = Requests(CONFIG, where, 1, 1).expected(STAGES[stage], name)
    inputs = [f"{one}={folder / one}" for one in STAGES[stage].inputs]
    outputs = [f"{one}={folder / name / one}" for one in STAGES[stage].outputs]
    return main(stage, [
        "--settings", STAGES[stage].settings(CONFIG, name).text, "--inputs", *inputs, "--outputs", *outputs,
        "--cluster", description, "--jobs", str(folder / f"results/run/logs/jobs/{stage}-{name}"),
        "--expected-seconds", str(seconds), "--expected-bytes", str(n_bytes), "--threads", "3",
    ])  # fmt: skip


@pytest.mark.parametrize(("cluster", "threads"), [(None, 3), ({"training": {"cores_per_rank": 2}}, 2)])
def test_a_training_is_one_task_of_settings_and_files(
    tmp_path: Path,
    launched: Launched,
    monkeypatch: pytest.MonkeyPatch,
    cluster: dict[str, Any] | None,
    threads: int,
) -> None:
    called: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Train, "run", lambda _, *arguments: called.append(arguments))
    assert start("train", "m-seed-1", tmp_path, cluster) == 0
    [([task], request)] = launched
    files = {"noise": tmp_path / "noise", "train": tmp_path / "train"}
    model = tmp_path / "m-seed-1/model"
    assert called == [(STAGES["train"].settings(CONFIG, "m-seed-1"), files, {"model": model}, threads)]
    assert called[0][0].seed == CONFIG.run.seed + 1
    assert request.name == "jrflow-run-train-m-seed-1"
    assert task.products == (model.parent,), "checkpoints are progress"
    assert task.function.__qualname__ == "run_stage"


def test_jobs_of_an_earlier_start_are_known_by_settings_and_inputs(
    tmp_path: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that is written meanwhile changes nothing; an input that changes does."""
    monkeypatch.setattr(Train, "run", lambda *_: None)
    (tmp_path / "noise").write_text("one")

    def known() -> str:
        launched.clear()
        start("train", "m", tmp_path, None)
        return fingerprint(*launched[0])

    before = known()
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model").write_text("written meanwhile")
    assert known() == before
    (tmp_path / "noise").write_text("another")
    assert known() != before


@pytest.mark.parametrize(
    ("cluster", "n_jobs"),
    [(None, 1), ({"shortest_job": 0, "most_jobs": 5}, 5), ({"shortest_job": 60}, 1)],
    ids=["here", "divided", "too short"],
)
def test_a_divided_stage_is_an_array_of_jobs_and_one_that_joins(
    tmp_path: Path,
    launched: Launched,
    monkeypatch: pytest.MonkeyPatch,
    cluster: dict[str, Any] | None,
    n_jobs: int,
) -> None:
    joined: list[tuple[Path, ...]] = []
    monkeypatch.setattr(
        Sobol, "parts", lambda _, settings, inputs, n: tuple(tmp_path / f"part-{k}" for k in range(n))
    )
    monkeypatch.setattr(Sobol, "run_part", lambda _, settings, inputs, part: part.touch())
    monkeypatch.setattr(Sobol, "join", lambda _, settings, inputs, outputs, parts: joined.append(parts))
    assert start("sobol", "sobol", tmp_path, cluster) == 0
    parts = tuple(tmp_path / f"part-{k}" for k in range(n_jobs))
    assert joined == [parts]
    assert [len(tasks) for tasks, _ in launched] == ([n_jobs, 1] if n_jobs > 1 else [1])
    if n_jobs > 1:
        assert all(part.exists() for part in parts)
        assert [task.products for task in launched[0][0]] == [(part,) for part in parts]
        # Started again, what is there is only joined.
        launched.clear()
        assert start("sobol", "sobol", tmp_path, cluster) == 0
        assert [len(tasks) for tasks, _ in launched] == [1]
