"""States of jobs as Slurm reports them. All launchers of a run share one query."""

from __future__ import annotations

import fcntl
import getpass
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: States of jobs that have not ended.
_UNDER_WAY = {
    "PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT",
    "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD",
}  # fmt: skip
#: States from which a job may return to the queue; they are final only if they persist.
_PERHAPS_REQUEUED = {"PREEMPTED", "NODE_FAIL"}
#: Reasons of jobs that can never start: they request more than their partition, account or quality of
#: service allows for any job.
_NEVER = re.compile(
    "PartitionConfig|Partition(Node|Time)Limit|BadConstraints|AccountNotAllowed|QOSNotAllowed|"
    "Invalid(Account|QOS)|(Assoc|QOS)Max.*Per(Job|Node)"
)
_ANSWER_WITHIN = 60.0  # s
_FIELDS = "%i|%T|%r|%N|%M|%j|%k|%Z"
#: Smallest number of fields in a line that describes a job.
_NEEDED = 5


class SlurmAwayError(ConnectionError):
    """Slurm's controller does not answer."""


@dataclass(frozen=True)
class JobState:
    """One job, or one task of an array.

    Attributes
    ----------
    job
        Job id, such as 17 or 17_3.
    state
        State as Slurm names it, such as PENDING.
    reason
        Why the job waits or has failed, as Slurm names it.
    nodes
        Nodes where the job runs; empty if it does not run.
    elapsed
        Time that the job has run, as Slurm writes it.
    name
        Name of the job.
    comment
        Comment of the job; Snakemake writes the rule there.
    folder
        Folder from which the job was submitted.
    """

    job: str
    state: str
    reason: str = ""
    nodes: str = ""
    elapsed: str = ""
    name: str = ""
    comment: str = ""
    folder: str = ""

    @property
    def belongs_to_a_run(self) -> bool:
        """Whether Snakemake or jrflow submitted the job."""
        return self.comment.startswith(("rule_", "group_")) or self.name.startswith("jrflow")

    @property
    def under_way(self) -> bool:
        """Whether the job has not ended."""
        return self.state in _UNDER_WAY

    @property
    def may_return(self) -> bool:
        """Whether Slurm may put the job back into the queue."""
        return self.state in _PERHAPS_REQUEUED

    @property
    def never_starts(self) -> bool:
        """Whether the job can never start."""
        return self.state == "PENDING" and bool(_NEVER.match(self.reason))

    def __str__(self) -> str:
        where = f" on {self.nodes}, {self.elapsed}" if self.nodes and self.state != "PENDING" else ""
        why = f" ({self.reason})" if self.reason not in ("", "None") else ""
        return f"job {self.job} {self.state}{why}{where}"


def absent(command: str) -> str:
    """Message for a Slurm command that is not installed."""
    return f"{command}: command not found. Run this on a login node of a Slurm cluster."


def job_states(jobs: Iterable[str]) -> dict[str, JobState]:
    """Ask squeue about jobs. Jobs that ended some minutes ago are absent, because squeue forgets them.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer.
    """
    ids = sorted({job.split("_")[0] for job in jobs})
    return {state.job: state for state in _squeue("--states=all", f"--jobs={','.join(ids)}")}


def shared_states(answer: Path, max_age: float) -> dict[str, JobState]:
    """States of the user's jobs by job id; several processes share one query to Slurm through a file.

    Parameters
    ----------
    answer
        File with Slurm's last answer, in a folder of the run. If it is too old, one process asks Slurm again
        and the others wait for the new answer.
    max_age
        Largest age of an answer that is used, s.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer.
    """
    with answer.with_suffix(".lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not answer.exists() or not 0 <= time.time() - answer.stat().st_mtime < max_age:
            answer.write_text(_ask(_squeue_command(f"--user={getpass.getuser()}", "--states=all")))
        text = answer.read_text()
    return {state.job: state for state in _parsed(text)}


def named_jobs(name: str) -> list[JobState]:
    """Ask squeue about the user's jobs with a name that have not ended.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer.
    """
    return _squeue(f"--name={name}", f"--user={getpass.getuser()}")


def accounted_state(job: str) -> JobState | None:
    """Ask sacct about a job that squeue has forgotten; None if sacct has no record or does not answer."""
    command = ["sacct", "--noheader", "--allocations", "--parsable2", "--jobs", job, "-o"]
    try:
        lines = _ask([*command, "JobID,State,Reason,NodeList,Elapsed"]).splitlines()
    except SlurmAwayError:
        return None
    for line in lines:
        fields = line.split("|")
        if fields[0] == job:
            return JobState(job, fields[1].split()[0], *fields[2:])
    return None


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer. Some jobs may then continue.
    """
    ids = sorted(set(jobs))
    if ids:
        _ask(["scancel", "--quiet", *ids])


def _squeue(*which: str) -> list[JobState]:
    return _parsed(_ask(_squeue_command(*which)))


def _squeue_command(*which: str) -> list[str]:
    return ["squeue", "--noheader", "--array", *which, "-o", _FIELDS]


def _parsed(answer: str) -> list[JobState]:
    most = _FIELDS.count("|") + 1
    lines = [line.split("|") for line in answer.splitlines()]
    return [JobState(*(word.strip() for word in words)) for words in lines if _NEEDED <= len(words) <= most]


def answered(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a Slurm command to its end; its exit code is not checked.

    Raises
    ------
    SlurmAwayError
        If the command is absent or does not end in time.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_WITHIN, check=False)
    except FileNotFoundError as error:
        raise SlurmAwayError(absent(command[0])) from error
    except subprocess.TimeoutExpired as error:
        raise SlurmAwayError(f"{command[0]} did not answer within {_ANSWER_WITHIN:g} s") from error


def _ask(command: list[str]) -> str:
    done = answered(command)
    if done.returncode and not re.search("Invalid job id", done.stderr):
        raise SlurmAwayError(f"{command[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
