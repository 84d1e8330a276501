"""States of jobs as Slurm writes them, and what is made of no answer."""

from __future__ import annotations

import pytest
from answers import AWAY, NO_ACCOUNTING, Answer, Slurm

from jrflow.cluster.queue import (
    JobState,
    SlurmAwayError,
    accounted_state,
    cancel,
    job_states,
    named_jobs,
)

SQUEUE = """\
17_0|RUNNING|None|c[1-2]|0:23
17_1|PENDING|Resources||0:00
17_2|COMPLETED|None|c1|0:05
18|FAILED|NonZeroExitCode|c2|1-02:03:04
"""
UNKNOWN = Answer(err="slurm_load_jobs error: Invalid job id specified", code=1)


def test_states_by_job(slurm: Slurm) -> None:
    slurm.answers(squeue=SQUEUE)
    states = job_states(["17_1", "17_0", "18"])
    assert list(states) == ["17_0", "17_1", "17_2", "18"]
    assert states["17_0"] == JobState("17_0", "RUNNING", "None", "c[1-2]", "0:23")
    assert states["18"].elapsed == "1-02:03:04"
    (asked,) = slurm.asked("squeue")
    assert "--jobs=17,18 " in asked, "an array is asked for once"
    assert "--states=all" in asked


def test_other_lines_are_left_out(slurm: Slurm) -> None:
    slurm.answers(squeue="some warning of the site\n" + SQUEUE + "a|b\n")
    assert len(job_states(["17"])) == 4


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (JobState("7", "PENDING", "Priority", "", "0:00"), "job 7 PENDING (Priority)"),
        (JobState("7", "PENDING", "BeginTime", "c1", "0:00"), "job 7 PENDING (BeginTime)"),
        (JobState("7_3", "RUNNING", "None", "c[1,3]", "0:23"), "job 7_3 RUNNING on c[1,3], 0:23"),
        (JobState("7", "FAILED", "NonZeroExitCode"), "job 7 FAILED (NonZeroExitCode)"),
        (JobState("7", "COMPLETED"), "job 7 COMPLETED"),
    ],
)
def test_text(state: JobState, text: str) -> None:
    assert str(state) == text


@pytest.mark.parametrize(
    ("state", "under_way", "may_return"),
    [
        ("PENDING", True, False), ("RUNNING", True, False), ("COMPLETING", True, False),
        ("SUSPENDED", True, False), ("REQUEUED", True, False), ("SPECIAL_EXIT", True, False),
        ("PREEMPTED", False, True), ("NODE_FAIL", False, True), ("COMPLETED", False, False),
        ("FAILED", False, False), ("TIMEOUT", False, False), ("CANCELLED", False, False),
        ("OUT_OF_MEMORY", False, False), ("BOOT_FAIL", False, False), ("DEADLINE", False, False),
    ],
)  # fmt: skip
def test_what_states_mean(state: str, under_way: bool, may_return: bool) -> None:
    assert JobState("1", state).under_way == under_way
    assert JobState("1", state).may_return == may_return


def test_a_job_that_squeue_has_forgotten_has_no_state(slurm: Slurm) -> None:
    slurm.answers(squeue=UNKNOWN)
    assert job_states(["17"]) == {}


def test_the_controller_is_away(slurm: Slurm) -> None:
    slurm.answers(squeue=Answer(err=AWAY, code=1), scancel=Answer(err=AWAY, code=1))
    for ask in (lambda: job_states(["17"]), lambda: named_jobs("jrflow"), lambda: cancel(["17"])):
        with pytest.raises(SlurmAwayError, match="Unable to contact slurm controller"):
            ask()


def test_the_controller_says_nothing_but_a_number(slurm: Slurm) -> None:
    slurm.answers(squeue=Answer(code=3))
    with pytest.raises(SlurmAwayError, match="squeue: exit code 3"):
        job_states(["17"])


def test_no_answer_in_time(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jrflow.cluster.queue._ANSWER_WITHIN", 0.2)
    slurm.answers(squeue=Answer(SQUEUE, after=1))
    with pytest.raises(SlurmAwayError, match=r"squeue did not answer within 0\.2 s"):
        job_states(["17"])


@pytest.mark.usefixtures("slurm")
def test_no_such_command() -> None:
    with pytest.raises(SlurmAwayError, match="squeue: command not found"):
        job_states(["17"])
    assert accounted_state("17") is None


def test_jobs_of_a_name(slurm: Slurm) -> None:
    slurm.answers(squeue="18|PENDING|QOSMaxJobsPerUserLimit||0:00\n")
    assert [str(state) for state in named_jobs("jrflow-x")] == ["job 18 PENDING (QOSMaxJobsPerUserLimit)"]
    assert "--name=jrflow-x --user=" in slurm.asked("squeue")[0]


def test_jobs_are_cancelled_at_once(slurm: Slurm) -> None:
    slurm.answers(scancel="")
    cancel(["18", "17_1", "17_1"])
    cancel([])
    assert slurm.asked("scancel") == ["--quiet 17_1 18"]


def test_a_job_that_is_gone_needs_no_cancelling(slurm: Slurm) -> None:
    said = "scancel: error: Kill job error on job id 17: Invalid job id specified"
    slurm.answers(scancel=Answer(err=said, code=1))
    cancel(["17"])


def test_what_the_accounting_says(slurm: Slurm) -> None:
    slurm.answers(sacct="17_2|COMPLETED|None|c1|00:00:05\n17_3|CANCELLED by 0|None|c[1-2]|00:10:11\n")
    assert accounted_state("17_3") == JobState("17_3", "CANCELLED", "None", "c[1-2]", "00:10:11")
    assert accounted_state("17_4") is None


def test_there_is_no_accounting(slurm: Slurm) -> None:
    slurm.answers(sacct=Answer(err=NO_ACCOUNTING, code=1))
    assert accounted_state("17") is None
