"""Task of a job: an importable function and its arguments, safe to run again."""

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

#: A start that lasted less than this share of its time limit was preempted; otherwise it was out of time.
#: Signals for the time limit come late: submitit sends them 30 s before the end on this machine, and Slurm
#: in the last quarter.
_OUT_OF_TIME = 0.4


class NoProgressError(RuntimeError):
    """A start of a job reached its time limit without progress."""


@dataclass(frozen=True)
class Task:
    """Work of one job; each rank of the job calls the function.

    Attributes
    ----------
    function
        Function that can be imported by name wherever jrflow is installed. It writes its results and skips
        results that are finished, so it may be called any number of times.
    arguments
        Arguments of the function: paths and settings, never data.
    products
        Files and folders that change when a part of the work is finished. None for all paths among the
        arguments. Empty if they are not known; then every start counts as progress.
    minutes
        Time limit of a start, minutes; None if unknown.
    """

    function: Callable[..., object]
    arguments: tuple[Any, ...]
    products: tuple[Path, ...] | None = None
    minutes: int | None = None
    _start: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self) -> None:
        """Call the function as one rank of a job."""
        environment = submitit.JobEnvironment()
        # A requeued job may have a result of its previous start.
        environment.paths.result_pickle.unlink(missing_ok=True)
        self.begin()
        if environment.num_tasks > 1:
            # Training assigns the devices itself: Slurm may show each rank only its own device.
            TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        self.function(*self.arguments)

    def begin(self) -> None:
        """Store the time when the start began and the work that is finished."""
        # Count from the start of the process: imports may take most of a short time limit.
        self._start.update(time=psutil.Process().create_time(), progress=self.progress())

    def checkpoint(self) -> DelayedSubmission:
        """Continue in another start of the job, from the files on disk.

        Raises
        ------
        NoProgressError
            If this start reached its time limit without progress: another start of the same length would
            not progress either.
        """
        ran = (time.time() - self._start["time"]) / 60
        out_of_time = self.minutes is not None and ran > _OUT_OF_TIME * self.minutes
        if out_of_time and self.progress() == self._start["progress"]:
            raise NoProgressError(f"{self.minutes} min passed before any work was finished")
        return DelayedSubmission(replace(self, _start={}))

    def progress(self) -> str:
        """Digest of the finished work; it changes when more work is finished."""
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
    """Names, sizes and times of files, including files in folders."""
    for path in paths:
        for each in path.rglob("*") if path.is_dir() else [path]:
            try:
                found = each.stat()
            except FileNotFoundError:
                continue
            yield str(each), found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Request:
    """Resources that each job requests.

    Attributes
    ----------
    name
        Name of the jobs.
    minutes
        Time limit, minutes.
    memory_mb
        Memory on each node, MB.
    nodes, ranks_per_node, cores_per_rank
        Number of nodes, of ranks on each node, and of cores for each rank.
    gres
        Generic resources of each node, such as gpu:2; None for none.
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
        """Number of processes of a job."""
        return self.nodes * self.ranks_per_node
