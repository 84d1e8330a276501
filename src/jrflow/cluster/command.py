"""What scripts that may submit jobs share: arguments, requests, and the call of the launcher."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from jrflow.cluster.launcher import launch
from jrflow.cluster.outcome import FINAL, FinalError, JobFailedError
from jrflow.cluster.record import SubmissionError
from jrflow.cluster.task import Request, Task
from jrflow.config import load_config
from jrflow.config.cluster import ClusterConfig, load_cluster
from jrflow.config.config import Config
from jrflow.planning.packing import requested_mb, requested_minutes

_FAILED, _INTERRUPTED = 1, 130


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """Parser of a script whose work may be a job."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument(
        "--cluster", default="", metavar="FILE", help="description of a cluster; empty: here, in this process"
    )
    parser.add_argument("--attempt", type=int, default=1, help="later attempts ask for more time and memory")
    return parser


@dataclass(frozen=True)
class Job:
    """One step of a run, wherever it is carried out.

    Attributes
    ----------
    config, cluster
        Of the run, and where it is carried out.
    name
        Of the step; names of jobs and folders are made of it.
    attempt
        Number of the attempt, from 1.
    here_threads
        Threads where it is not submitted.
    """

    config: Config
    cluster: ClusterConfig
    name: str
    attempt: int
    here_threads: int = 1

    @classmethod
    def of(cls, arguments: argparse.Namespace, name: str) -> Job:
        """From the arguments of a ``job_parser``."""
        cluster = load_cluster(arguments.cluster or None)
        threads = getattr(arguments, "threads", 1)
        return cls(load_config(arguments.config), cluster, name, arguments.attempt, threads)

    @property
    def submitted(self) -> bool:
        """Whether it becomes a job."""
        return self.cluster.cluster != "in-process"

    @property
    def threads(self) -> int:
        """Threads of one process."""
        return self.cluster.training.cores_per_rank if self.submitted else self.here_threads

    @property
    def device(self) -> Literal["cpu", "gpu"]:
        """What it will be trained on, as far as can be known."""
        return "gpu" if self.submitted and self.cluster.training.gpus_per_node else "cpu"

    @property
    def n_ranks(self) -> int:
        """Processes of one training."""
        return self.cluster.training.nodes * self.cluster.training.ranks if self.submitted else 1

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

    def run(
        self,
        calls: Sequence[tuple[Any, ...]],
        function: Callable[..., object],
        request: Request,
        progress: TextIO = sys.stderr,
    ) -> int:
        """Carry out one or several calls of a function; exit code, after the error has been reported."""
        tasks = [Task(function, arguments) for arguments in calls]
        folder = self.config.folder / "logs" / "jobs" / self.name
        try:
            launch(tasks, request, self.cluster, folder, progress)
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
        return f"jrflow-{self.config.run.name}-{self.name}"

    def _minutes(self, seconds: float) -> int:
        return min(requested_minutes(seconds, self.attempt), self.cluster.longest_job)
