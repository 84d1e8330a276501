"""The launcher on this machine: real processes, which all end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launched
import psutil
import pytest
from answers import AWAY, Answer, Slurm
from launched import LOCAL, request

from jrflow.cluster.launcher import launch
from jrflow.cluster.outcome import JobFailedError
from jrflow.cluster.record import SubmissionError, fingerprint, join, record_jobs
from jrflow.cluster.task import Task
from jrflow.config.cluster import HERE, ClusterConfig

#: So long may anything take on a busy machine, s.
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs find the functions beside this module, too."""
    paths = [str(Path(launched.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def _until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"not within {seconds:g} s"
        time.sleep(0.05)
    return found


def _told(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def _left(folder: Path) -> list[str]:
    """Command lines of processes that know this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
        if str(folder) in line and process.pid != os.getpid():
            found.append(line)
    return found


def test_in_process_it_is_called_directly(tmp_path: Path) -> None:
    launch([Task(launched.tell, (tmp_path, name)) for name in "ab"], request(4), HERE, tmp_path / "jobs")
    assert [told["process"] for told in _told(tmp_path, "*.json")] == [os.getpid()] * 2
    assert not (tmp_path / "jobs").exists()


def test_an_error_in_process_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        launch([Task(dict.__getitem__, ({}, "x"))], request(), HERE, tmp_path)


@pytest.mark.slow
def test_ranks_know_one_another(tmp_path: Path) -> None:
    said, jobs = io.StringIO(), tmp_path / "jobs"
    launch([Task(launched.tell, (tmp_path, "rank"))], request(3), LOCAL, jobs, said)
    told = _told(tmp_path, "rank-*.json")
    assert [each["RANK"] for each in told] == [each["LOCAL_RANK"] for each in told] == ["0", "1", "2"]
    assert {each["WORLD_SIZE"] for each in told} == {"3"}
    assert len({(each["MASTER_ADDR"], each["MASTER_PORT"]) for each in told}) == 1
    assert len({each["process"] for each in told} | {os.getpid()}) == 4
    assert {each["CUDA_VISIBLE_DEVICES"] for each in told} == {""}
    states = said.getvalue().splitlines()
    assert states[-1].startswith("jrflow-test: job ")
    assert states[-1].endswith(" done")
    # What lies there is executed by whoever reads it.
    assert jobs.stat().st_mode & 0o777 == 0o700
    assert not list(jobs.rglob("*.pkl"))
    assert not (jobs / "submitted.json").exists()
    assert len(list(jobs.rglob("*_log.err"))) == 3, "logs are kept"
    assert not _left(jobs)


@pytest.mark.slow
def test_a_single_process_is_no_rank_and_sees_the_gpus_it_asked_for(tmp_path: Path) -> None:
    launch([Task(launched.tell, (tmp_path, "one"))], request(gres="gpu:a100:2"), LOCAL, tmp_path / "j", None)
    (told,) = _told(tmp_path, "one-0.json")
    assert told["RANK"] is None
    assert told["CUDA_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.slow
def test_several_tasks(tmp_path: Path) -> None:
    tasks = [Task(launched.tell, (tmp_path, name)) for name in "abc"]
    launch(tasks, request(), LOCAL, tmp_path / "jobs", None)
    assert len({told["process"] for told in _told(tmp_path, "*-0.json")}) == 3


@pytest.mark.slow
def test_one_rank_that_fails_ends_the_others(tmp_path: Path) -> None:
    """Though they would ignore an interruption; what it failed of is told first."""
    started = time.monotonic()
    with pytest.raises(JobFailedError) as failed:
        launch([Task(launched.fail, (tmp_path, "1"))], request(3), LOCAL, tmp_path / "jobs", None)
    assert time.monotonic() - started < PATIENCE
    assert not _left(tmp_path / "jobs")
    lines = str(failed.value).splitlines()
    assert lines[1] == "first error, of rank 1 of 3:"
    said = str(failed.value)
    assert said.index("KeyError: 'the cause'") < said.index("ValueError: no such share of the data")
    assert "submitit/core" not in said, "frames of the launcher are left out"
    assert f"all files of this job: {tmp_path / 'jobs'}" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whole_group", [False, True], ids=["driver", "group"])
def test_an_interrupted_driver_leaves_no_process(
    tmp_path: Path, number: signal.Signals, whole_group: bool
) -> None:
    """Of Ctrl-C the jobs hear, too."""
    driver = subprocess.Popen(
        [sys.executable, launched.__file__, str(tmp_path)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _until(lambda: len(list(tmp_path.glob("started-*.json"))) == 2)
        (os.killpg if whole_group else os.kill)(driver.pid, number)
        _, said = driver.communicate(timeout=PATIENCE)
        assert driver.returncode != 0
        assert f"KeyboardInterrupt: {number.name}" in said
        assert not _left(tmp_path)
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()


def test_what_is_asked_for_is_known_by_its_content(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("a: 1\n")
    tasks = [Task(launched.tell, (config, "x"))]
    first = fingerprint(tasks, request())
    assert fingerprint([Task(launched.tell, (config, "x"))], request()) == first
    assert fingerprint(tasks, request(2)) != first
    assert fingerprint([Task(launched.tell, (config, "y"))], request()) != first
    assert fingerprint([Task(launched.wait, (config, "x"))], request()) != first
    config.write_text("a: 2\n")
    assert fingerprint(tasks, request()) != first


@pytest.fixture
def submitted(tmp_path: Path, slurm: Slurm) -> Slurm:
    """An earlier launcher has submitted jobs 17_0 and 17_1, of two ranks each."""
    slurm.answers(squeue="17_0|RUNNING|None|c1|0:23\n17_1|COMPLETED|None|c1|0:20\n", scancel="")
    jobs = [type("Job", (), {"job_id": f"17_{k}"})() for k in range(2)]
    record_jobs("as before", jobs, request(2), tmp_path)
    return slurm


@pytest.mark.usefixtures("submitted")
def test_jobs_under_way_are_joined(tmp_path: Path) -> None:
    said = io.StringIO()
    jobs = join("as before", tmp_path, said)
    assert jobs is not None
    assert [(job.job_id, job.num_tasks) for job in jobs] == [("17_0", 2), ("17_1", 2)]
    assert "still active, joined: job 17_0 RUNNING on c1, 0:23" in said.getvalue()


def test_jobs_of_other_settings_are_cancelled(tmp_path: Path, submitted: Slurm) -> None:
    said = io.StringIO()
    assert join("otherwise", tmp_path, said) is None
    assert submitted.asked("scancel") == ["--quiet 17_0 17_1"]
    assert "cancelled, because settings have changed since then: job 17_0" in said.getvalue()


def test_jobs_that_are_over_are_not_joined(tmp_path: Path, submitted: Slurm) -> None:
    submitted.answers(squeue=Answer(err="slurm_load_jobs error: Invalid job id specified", code=1))
    assert join("as before", tmp_path, None) is None
    assert join("as before", tmp_path / "elsewhere", None) is None


def test_nothing_is_submitted_twice_while_slurm_is_away(tmp_path: Path, submitted: Slurm) -> None:
    submitted.answers(squeue=Answer(err=AWAY, code=1))
    with pytest.raises(SubmissionError, match=r"may still be active \(17_0, 17_1\).*Unable to contact"):
        join("as before", tmp_path, None)


@pytest.mark.usefixtures("slurm")
def test_there_is_no_slurm(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="srun: command not found"):
        launch([Task(launched.tell, (tmp_path, "x"))], request(), ClusterConfig(), tmp_path / "jobs", None)


def test_a_refused_job_leaves_nothing_that_could_be_executed(tmp_path: Path, slurm: Slurm) -> None:
    slurm.answers(srun="", sbatch=Answer(err="sbatch: error: Invalid account\n", code=1))
    jobs = tmp_path / "jobs"
    with pytest.raises(SubmissionError, match=r"Invalid account[\s\S]*account lab"):
        launch([Task(launched.tell, (tmp_path, "x"))], request(), ClusterConfig(account="lab"), jobs, None)
    assert list(jobs.rglob("*.pkl")) == []
    assert list(jobs.rglob("*.sh")) == []
