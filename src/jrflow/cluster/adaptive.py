"""Dask workers that are Slurm jobs of their own, more or fewer as there is work (dask-jobqueue)."""

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

#: A worker leaves before its job's time is up, so that no task is lost with it: with this share of the time
#: left, and some earlier than others, so that not all are replaced at once.
_LEAVES_WITH, _STAGGER = 0.2, 0.1
#: A task may lose so many workers before it is blamed for it: jobs are preempted, cancelled, out of time.
_ALLOWED_FAILURES = 10
#: A worker whose scheduler is gone ends after this time, and its job with it, s.
_DEATH_TIMEOUT = 60
_LOOPBACK = "127.0.0.1"


@contextmanager
def adaptive_client(
    execution: ExecutionConfig, cluster: ClusterConfig, folder: Path, name: str
) -> Iterator[Client]:
    """Start a scheduler here, submit jobs of workers as the work requires, and connect.

    A worker job that is lost is replaced; all end with the context. Connections are encrypted, and need the
    credentials, which lie in ``folder`` while the workers need them.

    Parameters
    ----------
    execution
        Memory of a worker, TLS.
    cluster
        What a job asks for, and the largest number of jobs.
    folder
        Folder of credentials and logs; shared by all nodes, readable by the user alone.
    name
        Name of the jobs.

    Raises
    ------
    WorkersLostError
        If no worker starts in time; the message contains squeue's reasons.
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
    """Forget jobs that Slurm no longer has; Dask then submits others in their place.

    Dask replaces a worker that has left, but counts one for each process: of a job of several, cancelled, it
    knows none by the job's name, and would wait for it for ever; as for a job cancelled while pending.
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
    """Say that no worker came, and what Slurm says of the jobs that should bring them."""
    try:
        waiting = [str(state) for state in named_jobs(name)]
    except SlurmAwayError as error:
        waiting = [str(error)]
    return (
        f"no Dask worker within {cluster.wait_for_workers:g} min (wait_for_workers in cluster.yaml). squeue "
        f"says of the jobs {name}: {'; '.join(waiting) or 'there are none (their logs may say why)'}. What "
        "was finished is kept: start again to do the rest"
    )


def tunnel(client: Client) -> str:
    """How to see the dashboard from one's own computer; empty where there is none."""
    if not has_dashboard():
        return "none (bokeh is not installed)"
    port = client.scheduler_info()["services"].get("dashboard")
    here = f"{getpass.getuser()}@{socket.getfqdn()}"
    return f"http://localhost:{port}/status after: ssh -N -L {port}:{_LOOPBACK}:{port} {here}"


def _scratch(cluster: ClusterConfig) -> list[str]:
    """Shell that makes workers use the node's own disk, where there is one that can be written."""
    if not cluster.scratch:
        return []
    return [
        f'export DASK_TEMPORARY_DIRECTORY="{cluster.scratch}"',
        '[ -w "$DASK_TEMPORARY_DIRECTORY" ] || { unset DASK_TEMPORARY_DIRECTORY; '
        f'echo "scratch {cluster.scratch} cannot be written; using that of the system" >&2; }}',
    ]


def _job(execution: ExecutionConfig, cluster: ClusterConfig, folder: Path) -> dict[str, object]:
    """What a job of workers asks for: one process for each core."""
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
