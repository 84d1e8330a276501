"""What became of a job: the results of its ranks, the first error, and the ends of the logs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import submitit
from submitit.core.utils import JobPaths, pickle_load

from jrflow.cluster.queue import JobState

#: Lines of a rank's log that are shown when it failed.
_LINES = 15
_LOG_BYTES = 20_000
#: What a rank says that fails because another one is gone.
_CONSEQUENCE = re.compile(
    "connection (closed|reset)|broken pipe|first rank gave up|ncclRemoteError|RanksError", re.IGNORECASE
)
_TRACEBACK = "Traceback (most recent call last):\n"
#: How lines of the launchers begin, which are about themselves.
_LAUNCHERS = ("submitit INFO", "submitit WARNING", "srun: ", "slurmstepd")


class JobFailedError(ChildProcessError):
    """A job did not do its work."""


@dataclass(frozen=True)
class RankOutcome:
    """The word that one rank left: when, and its error; none where it succeeded."""

    rank: int
    time: float
    error: str | None


def rank_outcomes(job: submitit.Job[None], n_ranks: int) -> list[RankOutcome]:
    """Words of the ranks that have left one, the first first."""
    found = []
    for rank in range(n_ranks):
        path = _paths(job, rank).result_pickle
        try:
            kind, content = pickle_load(path)
            found.append(RankOutcome(rank, path.stat().st_mtime, None if kind == "success" else str(content)))
        except (FileNotFoundError, EOFError):
            continue
    return sorted(found, key=lambda outcome: outcome.time)


def last_line(job: submitit.Job[None], rank: int) -> str:
    """What a rank wrote last; empty where it has not written anything."""
    paths = _paths(job, rank)
    logs = [path for path in (paths.stderr, paths.stdout) if path.exists()]
    for path in sorted(logs, key=lambda log: log.stat().st_mtime, reverse=True):
        lines = _end(path, 1)
        if lines:
            return lines[-1]
    return ""


def failure(name: str, job: submitit.Job[None], n_ranks: int, state: JobState | None) -> str:
    """Say what a job failed of: the state, the first error of its ranks, the ends of all logs."""
    said = [f"{name}: {state or f'job {job.job_id} is no longer known to Slurm'}{_meaning(state)}"]
    errors = [outcome for outcome in rank_outcomes(job, n_ranks) if outcome.error is not None]
    # A rank that fails first lets go of the others, and leaves its word after them, perhaps.
    errors.sort(key=lambda outcome: bool(_CONSEQUENCE.search(outcome.error or "")))
    if errors:
        said += [
            f"first error, of rank {errors[0].rank} of {n_ranks}:",
            *_indent(_own(errors[0].error or "")),
        ]
    for rank in range(n_ranks):
        if errors and rank == errors[0].rank:
            continue  # its log ends with the same
        for path in (_paths(job, rank).stderr, _paths(job, rank).stdout):
            lines = _end(path, _LINES)
            if lines:
                said += [f"end of {path}:", *_indent("\n".join(lines))]
    said.append(f"all of its files: {_paths(job, 0).folder}")
    return "\n".join(said)


def _paths(job: submitit.Job[None], rank: int) -> JobPaths:
    return JobPaths(job._paths._folder, job_id=job.job_id, task_id=rank)


def _meaning(state: JobState | None) -> str:
    """What a user can do about a state."""
    if state is None:
        return ""
    if state.never_starts:
        return (
            ": it can never start, for it asks for more than its partition, account or quality of service "
            "gives to a job; see scontrol show partition, and change cluster.yaml. It was cancelled"
        )
    known = {
        "TIMEOUT": "it ran out of time too often; raise longest_job or most_requeues in cluster.yaml",
        "OUT_OF_MEMORY": "it took more memory than it had asked for",
        "CANCELLED": "somebody or something cancelled it; started again, it goes on",
        "NODE_FAIL": "its node died and it was not put back into the queue; started again, it goes on",
        "PREEMPTED": "it had to make room and was not put back into the queue; started again, it goes on",
        "DEADLINE": "its deadline passed",
    }
    meaning = known.get(state.state)
    return f": {meaning}" if meaning else ""


def _own(traceback: str) -> str:
    """A traceback without the frames of the launcher, which are the same for all; causes stay."""
    head, call, rest = traceback.partition("self.function(*self.arguments)\n")
    causes, title, _ = head.rpartition(_TRACEBACK)
    return f"{causes}{title}{rest}" if call else head


def _end(path: Path, n_lines: int) -> Sequence[str]:
    """The last lines that say something, those of the launchers left out."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith(_LAUNCHERS))
    return list(deque(lines, maxlen=n_lines))


def _indent(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.splitlines())
