"""Record of submitted jobs: a launcher that starts after an interruption joins jobs that are still active."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import submitit
from submitit.slurm.slurm import SlurmJob

from jrflow.archive.paths import place, write_atomically
from jrflow.cluster.queue import JobState, SlurmAwayError, cancel, job_states
from jrflow.cluster.task import Request, Task
from jrflow.provenance import content_hash

_SUBMITTED = "submitted.json"


class SubmissionError(OSError):
    """Slurm refused a job."""


def private_folder(folder: Path) -> Path:
    """Make a folder that only the user may read or write, and return its absolute path."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder.resolve()


def fingerprint(tasks: Sequence[Task], request: Request) -> str:
    """Hash of functions, arguments, contents of argument files, and number of ranks of a request."""
    described = [
        [f"{t.function.__module__}.{t.function.__qualname__}", *map(_described, t.arguments)] for t in tasks
    ]
    return content_hash([described, request.nodes, request.ranks_per_node])


def _described(argument: Any) -> list[str]:
    """Describe an argument; for a file also by its content, because settings in it may change."""
    is_file = isinstance(argument, Path) and argument.is_file()
    return [str(argument), *([hashlib.sha256(argument.read_bytes()).hexdigest()] if is_file else [])]


def record_jobs(asked: str, jobs: Sequence[submitit.Job[None]], request: Request, folder: Path) -> None:
    """Record submitted jobs, for a launcher that starts after an interruption."""
    record = {"tasks": asked, "jobs": [str(job.job_id) for job in jobs], "ranks": request.n_ranks}
    write_atomically(place(folder / _SUBMITTED), json.dumps(record).encode())


def join(asked: str, folder: Path, progress: TextIO | None) -> list[submitit.Job[None]] | None:
    """Active jobs that an earlier launcher has submitted for the same tasks; None if there are none."""
    path = folder / _SUBMITTED
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    try:
        known = job_states(record["jobs"])
        return _living(record, known, asked, folder, progress)
    except SlurmAwayError as error:
        raise SubmissionError(
            f"jobs of an earlier start may still be active ({', '.join(record['jobs'])}), but Slurm did not "
            f"answer: {error}. Start the same command again when Slurm answers"
        ) from error


def _living(
    record: dict[str, Any], known: dict[str, JobState], asked: str, folder: Path, progress: TextIO | None
) -> list[submitit.Job[None]] | None:
    """Jobs that are still active, if they do the same tasks; otherwise cancel them and return None."""
    alive = [state for state in known.values() if state.under_way and state.job in record["jobs"]]
    if not alive:
        return None
    if record["tasks"] != asked:
        say(progress, f"cancelled, because settings have changed since then: {', '.join(map(str, alive))}")
        cancel(record["jobs"])
        return None
    say(progress, f"still active, joined: {', '.join(map(str, alive))}")
    ranks = list(range(record["ranks"]))
    return [SlurmJob(folder=folder / "%j", job_id=job, tasks=ranks) for job in record["jobs"]]


def forget_jobs(folder: Path) -> None:
    """Remove the record; call this only after all jobs have ended."""
    (folder / _SUBMITTED).unlink(missing_ok=True)


def say(progress: TextIO | None, text: str) -> None:
    """Print a progress message with the process id."""
    if progress is not None:
        print(f"{text} [process {os.getpid()}]", file=progress, flush=True)
