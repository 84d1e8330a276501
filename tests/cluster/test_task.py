"""Starts of a job that finish something, and those that do not."""

from __future__ import annotations

import io
import os
from pathlib import Path

import psutil
import pytest
from answers import Slurm
from launched import LOCAL, request

from jrflow.cluster import launcher
from jrflow.cluster.inheritance import inherited
from jrflow.cluster.outcome import FinalError, FruitlessError
from jrflow.cluster.queue import shared_states
from jrflow.cluster.task import NoProgressError, Request, Task
from jrflow.config.cluster import ClusterConfig


def _begun(task: Task, minutes_ago: float, monkeypatch: pytest.MonkeyPatch) -> Task:
    task.begin()
    begun = psutil.Process().create_time()
    monkeypatch.setattr("jrflow.cluster.task.time.time", lambda: begun + 60 * minutes_ago)
    return task


@pytest.mark.parametrize(
    ("minutes", "minutes_ago", "finishes", "continues"),
    [(10, 9.5, True, True), (10, 9.5, False, False), (10, 2, False, True), (None, 99, False, True)],
    ids=["progress", "none", "preempted", "no-limit"],
)
def test_a_start_that_finishes_nothing_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    minutes: int | None, minutes_ago: float, finishes: bool, continues: bool,
) -> None:  # fmt: skip
    task = _begun(Task(print, (tmp_path,), minutes=minutes), minutes_ago, monkeypatch)
    if finishes:
        (tmp_path / "epoch-1").touch()
    if continues:
        assert task.checkpoint().function == task
    else:
        with pytest.raises(NoProgressError):
            task.checkpoint()


def test_progress_is_in_files_of_the_arguments_or_those_named(tmp_path: Path) -> None:
    part, other = tmp_path / "parts" / "1.nc", tmp_path / "other"
    by_arguments, named = Task(print, ("x", (part, tmp_path / "absent"))), Task(print, (part,), (other,))
    before = by_arguments.progress(), named.progress()
    assert before == (by_arguments.progress(), named.progress())
    part.parent.mkdir()
    part.touch()
    assert by_arguments.progress() != before[0]
    assert named.progress() == before[1]
    part.write_text("more")
    assert len({by_arguments.progress() for _ in range(2)} | {before[0]}) == 2
    unknown = Task(print, ("s3://bucket",))
    assert unknown.progress() != unknown.progress(), "counts as progress"


def _starts(monkeypatch: pytest.MonkeyPatch, *ends: Exception | None) -> list[Request]:
    """Let starts end so, one after another; what they ask for."""
    asked: list[Request] = []

    def carry_out(_: object, request: Request, *__: object) -> None:
        asked.append(request)
        end = ends[len(asked) - 1]
        if end is not None:
            raise end

    monkeypatch.setattr(launcher, "_carry_out", carry_out)
    return asked


def test_a_fruitless_start_is_followed_by_one_with_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, said = _starts(monkeypatch, FruitlessError("its time was over"), None), io.StringIO()
    launcher.launch([Task(print, (tmp_path,))], request(), LOCAL, tmp_path / "jobs", said)
    assert [each.minutes for each in asked] == [5, LOCAL.longest_job]
    assert "its time was over" in said.getvalue()


def test_two_fruitless_starts_in_a_row_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _starts(monkeypatch, *[FruitlessError("its time was over")] * 3)
    with pytest.raises(FinalError, match="raise longest_job"):
        launcher.launch([Task(print, (tmp_path / "x",))], request(), LOCAL, tmp_path / "jobs", None)
    assert len(asked) == 2


def test_one_question_to_slurm_for_all_launchers(tmp_path: Path, slurm: Slurm) -> None:
    slurm.answers(squeue="17|RUNNING|None|c1|0:23|jrflow-x|rule_block|/here\n18|PENDING|Priority||0:00\n")
    answers = [shared_states(tmp_path / "squeue.txt", 60) for _ in range(5)]
    assert answers[0]["17"].comment == "rule_block"
    assert answers[0]["17"].belongs_to_a_run
    assert answers[4]["18"].state == "PENDING"
    assert len(slurm.asked("squeue")) == 1
    os.utime(tmp_path / "squeue.txt", (0, 0))
    shared_states(tmp_path / "squeue.txt", 60)
    assert len(slurm.asked("squeue")) == 2


def test_a_clean_environment_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with inherited(ClusterConfig(environment="clean")):
        assert "MY_TOKEN" not in os.environ
        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert "PATH" in os.environ
    assert os.environ["MY_TOKEN"] == "secret"
    with inherited(ClusterConfig()):
        assert "MY_TOKEN" in os.environ
