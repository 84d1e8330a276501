"""Outcome of a job: results of its ranks, first error, ends of the logs, and advice."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import submitit
from submitit.core.utils import JobPaths, pickle_load

from jrflow.cluster.queue import JobState
from jrflow.cluster.task import Request

#: Lines of a log that are shown when its step failed.
_LINES = 15
_LOG_BYTES = 20_000
#: Errors of a rank that failed because another rank had ended.
_CONSEQUENCE = re.compile(
    "connection (closed|reset)|broken pipe|first rank gave up|ncclRemoteError|RanksError", re.IGNORECASE
)
_TRACEBACK = "Traceback (most recent call last):\n"
#: Last line of the traceback of jrflow's own errors. Their messages are sufficient without the traceback.
_OWN_ERROR = re.compile(r"^jrflow\.[\w.]+: ", re.MULTILINE)
#: Beginnings of log lines that submitit and Slurm write. They are shown only if no rank left an error.
_CHATTER, _LAUNCHERS = ("submitit INFO", "submitit WARNING"), ("srun: ", "slurmstepd")
#: Last line of a launcher's log if another attempt is not wanted.
FINAL = "not tried again"
_PROGRESS = re.compile(r"\d \w+ to go\b|\d+ of \d+|epoch \d+")
_DISK_FULL = re.compile(r"DiskFullError|No space left on device|Disk quota exceeded|no space left for")
_TIME_LIMIT = re.compile("DUE TO TIME LIMIT|User defined signal 2|this job is timed-out|NoProgressError")


class JobFailedError(ChildProcessError):
    """A job failed."""


class FinalError(JobFailedError):
    """A job failed, and another attempt is not wanted or would fail too: cancelled, or the disk is full."""


class FruitlessError(JobFailedError):
    """A job reached its time limit without progress."""


@dataclass(frozen=True)
class RankOutcome:
    """Result of one rank.

    Attributes
    ----------
    rank
        Number of the rank.
    time
        Time when the rank wrote its result, s.
    error
        Error message; None if the rank succeeded.
    """

    rank: int
    time: float
    error: str | None


def rank_outcomes(job: submitit.Job[None], n_ranks: int) -> list[RankOutcome]:
    """Results that ranks have written so far, in order of time."""
    found = []
    for rank in range(n_ranks):
        path = _paths(job, rank).result_pickle
        try:
            kind, content = pickle_load(path)
            found.append(RankOutcome(rank, path.stat().st_mtime, None if kind == "success" else str(content)))
        except (FileNotFoundError, EOFError):
            continue
    return sorted(found, key=lambda outcome: outcome.time)


def progress_line(job: submitit.Job[None]) -> str:
    """Last progress line of the first rank; empty if there is none."""
    return progress_line_of([_paths(job, 0).stdout, _paths(job, 0).stderr])


def progress_line_of(logs: Sequence[Path]) -> str:
    """Last progress line of the given logs; empty if there is none."""
    lines = [line for log in logs for line in log_end(log)]
    return next((line for line in reversed(lines) if _PROGRESS.search(line)), "")


def failure(
    request: Request, job: submitit.Job[None], state: JobState | None, *, progressed: bool = True
) -> JobFailedError:
    """Explain why a job failed.

    Parameters
    ----------
    request
        Resources that the job requested.
    job
        The job.
    state
        Last state of the job; None if Slurm no longer knows it.
    progressed
        Whether the job has finished a part of its work.

    Returns
    -------
    JobFailedError
        ``FinalError`` if another attempt is not wanted or would not help. ``FruitlessError`` if the job
        reached its time limit without progress. The message contains the state, the first error of the
        job's ranks, the ends of all logs, and advice.
    """
    n_ranks = request.n_ranks
    errors = [outcome for outcome in rank_outcomes(job, n_ranks) if outcome.error is not None]
    # The rank that fails first may write its result after the ranks that fail as a consequence.
    errors.sort(key=lambda outcome: bool(_CONSEQUENCE.search(outcome.error or "")))
    shown = list(_shown(job, n_ranks, errors))
    first = [errors[0].error or ""] if errors else []
    ends = "\n".join([*first, *shown, *_raw_ends(job, n_ranks)])
    kind, advice = _kind(state, ends, bool(errors), progressed, request.minutes)
    title = state or f"job {job.job_id} is no longer known to Slurm"
    lines = [f"{request.name}: {title}{advice and f': {advice}'}", *shown]
    return kind("\n".join([*lines, f"all files of this job: {job.paths.folder}"]))


def _shown(job: submitit.Job[None], n_ranks: int, errors: list[RankOutcome]) -> Iterator[str]:
    """First error and ends of the logs; for jrflow's own errors only the message."""
    if errors:
        own = own_error(errors[0].error or "")
        yield f"first error, of rank {errors[0].rank} of {n_ranks}:"
        yield from _indent(own or _without_launcher(errors[0].error or ""))
        if own:
            return
    for rank in range(n_ranks):
        if errors and rank == errors[0].rank:
            continue  # its log ends with the same error
        for path in (_paths(job, rank).stderr, _paths(job, rank).stdout):
            lines = log_end(path, _LINES, launchers=not errors)
            if lines:
                yield f"end of {path}:"
                yield from _indent("\n".join(lines))


def _raw_ends(job: submitit.Job[None], n_ranks: int) -> Iterator[str]:
    """Ends of the logs including lines of the launchers, which say whether a time limit was reached."""
    for rank in range(n_ranks):
        yield from log_end(_paths(job, rank).stderr, launchers=True, chatter=True)


def _kind(
    state: JobState | None, shown: str, has_error: bool, progressed: bool, minutes: int
) -> tuple[type[JobFailedError], str]:
    """Class of a failure, and advice for the user."""
    if _DISK_FULL.search(shown):
        return (
            FinalError,
            "the disk is full. Free some space and start the command again: finished work is kept",
        )
    out_of_time = (state is not None and state.state == "TIMEOUT") or bool(_TIME_LIMIT.search(shown))
    if "NoProgressError" in shown or (out_of_time and not progressed):
        return FruitlessError, f"it reached its time limit of {minutes} min before any work was finished"
    if state is not None and state.state == "CANCELLED" and not has_error:
        return FinalError, "it was cancelled and is not submitted again. To continue the run, start it again"
    return JobFailedError, meaning(state) or ("it ran out of time; raise longest_job" if out_of_time else "")


def own_error(text: str) -> str:
    """Message of jrflow's own error at the end of a traceback or log; empty if there is none."""
    *_, message = _OWN_ERROR.split(text)
    if message == text:
        return ""
    message = message.strip()
    # Ignore it if another error followed.
    return "" if _TRACEBACK in message else message


def log_end(
    path: Path, n_lines: int = _LINES, *, launchers: bool = False, chatter: bool = False
) -> Sequence[str]:
    """Last lines of a log, without empty lines and lines of the launchers.

    Parameters
    ----------
    path
        Path of the log; the file may be absent.
    n_lines
        Largest number of lines.
    launchers
        Whether to include lines of srun and slurmstepd.
    chatter
        Whether to include lines of submitit.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    left_out = (() if chatter else _CHATTER) + (() if launchers else _LAUNCHERS)
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith(left_out))
    return list(deque(lines, maxlen=n_lines))


def meaning(state: JobState | None) -> str:
    """Explanation of a state and advice for the user; empty for all other states."""
    if state is None:
        return ""
    if state.never_starts:
        return (
            "it can never start, because it requests more than its partition, account or quality of service "
            "allows; see scontrol show partition, and change cluster.yaml. It was cancelled"
        )
    known = {
        "TIMEOUT": "it ran out of time; raise longest_job or most_requeues in cluster.yaml",
        "OUT_OF_MEMORY": "it used more memory than it requested",
        "CANCELLED": "it was cancelled; to continue, start the run again",
        "NODE_FAIL": "its node failed and it was not put back into the queue; "
        "to continue, start the run again",
        "PREEMPTED": "it was preempted and not put back into the queue; to continue, start the run again",
        "DEADLINE": "its deadline passed",
    }
    return known.get(state.state, "")


def is_final(shown: str) -> bool:
    """Whether the end of a log reports a failure that another attempt would repeat, such as a full disk."""
    return bool(_DISK_FULL.search(shown)) or FINAL in shown


def _paths(job: submitit.Job[None], rank: int) -> JobPaths:
    return JobPaths(job.paths.folder, job_id=job.job_id, task_id=rank)


def _without_launcher(traceback: str) -> str:
    """Traceback without the frames of the launcher, which are always the same; causes remain."""
    head, call, rest = traceback.partition("self.function(*self.arguments)\n")
    causes, title, _ = head.rpartition(_TRACEBACK)
    return f"{causes}{title}{rest}" if call else head


def _indent(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.splitlines())
