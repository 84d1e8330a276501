"""Launcher of training and Sobol jobs: in this process, in other processes of this machine, or on Slurm."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import clean_env

from jrflow.cluster.inheritance import inherited
from jrflow.cluster.outcome import FinalError, FruitlessError
from jrflow.cluster.queue import SlurmAwayError, absent, cancel, shared_states
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
from jrflow.cluster.waiting import States, Waiting, states_here
from jrflow.config.cluster import ClusterConfig

#: Time from Slurm's warning signal to the time limit of a job, s, and its largest share of the time limit. A
#: job only needs to get back into the queue in this time: all files are written atomically.
_NOTICE, _NOTICE_SHARE = 90, 0.25
#: Time that a job on this machine may take to notice Ctrl-C, and to end its ranks, s.
_HEARD_WITHIN, _ENDS_WITHIN = 2.0, 10.0
#: Number of consecutive starts without progress after which a step fails.
_FRUITLESS = 2
#: Name of the folder of all steps of a run, and of the file with Slurm's answer that their launchers share.
_SHARED, _ANSWER = "jobs", "squeue.txt"


def launch(
    tasks: Sequence[Task],
    request: Request,
    cluster: ClusterConfig,
    folder: Path,
    progress: TextIO | None = sys.stderr,
) -> None:
    """Run tasks as jobs and wait for them; several tasks become a job array.

    After an interruption, a new call for the same tasks joins the jobs that are still active and submits
    nothing. SIGINT or SIGTERM cancels all jobs. A job that reaches its time limit without progress is
    submitted once more, with the longest time limit of the cluster.

    Parameters
    ----------
    tasks
        Tasks, one job for each; all ranks of the job call the task.
    request
        Resources that each job requests.
    cluster
        Description of the cluster.
    folder
        Folder of the jobs' files and logs, on a file system that all nodes share. Jobs execute files of this
        folder, so only the user may read or write it.
    progress
        Stream for states when they change; None for no output.

    Raises
    ------
    SubmissionError
        If Slurm refuses a job. The message contains Slurm's reason, the request and where to change it.
    JobFailedError
        If a job failed. The message contains the first error of the job's ranks and the ends of their logs.
        It is a ``FinalError`` if another attempt is not wanted or would not help.
    """
    if cluster.cluster == "in-process":
        for task in tasks:
            task.function(*task.arguments)
        return
    folder = private_folder(folder)
    with _interruptible() as check_interrupted:
        _until_done(tasks, request, cluster, folder, progress, check_interrupted)


def _until_done(
    tasks: Sequence[Task],
    request: Request,
    cluster: ClusterConfig,
    folder: Path,
    progress: TextIO | None,
    check_interrupted: Callable[[], None],
) -> None:
    """Run tasks. Repeat a start without progress with more time; fail after two of them in a row."""
    fruitless, last = 0, ""
    while True:
        before = [task.progress() for task in tasks]
        try:
            _carry_out(tasks, request, cluster, folder, progress, check_interrupted, before)
        except FruitlessError as error:
            now = "".join(task.progress() for task in tasks)
            fruitless, last = (fruitless + 1 if now == last else 1), now
            if fruitless == _FRUITLESS:
                raise FinalError(
                    f"{error}\n{request.name}: {_FRUITLESS} starts in a row finished nothing. The first part "
                    f"of this job takes more than {request.minutes} min: raise longest_job in cluster.yaml "
                    f"(now {cluster.longest_job} min)"
                ) from error
            request = replace(request, minutes=cluster.longest_job)
            say(progress, f"{error}\n{request.name}: submitted again, with {request.minutes} min")
        else:
            return


def _carry_out(
    tasks: Sequence[Task],
    request: Request,
    cluster: ClusterConfig,
    folder: Path,
    progress: TextIO | None,
    check_interrupted: Callable[[], None],
    before: list[str],
) -> None:
    asked = fingerprint(tasks, request)
    joined = join(asked, folder, progress) if cluster.cluster == "slurm" else None
    jobs = joined or _submit(tasks, request, cluster, folder)

    def states() -> States:
        if cluster.cluster != "slurm":
            return states_here(jobs)
        shared = folder.parent if folder.parent.name == _SHARED else folder
        return shared_states(shared / _ANSWER, cluster.poll)

    def progressed() -> bool:
        return before != [task.progress() for task in tasks]

    try:
        record_jobs(asked, jobs, request, folder)
        check_interrupted()
        Waiting(jobs, request, cluster, progress, states, progressed).wait(check_interrupted)
    except BaseException:
        if _cancel(jobs, cluster, progress):
            _tidy(folder)
        raise
    _tidy(folder)


def _tidy(folder: Path) -> None:
    """Remove the record of jobs that have ended, and their pickled tasks and submission scripts."""
    forget_jobs(folder)
    for executable in [*folder.glob("*.pkl"), *folder.glob("*/*.pkl")]:
        executable.unlink(missing_ok=True)
    for left in folder.glob(".submission_file_*.sh"):
        left.unlink(missing_ok=True)


def _submit(
    tasks: Sequence[Task], request: Request, cluster: ClusterConfig, folder: Path
) -> list[submitit.Job[None]]:
    executor = _executor(request, cluster, folder)
    timed = [replace(task, minutes=request.minutes) for task in tasks]
    try:
        # Inside a job, Slurm's variables for that job would override the requests of the new job.
        with clean_env(("CUDA_VISIBLE_DEVICES",)), inherited(cluster):
            if len(timed) == 1:
                return [executor.submit(timed[0])]
            with executor.batch():
                return [executor.submit(task) for task in timed]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        _tidy(folder)
        raise SubmissionError(_refusal(error, request, cluster)) from error


def _executor(request: Request, cluster: ClusterConfig, folder: Path) -> submitit.Executor:
    if cluster.cluster == "slurm" and shutil.which("srun") is None:
        raise SubmissionError(f"{request.name}: {absent('srun')} Or set cluster: local in cluster.yaml")
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
        # Without this parameter submitit hides all GPUs.
        executor.update_parameters(gpus_per_node=int(request.gres.rpartition(":")[2]))
    return executor


def _slurm_parameters(request: Request, cluster: ClusterConfig) -> dict[str, Any]:
    chosen = {
        "slurm_partition": cluster.partition_of(request.gres),
        "slurm_account": cluster.account,
        "slurm_qos": cluster.qos,
        "slurm_constraint": cluster.constraint,
        "slurm_gres": request.gres,
        "slurm_setup": [*cluster.setup, *_interface(cluster, request)] or None,
    }
    return {name: value for name, value in chosen.items() if value is not None} | {
        "slurm_mem": f"{request.memory_mb}MB",
        "slurm_array_parallelism": cluster.most_jobs,
        "slurm_signal_delay_s": round(min(_NOTICE, _NOTICE_SHARE * 60 * request.minutes)),
        "slurm_additional_parameters": {"requeue": True},
        # If one rank fails, end the others: they would wait for it.
        "slurm_srun_args": ["--kill-on-bad-exit=1"],
    }


def _interface(cluster: ClusterConfig, request: Request) -> Iterator[str]:
    """Shell lines that make ranks on several nodes communicate over the interface of cluster.yaml."""
    if cluster.interface and request.nodes > 1:
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            yield f"export {name}={cluster.interface}"


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
        f"Slurm refused {request.name}: {reason.removeprefix('sbatch: error: ')}\n"
        f"requested: {words}\n"
        "To list partitions: sinfo -o '%P %l %c %m %G'; to list your accounts: sacctmgr show assoc "
        "user=$USER. Then edit cluster.yaml beside the profile, or write it again: jrflow profile install "
        "slurm"
    )


def _cancel(jobs: Sequence[submitit.Job[None]], cluster: ClusterConfig, progress: TextIO | None) -> bool:
    """Cancel jobs and return whether it succeeded."""
    ids = [str(job.job_id) for job in jobs]
    if cluster.cluster == "local":
        _end_here(jobs)
        return True
    try:
        cancel(ids)
    except SlurmAwayError as error:
        say(progress, f"could not cancel jobs: {error}. Cancel them later: scancel {' '.join(ids)}")
        return False
    return True


def _end_here(jobs: Sequence[submitit.Job[None]]) -> None:
    """End jobs on this machine, and wait until they have ended.

    Ctrl-C on a terminal also reaches these jobs. A second signal would disturb a job that is ending its
    ranks, so only jobs that continue to run receive one.
    """
    for job in _running_after(_HEARD_WITHIN, jobs):
        job.cancel()
    _running_after(_ENDS_WITHIN, jobs)


def _running_after(seconds: float, jobs: Sequence[submitit.Job[None]]) -> list[submitit.Job[None]]:
    """Jobs on this machine that still run after the given time, s."""
    give_up = time.monotonic() + seconds
    while (running := [job for job in jobs if job.state == "RUNNING"]) and time.monotonic() < give_up:
        time.sleep(0.05)
    return running


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt, raised only where no job can be lost.

    Yields a function that raises it if a signal has arrived; call this function between submissions.
    """
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
