"""What is submitted: an importable function and its arguments, safe to run again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import submitit
from submitit.helpers import DelayedSubmission, TorchDistributedEnvironment

#: A start that lasted for less than this share of its time limit was not ended by it, but preempted: submitit
#: signals 30 s before the end on this machine, and the launcher has Slurm signal in the last quarter.
_OUT_OF_TIME = 0.4


class NoProgressError(RuntimeError):
    """A start of a job used up its time and finished nothing."""


@dataclass(frozen=True)
class Task:
    """One job's work; each of its ranks calls the function.

    Attributes
    ----------
    function
        Importable by its name where jrflow is installed. It writes its results, and leaves those that are
        finished: it may be called any number of times.
    arguments
        Of the function: paths and settings, never data.
    products
        Files and folders that change when a part of the work is finished. None: all paths among the
        arguments; empty: they are not known, and every start counts as progress.
    minutes
        Time limit of a start; None: unknown.
    """

    function: Callable[..., object]
    arguments: tuple[Any, ...]
    products: tuple[Path, ...] | None = None
    minutes: int | None = None
    _start: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self) -> None:
        """Work as one rank of a job."""
        environment = submitit.JobEnvironment()
        # A job that was put back into the queue may have left a result of its previous start.
        environment.paths.result_pickle.unlink(missing_ok=True)
        self.begin()
        if environment.num_tasks > 1:
            # The training binds the devices: Slurm may show each rank its own only.
            TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        self.function(*self.arguments)

    def begin(self) -> None:
        """Note when a start begins, and what is finished then."""
        # Of the process: to import everything may be most of a short limit.
        self._start.update(time=psutil.Process().create_time(), progress=self.progress())

    def checkpoint(self) -> DelayedSubmission:
        """Continue in another start of the job, with what is on disk.

        Raises
        ------
        NoProgressError
            If this start used up its time and finished nothing: another one of the same length would not
            either.
        """
        ran = (time.time() - self._start["time"]) / 60
        out_of_time = self.minutes is not None and ran > _OUT_OF_TIME * self.minutes
        if out_of_time and self.progress() == self._start["progress"]:
            raise NoProgressError(f"{self.minutes} min passed before any work was finished")
        return DelayedSubmission(replace(self, _start={}))

    def progress(self) -> str:
        """Digest of what is finished; it changes when more is."""
        paths = tuple(_paths(self.arguments)) if self.products is None else self.products
        if not paths:
            return str(time.time_ns())
        return hashlib.sha256(repr(sorted(_files(paths))).encode()).hexdigest()


def _paths(arguments: tuple[Any, ...]) -> Iterator[Path]:
    for each in arguments:
        if isinstance(each, Path):
            yield each
        elif isinstance(each, tuple):
            yield from _paths(each)


def _files(paths: tuple[Path, ...]) -> Iterator[tuple[str, int, int]]:
    """Names, sizes and times of files, and of those in folders."""
    for path in paths:
        for each in path.rglob("*") if path.is_dir() else [path]:
            try:
                found = each.stat()
            except FileNotFoundError:
                continue
            yield str(each), found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Request:
    """What each of the jobs asks for.

    Attributes
    ----------
    name
        Name of the jobs.
    minutes
        Time limit.
    memory_mb
        Memory on each node.
    nodes, ranks_per_node, cores_per_rank
        Shape of a job.
    gres
        Generic resources of a node, such as gpu:2; None for none.
    """

    name: str
    minutes: int
    memory_mb: int
    nodes: int = 1
    ranks_per_node: int = 1
    cores_per_rank: int = 1
    gres: str | None = None

    @property
    def n_ranks(self) -> int:
        """Processes of a job."""
        return self.nodes * self.ranks_per_node
