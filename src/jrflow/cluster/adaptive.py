"""Dask workers that run in their own Slurm jobs; the number of jobs follows the work (dask-jobqueue)."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client
from distributed.security import Security
from tornado.ioloop import PeriodicCallback

from jrflow.cluster.clients import WorkersLostError, has_dashboard
from jrflow.cluster.inheritance import inherited
from jrflow.cluster.jobqueue import slurm_cluster_class
from jrflow.cluster.queue import SlurmAwayError, job_states, named_jobs
from jrflow.cluster.record import private_folder
from jrflow.config.cluster import ClusterConfig
from jrflow.config.execution import ExecutionConfig

#: A worker stops before its job reaches the time limit, so that no task is lost. The first number is the
#: share of the limit that is left then. The second one spreads the stops, so that workers are not all
#: replaced at the same time.
_LEAVES_WITH, _STAGGER = 0.2, 0.1
#: Largest number of lost workers for one task. Above it Dask reports the task as failed. Workers are also
#: lost for other reasons: their jobs are preempted, cancelled or reach the time limit.
_ALLOWED_FAILURES = 10
#: Time after which a worker that has lost its scheduler ends, together with its job, s.
_DEATH_TIMEOUT = 60
_LOOPBACK = "127.0.0.1"


@contextmanager
def adaptive_client(
    execution: ExecutionConfig, cluster: ClusterConfig, folder: Path, name: str
) -> Iterator[Client]:
    """Start a scheduler in this process, submit worker jobs as needed, and connect.

    Lost worker jobs are replaced. All worker jobs end with the context. Connections are encrypted; their
    credentials are stored in ``folder`` until the context ends.

    Parameters
    ----------
    execution
        Memory of a worker; whether to use TLS.
    cluster
        Resources that a job requests; largest number of jobs.
    folder
        Folder of credentials and logs. All nodes share it, and only the user can read it.
    name
        Name of the jobs.

    Raises
    ------
    WorkersLostError
        If no worker starts in time. The message contains the reasons that squeue gives.
    """
    folder = private_folder(folder)
    security = Security.temporary() if execution.tls else None
    settings = {
        "distributed.scheduler.no-workers-timeout": cluster.wait_for_workers * 60,
        "distributed.scheduler.allowed-failures": _ALLOWED_FAILURES,
    }
    with (
        inherited(cluster),
        dask.config.set(settings),
        slurm_cluster_class()(
            security=security,
            protocol="tls://" if execution.tls else "tcp://",
            shared_temp_directory=str(folder),
            interface=cluster.interface,
            scheduler_options={
                "interface": cluster.interface,
                "dashboard_address": f"{_LOOPBACK}:8787" if has_dashboard() else None,
            },
            job_name=name,
            **_job(execution, cluster, folder),
        ) as workers,
    ):
        workers.adapt(minimum_jobs=1, maximum_jobs=cluster.nodes, interval="2s", wait_count=10)
        replacing = PeriodicCallback(lambda: _replace_lost(workers), 1000 * cluster.poll)
        workers.loop.add_callback(replacing.start)
        with Client(workers, security=security) as client:
            try:
                client.wait_for_workers(1, timeout=cluster.wait_for_workers * 60)
            except TimeoutError as error:
                raise WorkersLostError(no_workers(name, cluster)) from error
            yield client


async def _replace_lost(workers: Any) -> None:
    """Remove jobs that Slurm no longer has, so that Dask submits new ones.

    Dask replaces workers by their names, and a job with several processes has a different name than its
    workers. If the job is cancelled, Dask would wait for it without end. The same is true of a job that is
    cancelled while it is pending.
    """
    jobs = {name: str(job.job_id) for name, job in workers.workers.items() if getattr(job, "job_id", None)}
    try:
        known = await asyncio.to_thread(job_states, list(jobs.values())) if jobs else {}
    except SlurmAwayError:
        return
    lost = [name for name, job in jobs.items() if job not in known or not known[job].under_way]
    for name in lost:
        workers.worker_spec.pop(name, None)
        if name in workers.workers:
            await workers.workers.pop(name).close()


def no_workers(name: str, cluster: ClusterConfig) -> str:
    """Message: no worker has started; it lists the states of the worker jobs in Slurm."""
    try:
        waiting = [str(state) for state in named_jobs(name)]
    except SlurmAwayError as error:
        waiting = [str(error)]
    return (
        f"no Dask worker started within {cluster.wait_for_workers:g} min (wait_for_workers in cluster.yaml). "
        f"Jobs {name} in squeue: {'; '.join(waiting) or 'none (see the logs of the jobs for the reason)'}. "
        "Finished work is kept: start the same command again to resume"
    )


def tunnel(client: Client) -> str:
    """Address of the dashboard and the ssh command that makes it reachable from the user's computer."""
    if not has_dashboard():
        return "none (bokeh is not installed)"
    port = client.scheduler_info()["services"].get("dashboard")
    here = f"{getpass.getuser()}@{socket.getfqdn()}"
    return f"http://localhost:{port}/status after: ssh -N -L {port}:{_LOOPBACK}:{port} {here}"


def _scratch(cluster: ClusterConfig) -> list[str]:
    """Shell lines that make workers use the node's own disk, if that disk is writable."""
    if not cluster.scratch:
        return []
    return [
        f'export DASK_TEMPORARY_DIRECTORY="{cluster.scratch}"',
        '[ -w "$DASK_TEMPORARY_DIRECTORY" ] || { unset DASK_TEMPORARY_DIRECTORY; '
        f'echo "scratch {cluster.scratch} cannot be written; using that of the system" >&2; }}',
    ]


def _job(execution: ExecutionConfig, cluster: ClusterConfig, folder: Path) -> dict[str, object]:
    """Resources that a worker job requests: one process per core."""
    minutes = cluster.longest_job
    lifetime = round(60 * minutes * (1 - _LEAVES_WITH))
    extra = {"qos": cluster.qos, "constraint": cluster.constraint}
    return {
        "queue": cluster.partition,
        "account": cluster.account,
        "cores": cluster.cores,
        "processes": cluster.cores,
        "memory": f"{round(cluster.cores * execution.memory_bytes)}B",
        "walltime": f"{minutes // 60:02}:{minutes % 60:02}:00",
        "death_timeout": _DEATH_TIMEOUT,
        "log_directory": str(folder),
        "job_script_prologue": [*cluster.setup, *_scratch(cluster)],
        "job_extra_directives": [f"--{option}={value}" for option, value in extra.items() if value],
        "worker_extra_args": [
            "--lifetime", f"{lifetime}s", "--lifetime-stagger", f"{round(60 * minutes * _STAGGER)}s",
            "--no-dashboard", "--dashboard-address", f"{_LOOPBACK}:0",
        ],
    }  # fmt: skip
