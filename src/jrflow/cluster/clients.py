"""Dask clients: with workers on this machine, or connected to a scheduler that is already running."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dask.config
from distributed import Client, LocalCluster
from distributed.security import Security

from jrflow.config.execution import ExecutionConfig

_LOOPBACK = "127.0.0.1"

#: Dask restarts a killed worker, but by default it gives up after 15 s. On a busy machine a restart takes
#: longer, and tasks without any worker would wait without end. So Dask keeps trying to restart workers, and
#: a task that finds no worker within WAIT_FOR_WORKERS fails.
_KEEP_PLACES_FOR = "1 day"
WAIT_FOR_WORKERS = 300.0  # s

#: Longest time that a running scheduler may take to answer.
WAIT_FOR_SCHEDULER = "20 s"


class WorkersLostError(ChildProcessError):
    """A task failed because its workers were killed, or because no worker is left."""


class SchedulerError(ConnectionError):
    """A Dask scheduler cannot be reached, or has ended."""


@contextmanager
def local_client(execution: ExecutionConfig) -> Iterator[Client]:
    """Start worker processes and connect to them; the workers end with the context.

    Anyone who can connect to a Dask scheduler can run code on it. The scheduler therefore listens on the
    loopback interface only. With TLS it accepts only clients with the certificate made for this run.
    """
    security = Security.temporary() if execution.tls else None
    dashboard = f"{_LOOPBACK}:8787" if has_dashboard() else None
    with (
        tempfile.TemporaryDirectory(prefix="jrflow-workers-", ignore_cleanup_errors=True) as folder,
        warnings.catch_warnings(),
        dask.config.set(
            {
                "distributed.deploy.lost-worker-timeout": _KEEP_PLACES_FOR,
                "distributed.scheduler.no-workers-timeout": WAIT_FOR_WORKERS,
            }
        ),
    ):
        # If another cluster uses the dashboard's default port, Dask takes another port and warns.
        warnings.filterwarnings("ignore", message="Port .* is already in use")
        with (
            LocalCluster(
                n_workers=execution.n_cores,
                threads_per_worker=1,
                processes=True,
                silence_logs=logging.ERROR,  # no warnings about workers that are slow to end
                host=_LOOPBACK,
                security=security,
                memory_limit=execution.memory_per_worker,
                dashboard_address=dashboard,
                worker_dashboard_address=None,
                local_directory=folder,
            ) as cluster,
            Client(cluster, security=security) as client,
        ):
            yield client


@contextmanager
def running_client(execution: ExecutionConfig) -> Iterator[Client]:
    """Connect to a scheduler that is already running, and wait for its first worker.

    Raises
    ------
    SchedulerError
        If the scheduler does not answer or refuses the connection.
    WorkersLostError
        If the scheduler has no worker within 300 s.
    """
    if execution.tls and dask.config.get("distributed.comm.tls.client.cert", None) is None:
        raise SchedulerError(
            f"execution.scheduler is {execution.scheduler}, but Dask's configuration has no certificate for "
            "the connection: set distributed.comm.tls.ca-file, .client.cert and .client.key in Dask's "
            "configuration, or as environment variables (such as DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT)"
        )
    security = Security(require_encryption=True) if execution.tls else None
    try:
        client = Client(execution.scheduler, security=security, timeout=WAIT_FOR_SCHEDULER)
    except OSError as error:
        raise SchedulerError(
            f"cannot connect to a Dask scheduler at {execution.scheduler} within {WAIT_FOR_SCHEDULER}: "
            f"{error}. Check that the scheduler is running, that this machine can reach it, and that both "
            "have certificates from the same authority"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError as error:
            raise WorkersLostError(
                f"the scheduler at {execution.scheduler} had no worker within {WAIT_FOR_WORKERS:g} s"
            ) from error
        yield client


def has_dashboard() -> bool:
    """Whether Dask can show its dashboard, which needs bokeh."""
    return importlib.util.find_spec("bokeh") is not None
