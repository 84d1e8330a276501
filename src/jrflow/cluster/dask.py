"""A campaign's shards, mapped over Dask workers."""

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
    "all workers that tried a task were killed, most likely for want of memory; "
    "raise execution.memory_per_worker, or lower execution.shard_size or execution.n_workers"
)

#: Tasks handed out per worker: one to work on and one to go on with.
_IN_FLIGHT = 2


@contextmanager
def map_over_workers(execution: ExecutionConfig, messages: TextIO | None = sys.stderr) -> Iterator[Map]:
    """Provide a ``map`` that works on several cores, of this machine or of many.

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
            connect = local_client if execution.backend == "local" else running_client
            started = stack.enter_context(connect(execution))
            if messages is not None:
                dashboard = started.dashboard_link if has_dashboard() else "none (bokeh is not installed)"
                n_workers = len(started.nthreads())
                print(f"{n_workers} workers; dashboard: {dashboard}", file=messages, flush=True)
            return started

        yield lambda function, tasks: map_on(client())(function, tasks)


def map_on(client: Client, n_places: int = 1, why_none: Callable[[], str] = lambda: "") -> Map:
    """Provide a ``map`` that works on the workers of a Dask client.

    A bounded number of tasks is in flight, so that a million of them cost no memory.

    Parameters
    ----------
    client
        Connected.
    n_places
        Workers that there may be: a cluster that grows with its work must see work for all of them.
    why_none
        What to say where no worker is left, instead of advice about memory.
    """

    def map_tasks(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        waiting, running = iter(tasks), as_completed()

        def hand_out() -> None:
            # Workers may come and go, so they are counted each time.
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
            "the Dask scheduler has ended; finished work is kept: start the command again to do the rest"
        ) from error


def _result(future: Future, why_none: Callable[[], str]) -> Any:
    try:
        return future.result()
    except (NoWorkerError, NoValidWorkerError) as error:
        raise WorkersLostError(why_none() or _MEMORY) from error
    except KilledWorker as error:
        raise WorkersLostError(_MEMORY) from error
