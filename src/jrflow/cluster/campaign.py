"""Simulate a campaign on the nodes of a cluster: in one job, or with Dask workers in several jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from jrflow.archive.manifest import Manifest
from jrflow.campaign.run import finished_campaign, run_campaign
from jrflow.cluster.adaptive import adaptive_client, no_workers, tunnel
from jrflow.cluster.dask import map_on, map_over_workers
from jrflow.cluster.launcher import launch
from jrflow.cluster.record import say
from jrflow.cluster.scratch import local_folder
from jrflow.cluster.task import Request, Task
from jrflow.config import load_config
from jrflow.config.cluster import ClusterConfig, load_cluster
from jrflow.config.config import Config
from jrflow.config.load import load_connectome
from jrflow.config.shards import worker_bytes
from jrflow.planning.cost import campaign_seconds
from jrflow.planning.packing import requested_mb, requested_minutes


def run_on_cluster(
    config_file: Path,
    name: str,
    folder: str,
    cluster_file: Path,
    jobs: Path,
    attempt: int = 1,
    progress: TextIO | None = sys.stderr,
) -> Manifest:
    """Simulate a campaign, or what is missing of it, on a cluster, and seal its archive.

    Parameters
    ----------
    config_file, name, folder
        Configuration, name of the campaign and folder of the archive, as for ``run_campaign``.
    cluster_file
        Description of the cluster. With ``simulate: adaptive``, this process runs the Dask scheduler and
        submits worker jobs. With ``simulate: node``, one job simulates everything.
    jobs
        Folder of the jobs' files. All nodes share it.
    attempt
        Number of the attempt, from 1. Later attempts request more time and memory.
    progress
        Stream for states and progress; None for no output.

    Raises
    ------
    SubmissionError
        If Slurm refuses a job.
    JobFailedError
        If a job fails.
    WorkersLostError
        If no worker starts in time.
    """
    config, cluster = load_config(config_file), load_cluster(cluster_file)
    title = f"jrflow-{config.run.name}-{name}"
    finished = finished_campaign(config, name, folder)
    if finished is not None:
        return finished
    if cluster.simulate == "adaptive" and cluster.cluster == "slurm":
        with adaptive_client(config.execution, cluster, jobs, title) as client:
            say(progress, f"dashboard: {tunnel(client)}")
            mapped = map_on(client, cluster.nodes * cluster.cores, lambda: no_workers(title, cluster))
            return run_campaign(config, name, folder, mapped, progress, wait=float("inf"))
    arguments = (config_file.resolve(), name, _absolute(folder), cluster_file.resolve())
    request = _request(config, name, cluster, title, attempt)
    # Every shard writes its statuses last, so the status files show progress.
    statuses = () if "://" in folder else (Path(folder).resolve() / f"{name}.zarr" / "status",)
    launch([Task(_simulate, arguments, statuses)], request, cluster, jobs, progress)
    return run_campaign(config, name, folder, progress=None)


def _simulate(
    config_file: Path, name: str, folder: str, cluster_file: Path, progress: TextIO | None = sys.stderr
) -> None:
    """Simulate a campaign inside a job."""
    config, cluster = load_config(config_file), load_cluster(cluster_file)
    execution = config.execution
    if cluster.cluster == "slurm":
        # Use the cores that the job requested: a node without cgroups shows all of its cores.
        execution = execution.model_copy(update={"n_workers": cluster.cores})
    with local_folder(cluster.scratch), map_over_workers(execution) as map_shards:
        run_campaign(config, name, folder, map_shards, progress, wait=float("inf"))


def _request(config: Config, name: str, cluster: ClusterConfig, title: str, attempt: int) -> Request:
    connectome = load_connectome(config)
    n_regions = 1 if connectome is None else connectome.n_regions
    seconds = campaign_seconds(config, name, n_regions, cluster.cores)
    n_bytes = cluster.cores * worker_bytes(config, name, n_regions)
    return Request(
        name=title,
        minutes=min(requested_minutes(seconds, attempt), cluster.longest_job),
        memory_mb=requested_mb(n_bytes, attempt),
        cores_per_rank=cluster.cores,
    )


def _absolute(folder: str) -> str:
    return folder if "://" in folder else str(Path(folder).resolve())
