"""What Slurm says of jobs: one question for all of them, and none that fails because Slurm is away."""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

#: States in which a job may still do something.
_UNDER_WAY = {
    "PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT",
    "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD",
}  # fmt: skip
#: From these a job may return to the queue; they are no end before they have lasted.
_PERHAPS_REQUEUED = {"PREEMPTED", "NODE_FAIL"}
#: Why a job waits that will wait for ever: it asks for what its partition, account or quality of service does
#: not give to any job.
_NEVER = re.compile(
    "PartitionConfig|Partition(Node|Time)Limit|BadConstraints|AccountNotAllowed|QOSNotAllowed|"
    "Invalid(Account|QOS)|(Assoc|QOS)Max.*Per(Job|Node)"
)
_ANSWER_WITHIN = 60.0  # s
_FIELDS = "%i|%T|%r|%N|%M"


class SlurmAwayError(ConnectionError):
    """Slurm's controller does not answer."""


@dataclass(frozen=True)
class JobState:
    """One job, or one task of an array.

    Attributes
    ----------
    job
        Its id: 17, or 17_3.
    state
        Slurm's word for it, such as PENDING.
    reason
        Why it waits, or what it failed of; Slurm's word, too.
    nodes
        Where it runs; empty while it does not.
    elapsed
        Time it has run, as Slurm writes it.
    """

    job: str
    state: str
    reason: str = ""
    nodes: str = ""
    elapsed: str = ""

    @property
    def under_way(self) -> bool:
        """Whether it may still do something."""
        return self.state in _UNDER_WAY

    @property
    def may_return(self) -> bool:
        """Whether it may have been put back into the queue."""
        return self.state in _PERHAPS_REQUEUED

    @property
    def never_starts(self) -> bool:
        """Whether it waits for what cannot happen."""
        return self.state == "PENDING" and bool(_NEVER.match(self.reason))

    def __str__(self) -> str:
        where = f" on {self.nodes}, {self.elapsed}" if self.nodes and self.state != "PENDING" else ""
        why = f" ({self.reason})" if self.reason not in ("", "None") else ""
        return f"job {self.job} {self.state}{why}{where}"


def absent(command: str) -> str:
    """What to say where one of Slurm's commands is not installed."""
    return f"{command} is not here: is this a login node of a Slurm cluster?"


def job_states(jobs: Iterable[str]) -> dict[str, JobState]:
    """Ask squeue about jobs; those it has forgotten, some minutes after their end, are absent.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer.
    """
    ids = sorted({job.split("_")[0] for job in jobs})
    return {state.job: state for state in _squeue("--states=all", f"--jobs={','.join(ids)}")}


def named_jobs(name: str) -> list[JobState]:
    """Ask squeue about the user's jobs of one name that have not ended.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer.
    """
    return _squeue(f"--name={name}", f"--user={getpass.getuser()}")


def accounted_state(job: str) -> JobState | None:
    """Ask the accounting about a job that squeue has forgotten; None where there is none, or no answer."""
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
    """Cancel jobs, or say which could not be: those are still Slurm's.

    Raises
    ------
    SlurmAwayError
        If the controller does not answer.
    """
    ids = sorted(set(jobs))
    if ids:
        _ask(["scancel", "--quiet", *ids])


def _squeue(*which: str) -> list[JobState]:
    lines = _ask(["squeue", "--noheader", "--array", *which, "-o", _FIELDS]).splitlines()
    fields = [line.split("|") for line in lines if line.count("|") == _FIELDS.count("|")]
    return [JobState(*(word.strip() for word in words)) for words in fields]


def answered(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands to its end, whatever it says.

    Raises
    ------
    SlurmAwayError
        If it is absent, or does not end in time.
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
