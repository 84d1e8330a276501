"""One step of a run as a job: the resources that the job requests, and the call of the launcher."""

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
    """One step of a run, in this process or as a job.

    Attributes
    ----------
    cluster
        Description of the cluster, which says where the step runs.
    folder
        Folder of the jobs' files, ``results/<run>/logs/jobs/<step>``. Job names contain run and step.
    attempt
        Number of the attempt, from 1. Later attempts request more time and memory.
    here_threads
        Number of threads if the step runs in this process.
    """

    cluster: ClusterConfig
    folder: Path
    attempt: int
    here_threads: int = 1

    @property
    def submitted(self) -> bool:
        """Whether the step runs as a job, not in this process."""
        return self.cluster.cluster != "in-process"

    @property
    def threads(self) -> int:
        """Threads of one process of a training run."""
        return self.cluster.training.cores_per_rank if self.submitted else self.here_threads

    def training_request(self, seconds: float, n_bytes: float, *, several: bool = True) -> Request:
        """Resources for a training run.

        Parameters
        ----------
        seconds
            Expected duration, s.
        n_bytes
            Expected memory of each process, bytes.
        several
            Whether the training run may use several processes.
        """
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
        """Resources for a step on one core.

        Parameters
        ----------
        seconds
            Expected duration, s.
        n_bytes
            Expected memory, bytes.
        """
        return Request(self._title, self._minutes(seconds), requested_mb(n_bytes, self.attempt))

    def run(self, tasks: Sequence[Task], request: Request, progress: TextIO = sys.stderr) -> int:
        """Run tasks and return an exit code; an error is reported on ``progress``."""
        try:
            launch(tasks, request, self.cluster, self.folder, progress)
        except FinalError as error:
            print(f"{error}\n{FINAL}: {str(error).splitlines()[0]}", file=progress)
            return _FAILED
        except (SubmissionError, JobFailedError) as error:
            print(error, file=progress)
            return _FAILED
        except KeyboardInterrupt as error:
            cancelled = f" by {error}; the jobs were cancelled" if self.submitted else ""
            print(f"interrupted{cancelled}. Start the same command again to resume", file=progress)
            return _INTERRUPTED
        return 0

    @property
    def _title(self) -> str:
        return f"jrflow-{self.folder.absolute().parents[2].name}-{self.folder.name}"

    def _minutes(self, seconds: float) -> int:
        return min(requested_minutes(seconds, self.attempt), self.cluster.longest_job)
