"""Clients of Dask: of workers started on this machine, or of a scheduler that is running already."""

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

#: By default Dask gives a killed worker 15 s to come back, then closes its place for good; on a busy machine
#: a restart takes longer, and with the last place gone the tasks would wait for ever. So places are kept,
#: and tasks that still find no worker fail.
_KEEP_PLACES_FOR = "1 day"
WAIT_FOR_WORKERS = 300.0  # s

#: So long may a scheduler that is said to be running take to answer.
WAIT_FOR_SCHEDULER = "20 s"


class WorkersLostError(ChildProcessError):
    """A task was given up because the workers that tried it were killed, or none is left."""


class SchedulerError(ConnectionError):
    """A Dask scheduler cannot be reached, or is gone."""


@contextmanager
def local_client(execution: ExecutionConfig) -> Iterator[Client]:
    """Start worker processes and connect to them; all of it ends with the context.

    Whoever connects to a Dask scheduler can run code on it. So only the loopback interface is listened
    on, and with TLS only who holds the certificate made for this run is let in.
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
        # Another cluster may hold the dashboard's usual port; Dask then takes the next and warns.
        warnings.filterwarnings("ignore", message="Port .* is already in use")
        with (
            LocalCluster(
                n_workers=execution.n_cores,
                threads_per_worker=1,
                processes=True,
                silence_logs=logging.ERROR,  # that a worker takes long to end is nothing to report
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
    """Connect to a scheduler that is running already, and wait for its first worker.

    Raises
    ------
    SchedulerError
        If it does not answer, or lets nobody in who comes like this.
    WorkersLostError
        If no worker comes.
    """
    if execution.tls and dask.config.get("distributed.comm.tls.client.cert", None) is None:
        raise SchedulerError(
            f"execution.scheduler is {execution.scheduler}, but Dask's configuration names no certificate to "
            "show it; set distributed.comm.tls.ca-file, .client.cert and .client.key there, or in the "
            "environment: DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and so on"
        )
    security = Security(require_encryption=True) if execution.tls else None
    try:
        client = Client(execution.scheduler, security=security, timeout=WAIT_FOR_SCHEDULER)
    except OSError as error:
        raise SchedulerError(
            f"no Dask scheduler lets this program in at {execution.scheduler} within {WAIT_FOR_SCHEDULER}: "
            f"{error}; is it running, can this machine reach it, do both have certificates of one authority?"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError as error:
            raise WorkersLostError(
                f"the scheduler at {execution.scheduler} has no worker within {WAIT_FOR_WORKERS:g} s"
            ) from error
        yield client


def has_dashboard() -> bool:
    """Whether Dask can draw its dashboard."""
    return importlib.util.find_spec("bokeh") is not None
