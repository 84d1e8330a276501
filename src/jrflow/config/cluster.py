"""Description of a cluster: where jobs run and what they may ask for. It changes no result.

It is not part of a run's configuration, so that the same ``config.yaml`` runs anywhere. It is a file of its
own, ``cluster.yaml``, beside Snakemake's profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from jrflow.config.document import Document
from jrflow.config.fault import ConfigError, Fault, Origin
from jrflow.config.numbers import number_faults
from jrflow.config.schema_tree import SchemaTree
from jrflow.config.section import Section
from jrflow.config.translate import translate

#: A word of a command line: an option's value can be nothing else.
_Word = Field(None, pattern=r"^[^\s'\"`;$|&<>]+$")
#: Features may be combined, and folders may be named by variables.
_Features = Field(None, pattern=r"^[^\s'\"`;$<>]+$")
_Folder = Field(None, pattern=r"^[^\s'\"`;|&<>]+$")
#: Short steps that share a job, one after another, at most.
SHARING = 8
_START = "'jrflow profile install slurm' writes one"


class TrainingNodes(Section):
    """Nodes and devices of one training run; its losses do not depend on them."""

    nodes: int = Field(1, ge=1)
    """Number of nodes."""
    gpus_per_node: int = Field(1, ge=0)
    """Number of GPUs on each node, one for each rank; 0: train on CPUs."""
    ranks_per_node: int | None = Field(None, ge=1)
    """Number of processes (ranks) on each node; null: one for each GPU, or one without GPUs."""
    cores_per_rank: int = Field(4, ge=1)
    """Number of cores of each process."""

    @property
    def ranks(self) -> int:
        """Processes on each node."""
        return self.ranks_per_node or self.gpus_per_node or 1


class ClusterConfig(Section):
    """Where jobs run, what they may request, and how simulations are distributed over nodes."""

    cluster: Literal["slurm", "local", "in-process"] = "slurm"
    """Where submitit runs training and Sobol analyses: slurm; local: processes on this machine;
    in-process: no processes, for debugging."""
    simulate: Literal["node", "adaptive"] = "node"
    """How simulations are distributed. node: Snakemake submits each block of shards as a job of one node,
    whose cores are Dask workers; adaptive: Dask submits and ends jobs of workers according to the
    amount of work."""
    account: str | None = _Word
    """Account that jobs are charged to; null: the user's default."""
    partition: str | None = _Word
    """Partition of jobs without GPUs; null: the cluster's default."""
    gpu_partition: str | None = _Word
    """Partition of jobs with GPUs; null: the same as for other jobs."""
    gpu_type: str | None = _Word
    """Type of GPU, by the name that the cluster uses, such as a100; null: any."""
    qos: str | None = _Word
    """Quality of service; null: the default."""
    constraint: str | None = _Features
    """Features that nodes must have; null: none."""
    setup: tuple[str, ...] = ()
    """Shell commands that make jrflow available in a job, such as: module load python."""
    interface: str | None = _Word
    """Network interface between nodes, such as ib0, on which Dask and the ranks of a training run listen;
    null: the interface of the address that the node's name resolves to."""
    scratch: str | None = _Folder
    """Folder on a node's own disk, such as $TMPDIR, for temporary files; null: the system's folder."""
    accounting: bool = True
    """Whether sacct reports jobs that have ended; false: use squeue instead."""
    cores: int = Field(8, ge=1)
    """Number of cores of a job that simulates."""
    nodes: int = Field(4, ge=1)
    """Largest number of worker jobs if Dask distributes the simulations (simulate: adaptive)."""
    shortest_job: int = Field(10, ge=0)
    """Shortest expected time of a job, minutes; work is packed accordingly."""
    longest_job: int = Field(240, ge=1)
    """Longest time limit that a job may request, minutes."""
    most_jobs: int = Field(100, ge=1)
    """Largest number of jobs in the queue at any time; set it to the cluster's limit per user."""
    wait_for_workers: float = Field(60.0, gt=0)
    """Longest time Dask workers may stay queued, minutes. After that the campaign stops and reports
    the reason given by squeue."""
    most_requeues: int = Field(20, ge=0)
    """Number of times that a training run goes back into the queue when it reaches its time limit. It stops
    earlier if two starts in a row finish nothing."""
    poll: float = Field(10.0, gt=0)
    """Time between two queries to Slurm, s. All launchers of a run share one query."""
    environment: Literal["user", "clean"] = "user"
    """What jobs inherit. user: all environment variables of the shell that submits (sbatch
    --export=ALL); clean: a few only (PATH, HOME, locale, temporary folder, jrflow's own), so that no
    secret in the shell reaches a job."""
    training: TrainingNodes = TrainingNodes()
    """Nodes and devices of one training run."""

    @model_validator(mode="after")
    def _in_order(self) -> ClusterConfig:
        if self.shortest_job > self.longest_job:
            raise ValueError(
                f"shortest_job ({self.shortest_job} min) is longer than longest_job ({self.longest_job} min)"
            )
        return self

    @property
    def spreads(self) -> bool:
        """Whether Dask submits the jobs that simulate, not Snakemake."""
        return self.simulate != "node"

    def partition_of(self, gres: str | None) -> str | None:
        """Partition of jobs that ask for such generic resources, or for none."""
        return (self.gpu_partition if gres else None) or self.partition

    def gres(self, at_most: int | None = None) -> str | None:
        """What a job of training asks for: gpu:2 or gpu:a100:2, or fewer; None without GPUs."""
        n_gpus = self.training.gpus_per_node
        if not n_gpus:
            return None
        n_gpus = min(n_gpus, at_most or n_gpus)
        kind = f":{self.gpu_type}" if self.gpu_type else ""
        return f"gpu{kind}:{n_gpus}"


#: This machine alone: nothing is submitted.
HERE = ClusterConfig(cluster="in-process")


def load_cluster(path: str | Path | None) -> ClusterConfig:
    """Read and check the description of a cluster; None: this machine alone.

    Raises
    ------
    ConfigError
        If the file cannot be read or anything in it is wrong: one error with all faults.
    """
    if path is None:
        return HERE
    document = Document(Path(path), _START)
    return parse_cluster(document.data, document.origin, document.faults)


def parse_cluster(data: Mapping[str, Any], origin: Origin, faults: Sequence[Fault] = ()) -> ClusterConfig:
    """Check the description of a cluster.

    Parameters
    ----------
    data
        Its fields, as plain mappings.
    origin
        Where they come from, for messages.
    faults
        Found before.

    Raises
    ------
    ConfigError
        As ``load_cluster``.
    """
    tree = SchemaTree(ClusterConfig.model_json_schema())
    found = [*faults, *number_faults(data, tree)]
    try:
        cluster = ClusterConfig.model_validate(data)
    except ValidationError as error:
        found += translate(error, tree)
    if found:
        raise ConfigError(found, origin) from None
    return cluster
