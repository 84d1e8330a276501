"""What the console shows of failed steps and of all jobs."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest

from jrflow.cluster.console import FailedSteps, Overview, explain, summary
from jrflow.cluster.outcome import FINAL
from jrflow.cluster.queue import JobState, SlurmAwayError

_SLURM = (
    "SLURM-job '17' failed, SLURM status is: '{}'. Reason: Unknown. For further error details see the "
    "cluster log and the log files of the involved rule(s)."
)
DISK_FULL = (
    "x\n" * 200 + "Traceback (most recent call last):\n  File x\njrflow.archive.errors.DiskFullError: 3 GB\n"
)


@pytest.mark.parametrize(
    ("message", "log", "shown", "hidden", "final"),
    [
        (_SLURM.format("FAILED"), "a\nKeyError: 'b'\n", ["KeyError: 'b'", "FAILED"], [], False),
        (_SLURM.format("OUT_OF_MEMORY"), "", ["used more memory than it requested"], [], False),
        (_SLURM.format("TIMEOUT"), "", ["ran out of time"], [], False),
        (_SLURM.format("CANCELLED by 1000"), "", ["was cancelled", "not tried again"], [], True),
        (_SLURM.format("FAILED"), DISK_FULL, ["3 GB", "not tried again"], ["Traceback"], True),
        ("", "OSError: [Errno 28] No space left on device\n", ["Errno 28"], [], True),
        ("", f"job 3 CANCELLED: it was cancelled\n{FINAL}: job 3\n", ["it was cancelled"], [], True),
        ("SLURM sbatch failed. The error message was 'bad qos'.\n  call", "", ["bad qos"], ["call"], False),
        ("", "".join(f"line {k}\n" for k in range(99)), ["line 98"], ["line 50"], False),
    ],
)  # fmt: skip
def test_reasons(
    tmp_path: Path, message: str, log: str, shown: list[str], hidden: list[str], final: bool
) -> None:
    path = tmp_path / "step.log"
    if log:
        path.write_text(log)
    text, is_final = explain(message, [path])
    assert [words for words in shown if words not in text] == []
    assert [words for words in hidden if words in text] == []
    assert is_final == final


def _failed(folder: Path, number: int = 3, **fields: Any) -> logging.LogRecord:
    """What Snakemake logs of a failed job."""
    log = folder / "step.log"
    log.write_text("KeyError: 'b'\n")
    record = logging.LogRecord("snakemake.logging", logging.ERROR, "", 0, "Error in rule block", None, None)
    record.__dict__ |= {
        "event": "job_error", "rule_name": "block", "rule_msg": "", "jobid": number, "log": [str(log)],
        "output": [str(folder / "block-3")],
    } | fields  # fmt: skip
    return record


def test_a_failure_is_shown_once_and_a_final_one_is_given_up(tmp_path: Path) -> None:
    given_up: list[int] = []
    console = io.StringIO()
    handler = FailedSteps(given_up.append, console)
    cancelled = _failed(tmp_path, 4, rule_msg=_SLURM.format("CANCELLED"))
    # Once more at the end, as Snakemake does it.
    for record in [_failed(tmp_path), cancelled, _failed(tmp_path), _failed(tmp_path, 4)]:
        handler.handle(record)
    assert console.getvalue().count("FAILED: block (") == 2
    assert given_up == [4]


def test_the_steps_own_log_goes_before_slurms(tmp_path: Path) -> None:
    own, slurms = tmp_path / "step.log", tmp_path / "17.log"
    slurms.write_text("srun: error: task 0: Killed\n")
    assert "Killed" in explain("", [own, slurms])[0]
    own.write_text("KeyError: 'b'\n")
    assert "Killed" not in explain("", [own, slurms])[0]


def test_what_did_not_fail_is_not_shown(tmp_path: Path) -> None:
    """Of a group, steps that were done before and those that never began; and whatever is no failure."""
    console = io.StringIO()
    handler = FailedSteps(lambda _: None, console)
    (tmp_path / "done").touch()
    handler.handle(_failed(tmp_path, output=[str(tmp_path / "done")]))
    handler.handle(_failed(tmp_path, log=[str(tmp_path / "absent.log")]))
    handler.handle(_failed(tmp_path, event="job_info"))
    assert console.getvalue() == ""


JOBS = [
    JobState("1", "RUNNING", comment="rule_block_wildcards_train_1_3", folder="/here"),
    JobState("2", "RUNNING", comment="rule_block_wildcards_train_2_3", folder="/here"),
    JobState("3", "PENDING", "Priority", comment="rule_block_wildcards_train_3_3", folder="/here"),
    JobState(
        "4_1", "PENDING", "Resources", name="jrflow-demo-train-bilstm", comment="(null)", folder="/here"
    ),
    JobState("5", "COMPLETED", name="jrflow-x", folder="/here"),
    JobState("6", "RUNNING", name="somebody", folder="/there"),
]


def test_jobs_are_counted_by_step_state_and_reason() -> None:
    assert (
        summary(JOBS[:4])
        == "block: 1 PENDING (Priority), 2 RUNNING; demo-train-bilstm: 1 PENDING (Resources)"
    )


def test_changes_and_progress_are_reported(tmp_path: Path) -> None:
    console, jobs = io.StringIO(), list(JOBS)
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign" / "train.1-of-3.log").write_text(
        "train: 12 of 40 simulations, 3 s to go\nKeyError\n"
    )

    def states() -> dict[str, JobState]:
        if not jobs:
            raise SlurmAwayError("no contact")
        return {job.job: job for job in jobs}

    overview = Overview(states, lambda job: job.folder == "/here", tmp_path, 1, console)
    for now in (1, 2, 3):
        overview.look(1000 + now)
    assert console.getvalue().splitlines() == [
        "jobs: block: 1 PENDING (Priority), 2 RUNNING; demo-train-bilstm: 1 PENDING (Resources)",
        "  train: 12 of 40 simulations, 3 s to go",
    ]
    overview.look(1400)
    assert console.getvalue().count("jobs: block") == 2, "that nothing has changed is said after a while"
    jobs.clear()
    overview.look(1401)
    assert "no answer from Slurm" in console.getvalue()
