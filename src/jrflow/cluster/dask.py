"""Dask workers on this machine, to which a campaign's shards are handed."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from typing import Any, TextIO, TypeVar

import dask.config
from distributed import Client, Future, LocalCluster, as_completed
from distributed.scheduler import KilledWorker, NoValidWorkerError, NoWorkerError
from distributed.security import Security

from jrflow.config.execution import ExecutionConfig

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Applies a function to every task and yields the results as they complete.
Map = Callable[[Callable[[Task], Result], Iterable[Task]], Iterable[Result]]

#: Tasks handed out per worker: one to work on and one to go on with.
_IN_FLIGHT = 2

_LOOPBACK = "127.0.0.1"

#: By default Dask gives a killed worker 15 s to come back, then closes its place for good; on a busy machine
#: a restart takes longer, and with the last place gone the tasks would wait for ever. So places are kept,
#: and tasks that still find no worker fail.
_KEEP_PLACES_FOR = "1 day"
_WAIT_FOR_WORKERS = "5 minutes"


class WorkersLostError(ChildProcessError):
    """A task was given up because the workers that tried it were killed, or none is left."""


@contextmanager
def map_over_workers(execution: ExecutionConfig, messages: TextIO | None = sys.stderr) -> Iterator[Map]:
    """Provide a ``map`` that works on this machine's cores.

    Parameters
    ----------
    execution
        Backend, number of workers, memory, TLS. 'in-process' is the builtin ``map``.
    messages
        Where the dashboard's address is written; None for silence.

    Yields
    ------
    A function with the arguments of ``map``. The workers start when it is first called. Results come in
    the order of completion; a task whose worker is killed is tried again elsewhere; an error in a task is
    raised here.
    """
    if execution.backend == "in-process":
        yield map
        return
    with ExitStack() as stack:

        @cache
        def client() -> Client:
            started = stack.enter_context(local_client(execution))
            if messages is not None:
                dashboard = started.dashboard_link if _has_dashboard() else "none (bokeh is not installed)"
                n_workers = len(started.nthreads())
                print(f"{n_workers} worker processes; dashboard: {dashboard}", file=messages, flush=True)
            return started

        yield lambda function, tasks: map_on(client())(function, tasks)


@contextmanager
def local_client(execution: ExecutionConfig) -> Iterator[Client]:
    """Start worker processes and connect to them; all of it ends with the context.

    Whoever connects to a Dask scheduler can run code on it. So only the loopback interface is listened
    on, and with TLS only who holds the certificate made for this run is let in.
    """
    security = Security.temporary() if execution.tls else None
    dashboard = f"{_LOOPBACK}:8787" if _has_dashboard() else None
    with (
        tempfile.TemporaryDirectory(prefix="jrflow-workers-", ignore_cleanup_errors=True) as folder,
        warnings.catch_warnings(),
        dask.config.set(
            {
                "distributed.deploy.lost-worker-timeout": _KEEP_PLACES_FOR,
                "distributed.scheduler.no-workers-timeout": _WAIT_FOR_WORKERS,
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


def map_on(client: Client) -> Map:
    """Provide a ``map`` that works on the workers of a Dask client.

    A bounded number of tasks is in flight, so that a million of them cost no memory.
    """

    def map_tasks(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        waiting = iter(tasks)
        first = islice(waiting, _IN_FLIGHT * len(client.nthreads()))
        running = as_completed(client.submit(function, task, pure=False) for task in first)
        for future in running:
            result = _result(future)
            for task in islice(waiting, 1):
                running.add(client.submit(function, task, pure=False))
            yield result

    return map_tasks


def _result(future: Future) -> Any:
    try:
        return future.result()
    except (KilledWorker, NoWorkerError, NoValidWorkerError) as error:
        raise WorkersLostError(
            "all workers that tried a task were killed, most likely for want of memory; "
            "raise execution.memory_per_worker, or lower execution.shard_size or execution.n_workers"
        ) from error


def _has_dashboard() -> bool:
    return importlib.util.find_spec("bokeh") is not None
