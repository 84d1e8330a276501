"""What is submitted: an importable function and its arguments, safe to run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import submitit
from submitit.helpers import DelayedSubmission, TorchDistributedEnvironment


@dataclass(frozen=True)
class Task:
    """One job's work; each of its ranks calls the function.

    Attributes
    ----------
    function
        Importable by its name where jrflow is installed; what it makes, it writes, and what it finds
        finished it leaves: so it may be called any number of times.
    arguments
        Of the function: paths and settings, never data.
    """

    function: Callable[..., object]
    arguments: tuple[Any, ...]

    def __call__(self) -> None:
        """Work as one rank of a job."""
        environment = submitit.JobEnvironment()
        # A job that was put back into the queue may have left a word of its end.
        environment.paths.result_pickle.unlink(missing_ok=True)
        if environment.num_tasks > 1:
            # Devices are bound by the training itself: Slurm may show a rank its own ones only.
            TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        self.function(*self.arguments)

    def checkpoint(self) -> DelayedSubmission:
        """Go on as before in the next job: whatever was finished is on disk."""
        return DelayedSubmission(self)


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
    decisive_rank
        The rank whose success is the job's; None: all of them.
    """

    name: str
    minutes: int
    memory_mb: int
    nodes: int = 1
    ranks_per_node: int = 1
    cores_per_rank: int = 1
    gres: str | None = None
    decisive_rank: int | None = None

    @property
    def n_ranks(self) -> int:
        """Processes of a job."""
        return self.nodes * self.ranks_per_node
