"""Map a function over the shards of a campaign with Dask workers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from typing import Any, TextIO, TypeVar

from distributed import Client, Future, as_completed
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker, NoValidWorkerError, NoWorkerError

from jrflow.cluster.clients import (
    SchedulerError,
    WorkersLostError,
    has_dashboard,
    local_client,
    running_client,
)
from jrflow.config.execution import ExecutionConfig

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Applies a function to every task and yields the results as they complete.
Map = Callable[[Callable[[Task], Result], Iterable[Task]], Iterable[Result]]

_MEMORY = (
    "all workers that tried a task were killed, probably because they ran out of memory: "
    "raise execution.memory_per_worker, or lower execution.shard_size or execution.n_workers"
)

#: Number of tasks per worker that are submitted at a time: a current one and a next one.
_IN_FLIGHT = 2


@contextmanager
def map_over_workers(execution: ExecutionConfig, messages: TextIO | None = sys.stderr) -> Iterator[Map]:
    """Provide a ``map`` that uses several cores, on this machine or on a cluster.

    Parameters
    ----------
    execution
        Backend, number of workers, memory, TLS. The backend 'in-process' is the builtin ``map``.
    messages
        Stream for the dashboard's address; None for no output.

    Yields
    ------
    A function with the arguments of ``map``. The workers start at its first call. Results come in the order
    of completion. If a worker is killed, another worker repeats its task. An error in a task is raised in
    this process.
    """
    if execution.backend == "in-process":
        yield map
        return
    with ExitStack() as stack:

        @cache
        def client() -> Client:
            connect = local_client if execution.backend == "local" else running_client
            started = stack.enter_context(connect(execution))
            if messages is not None:
                dashboard = started.dashboard_link if has_dashboard() else "none (bokeh is not installed)"
                n_workers = len(started.nthreads())
                print(f"{n_workers} workers; dashboard: {dashboard}", file=messages, flush=True)
            return started

        yield lambda function, tasks: map_on(client())(function, tasks)


def map_on(client: Client, n_places: int = 1, why_none: Callable[[], str] = lambda: "") -> Map:
    """Provide a ``map`` that uses the workers of a Dask client.

    The number of submitted tasks is bounded, so that a million tasks need no more memory than a few.

    Parameters
    ----------
    client
        Connected client.
    n_places
        Largest number of workers. An adaptive cluster adds workers only if tasks wait for them.
    why_none
        Function that returns the error message if no worker is left; '' for advice about memory.
    """

    def map_tasks(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        waiting, running = iter(tasks), as_completed()

        def hand_out() -> None:
            # The number of workers changes, so count them each time.
            room = _IN_FLIGHT * max(n_places, len(client.nthreads())) - running.count()
            for task in islice(waiting, max(0, room)):
                running.add(client.submit(function, task, pure=False))

        with _explain_lost_scheduler():
            hand_out()
            for future in running:
                result = _result(future, why_none)
                hand_out()
                yield result

    return map_tasks


@contextmanager
def _explain_lost_scheduler() -> Iterator[None]:
    try:
        yield
    except (CommClosedError, CancelledError, FutureCancelledError) as error:
        raise SchedulerError(
            "the Dask scheduler has ended. Finished work is kept: start the same command again to resume"
        ) from error


def _result(future: Future, why_none: Callable[[], str]) -> Any:
    try:
        return future.result()
    except (NoWorkerError, NoValidWorkerError) as error:
        raise WorkersLostError(why_none() or _MEMORY) from error
    except KilledWorker as error:
        raise WorkersLostError(_MEMORY) from error
