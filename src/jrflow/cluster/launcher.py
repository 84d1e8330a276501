"""The one launcher of training and Sobol jobs: here, in processes of this machine, or on Slurm."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import clean_env

from jrflow.cluster.queue import SlurmAwayError, absent, cancel
from jrflow.cluster.record import (
    SubmissionError,
    fingerprint,
    forget_jobs,
    join,
    private_folder,
    record_jobs,
    say,
)
from jrflow.cluster.task import Request, Task
from jrflow.cluster.waiting import Waiting
from jrflow.config.cluster import ClusterConfig

#: Time between the signal that a job's time is up and its end, s, and at most as a share of its time: what is
#: written is written atomically, so it need only be enough to get back into the queue.
_NOTICE, _NOTICE_SHARE = 90, 0.25
#: So long may a job of this machine take to notice Ctrl-C, and to end its ranks, s.
_HEARD_WITHIN, _ENDS_WITHIN = 2.0, 10.0


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
    folder = private_folder(folder)
    with _interruptible() as check_interrupted:
        asked = fingerprint(tasks, request)
        joined = join(asked, folder, progress) if cluster.cluster == "slurm" else None
        jobs = joined or _submit(tasks, request, cluster, folder)
        try:
            record_jobs(asked, jobs, request, folder)
            check_interrupted()
            Waiting(jobs, request, cluster, progress).wait(check_interrupted)
        except BaseException:
            _cancel(jobs, cluster, progress)
            raise
    forget_jobs(folder)
    for executable in folder.glob("*/*.pkl"):
        executable.unlink()


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
            return jobs
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        raise SubmissionError(_refusal(error, request, cluster)) from error


def _executor(request: Request, cluster: ClusterConfig, folder: Path) -> submitit.Executor:
    if cluster.cluster == "slurm" and shutil.which("srun") is None:
        raise SubmissionError(f"{request.name}: {absent('srun')} Else: cluster: local in cluster.yaml")
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
    elif request.gres:
        # Else submitit hides all GPUs.
        executor.update_parameters(gpus_per_node=int(request.gres.rpartition(":")[2]))
    return executor


def _slurm_parameters(request: Request, cluster: ClusterConfig) -> dict[str, Any]:
    chosen = {
        "slurm_partition": cluster.partition_of(request.gres),
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
        "partition": cluster.partition_of(request.gres),
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
        _end_here(jobs)
        return
    try:
        cancel(ids)
    except SlurmAwayError as error:
        say(progress, f"could not cancel: {error}; do it later: scancel {' '.join(ids)}")


def _end_here(jobs: Sequence[submitit.Job[None]]) -> None:
    """End jobs of this machine, and wait until they have.

    Ctrl-C has reached them already; a second signal would disturb the process that is ending their ranks, so
    it is only given to jobs that go on.
    """
    for job in _running_after(_HEARD_WITHIN, jobs):
        job.cancel()
    _running_after(_ENDS_WITHIN, jobs)


def _running_after(seconds: float, jobs: Sequence[submitit.Job[None]]) -> list[submitit.Job[None]]:
    """Jobs of this machine that go on after so long a time."""
    give_up = time.monotonic() + seconds
    while (running := [job for job in jobs if job.state == "RUNNING"]) and time.monotonic() < give_up:
        time.sleep(0.05)
    return running


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
