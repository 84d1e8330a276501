"""The one launcher of training and Sobol jobs: here, in processes of this machine, or on Slurm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import clean_env
from submitit.slurm.slurm import SlurmJob

from jrflow.archive.place import place, write_atomically
from jrflow.cluster.queue import SlurmAwayError, cancel, job_states
from jrflow.cluster.task import Request, Task
from jrflow.cluster.waiting import Waiting
from jrflow.config.cluster import ClusterConfig
from jrflow.provenance import content_hash

#: Time between the signal that a job's time is up and its end, s, and at most as a share of its time: what is
#: written is written atomically, so it need only be enough to get back into the queue.
_NOTICE, _NOTICE_SHARE = 90, 0.25
_SUBMITTED = "submitted.json"


class SubmissionError(OSError):
    """Slurm does not take a job."""


def launch(
    tasks: Sequence[Task],
    request: Request,
    cluster: ClusterConfig,
    folder: Path,
    progress: TextIO | None = sys.stderr,
) -> None:
    """Have tasks carried out and wait for them; several are an array of jobs.

    Called again after an interruption it joins the jobs that are still under way, if they are the same, and
    submits nothing. Ended by SIGINT or SIGTERM, it cancels them: none is left behind.

    Parameters
    ----------
    tasks
        Each is one job, carried out by all of its ranks.
    request
        What a job asks for.
    cluster
        Where they go.
    folder
        Of the jobs' files and logs, on a file system that all nodes share. What lies there is executed, so
        only the user may read or write it.
    progress
        Where states are written as they change; None for silence.

    Raises
    ------
    SubmissionError
        If Slurm refuses: with its words, what was asked for and where to change that.
    JobFailedError
        If a job failed: with the first error of its ranks, and the ends of their logs.
    """
    if cluster.cluster == "in-process":
        for task in tasks:
            task.function(*task.arguments)
        return
    folder = _private(folder)
    with _interruptible() as check_interrupted:
        jobs = _join(tasks, cluster, folder, progress) or _submit(tasks, request, cluster, folder)
        try:
            check_interrupted()
            Waiting(jobs, request, cluster, progress).wait(check_interrupted)
        except BaseException:
            _cancel(jobs, cluster, progress)
            raise
    (folder / _SUBMITTED).unlink(missing_ok=True)
    for executable in folder.glob("*/*.pkl"):
        executable.unlink()


def _private(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder.resolve()


def _submit(
    tasks: Sequence[Task], request: Request, cluster: ClusterConfig, folder: Path
) -> list[submitit.Job[None]]:
    executor = _executor(request, cluster, folder)
    try:
        # From within a job, what Slurm told that job would contradict what the new one asks for.
        with clean_env(("CUDA_VISIBLE_DEVICES",)):
            if len(tasks) == 1:
                jobs = [executor.submit(tasks[0])]
            else:
                with executor.batch():
                    jobs = [executor.submit(task) for task in tasks]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        raise SubmissionError(_refusal(error, request, cluster)) from error
    ids = [str(job.job_id) for job in jobs]
    record = {"tasks": _fingerprint(tasks), "jobs": ids, "ranks": request.n_ranks}
    write_atomically(place(folder / _SUBMITTED), json.dumps(record).encode())
    return jobs


def _join(
    tasks: Sequence[Task], cluster: ClusterConfig, folder: Path, progress: TextIO | None
) -> list[submitit.Job[None]] | None:
    """Jobs of the same tasks that an earlier launcher left under way; None where there are none."""
    path = folder / _SUBMITTED
    if cluster.cluster != "slurm" or not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    try:
        known = job_states(record["jobs"])
    except SlurmAwayError:
        known = {}
    alive = [state for state in known.values() if state.under_way and state.job in record["jobs"]]
    if not alive:
        return None
    if record["tasks"] != _fingerprint(tasks):
        _say(progress, f"cancelled, for its settings have changed since: {', '.join(map(str, alive))}")
        cancel(record["jobs"])
        return None
    _say(progress, f"still under way, joined: {', '.join(map(str, alive))}")
    ranks = list(range(record["ranks"]))
    return [SlurmJob(folder=folder / "%j", job_id=job, tasks=ranks) for job in record["jobs"]]


def _executor(request: Request, cluster: ClusterConfig, folder: Path) -> submitit.Executor:
    executor = submitit.AutoExecutor(
        folder=folder / "%j", cluster=cluster.cluster, slurm_max_num_timeout=cluster.most_requeues
    )
    executor.update_parameters(
        name=request.name,
        timeout_min=request.minutes,
        nodes=request.nodes,
        tasks_per_node=request.ranks_per_node,
        cpus_per_task=request.cores_per_rank,
    )
    if cluster.cluster == "slurm":
        executor.update_parameters(**_slurm_parameters(request, cluster))
    return executor


def _slurm_parameters(request: Request, cluster: ClusterConfig) -> dict[str, Any]:
    partition = (cluster.gpu_partition if request.gres else None) or cluster.partition
    chosen = {
        "slurm_partition": partition,
        "slurm_account": cluster.account,
        "slurm_qos": cluster.qos,
        "slurm_constraint": cluster.constraint,
        "slurm_gres": request.gres,
        "slurm_setup": list(cluster.setup) or None,
    }
    return {name: value for name, value in chosen.items() if value is not None} | {
        "slurm_mem": f"{request.memory_mb}MB",
        "slurm_array_parallelism": cluster.most_jobs,
        "slurm_signal_delay_s": round(min(_NOTICE, _NOTICE_SHARE * 60 * request.minutes)),
        "slurm_additional_parameters": {"requeue": True},
        # One rank that fails ends the others, which would wait for it.
        "slurm_srun_args": ["--kill-on-bad-exit=1"],
    }


def _refusal(error: Exception, request: Request, cluster: ClusterConfig) -> str:
    told = str(getattr(error, "stderr", None) or error).strip().splitlines()
    asked = {
        "account": cluster.account,
        "partition": (cluster.gpu_partition if request.gres else None) or cluster.partition,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "gres": request.gres,
        "nodes": request.nodes,
        "cores": request.ranks_per_node * request.cores_per_rank,
        "memory": f"{request.memory_mb} MB",
        "time": f"{request.minutes} min",
    }
    words = ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
    reason = next(
        (line for line in reversed(told) if "error" in line), told[-1] if told else "no reason given"
    )
    return (
        f"Slurm does not take {request.name}: {reason.removeprefix('sbatch: error: ')}\n"
        f"asked for: {words}\n"
        "what there is: sinfo -o '%P %l %c %m %G'; your accounts: sacctmgr show assoc user=$USER; change "
        "cluster.yaml beside the profile, or write it anew: jrflow profile install slurm"
    )


def _cancel(jobs: Sequence[submitit.Job[None]], cluster: ClusterConfig, progress: TextIO | None) -> None:
    ids = [str(job.job_id) for job in jobs]
    if cluster.cluster == "local":
        for job in jobs:
            job.cancel()
        return
    try:
        cancel(ids)
    except SlurmAwayError as error:
        _say(progress, f"could not cancel: {error}; do it later: scancel {' '.join(ids)}")


def _fingerprint(tasks: Sequence[Task]) -> str:
    described = [
        [f"{t.function.__module__}.{t.function.__qualname__}", *map(str, t.arguments)] for t in tasks
    ]
    return content_hash(described)


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Turn SIGINT and SIGTERM into an exception at places where no job can be lost: between submissions."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    def check() -> None:
        if received:
            raise KeyboardInterrupt(signal.Signals(received[0]).name)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(progress: TextIO | None, text: str) -> None:
    if progress is not None:
        print(f"{text} [process {os.getpid()}]", file=progress, flush=True)
