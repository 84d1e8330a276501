"""A stage of a run as a job: what it asks for, and the call of the launcher."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from jrflow.cluster.launcher import launch
from jrflow.cluster.outcome import FINAL, FinalError, JobFailedError
from jrflow.cluster.record import SubmissionError
from jrflow.cluster.task import Request, Task
from jrflow.config.cluster import ClusterConfig
from jrflow.planning.packing import requested_mb, requested_minutes

_FAILED, _INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Job:
    """One step of a run, wherever it is carried out.

    Attributes
    ----------
    cluster
        Where it is carried out.
    folder
        Folder of the jobs' files, ``results/<run>/logs/jobs/<step>``; names of jobs are made of it.
    attempt
        Number of the attempt, from 1; later attempts ask for more time and memory.
    here_threads
        Threads where it is not submitted.
    """

    cluster: ClusterConfig
    folder: Path
    attempt: int
    here_threads: int = 1

    @property
    def submitted(self) -> bool:
        """Whether it becomes a job."""
        return self.cluster.cluster != "in-process"

    @property
    def threads(self) -> int:
        """Threads of one process of a training."""
        return self.cluster.training.cores_per_rank if self.submitted else self.here_threads

    def training_request(self, seconds: float, n_bytes: float, *, several: bool = True) -> Request:
        """What a training asks for that takes so long, and so much memory for each process."""
        nodes = self.cluster.training
        ranks = nodes.ranks if several else 1
        return Request(
            name=self._title,
            minutes=self._minutes(seconds),
            memory_mb=requested_mb(ranks * n_bytes, self.attempt),
            nodes=nodes.nodes if several else 1,
            ranks_per_node=ranks,
            cores_per_rank=nodes.cores_per_rank,
            gres=self.cluster.gres(None if several else 1),
        )

    def request(self, seconds: float, n_bytes: float) -> Request:
        """What a step on one core asks for."""
        return Request(self._title, self._minutes(seconds), requested_mb(n_bytes, self.attempt))

    def run(self, tasks: Sequence[Task], request: Request, progress: TextIO = sys.stderr) -> int:
        """Carry tasks out; exit code, after the error has been reported."""
        try:
            launch(tasks, request, self.cluster, self.folder, progress)
        except FinalError as error:
            print(f"{error}\n{FINAL}: {str(error).splitlines()[0]}", file=progress)
            return _FAILED
        except (SubmissionError, JobFailedError) as error:
            print(error, file=progress)
            return _FAILED
        except KeyboardInterrupt as error:
            cancelled = f" by {error}; its jobs are cancelled" if self.submitted else ""
            print(f"interrupted{cancelled}; started again, it continues", file=progress)
            return _INTERRUPTED
        return 0

    @property
    def _title(self) -> str:
        return f"jrflow-{self.folder.absolute().parents[2].name}-{self.folder.name}"

    def _minutes(self, seconds: float) -> int:
        return min(requested_minutes(seconds, self.attempt), self.cluster.longest_job)
