"""Snakemake's profile for a Slurm cluster, and the description of the cluster beside it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import yaml

from jrflow.config.cluster import SHARING, ClusterConfig
from jrflow.config.commented import commented_yaml

_CLUSTER_HEADER = """\
A Slurm cluster as jrflow sees it; named by Snakemake's profile beside it, and by --cluster of the jrflow
command. Changes no result. Words that mean something to the cluster alone (accounts, partitions) are as
sbatch takes them.
"""

_HEAD = """\
# Snakemake on a Slurm cluster: snakemake --profile {name}
# Says how to run, never what: no science here. How much time and memory each rule asks for follows from
# the size of the run; docs/reference/cost.md says how.
executor: slurm
# Jobs in the queue at any time; some clusters limit them for each user.
jobs: {jobs}
# A job that fails is submitted again, with twice the time and half as much memory again.
retries: 2
rerun-incomplete: true
# What does not depend on a failed job goes on.
keep-going: true
show-failed-logs: true
# Shared file systems show new files late; s.
latency-wait: 60
# A preempted job, or one whose node died, goes back into the queue and does the rest.
slurm-requeue: true
slurm-jobname-prefix: jrflow
# Files of Slurm's own; those of jobs that went well are removed.
slurm-logdir: .snakemake/slurm_logs
# Time before the first, and between further questions about jobs, s.
slurm-init-seconds-before-status-checks: {first}
seconds-between-status-checks: {poll}
# sacct needs accounting; squeue does without, but does not survive an outage of the controller.
slurm-status-command: {status}
# Short steps share a job, one after another; so many campaigns, or scores, at most.
group-components:
  simulate: {sharing}
  score: {sharing}
default-resources:
"""


def snakemake_profile(cluster: ClusterConfig, name: str, cluster_file: str) -> str:
    """Write Snakemake's profile for a cluster.

    Parameters
    ----------
    cluster
        The cluster.
    name
        What the user gives as --profile.
    cluster_file
        Path of the cluster's description as Snakemake is to find it.
    """
    head = _HEAD.format(
        name=name,
        sharing=SHARING,
        jobs=cluster.most_jobs,
        first=round(max(1, min(40, cluster.poll))),
        poll=round(max(1, cluster.poll)),
        status="sacct" if cluster.accounting else "squeue",
    )
    lines = [f"  {key}: {value}" for key, value in _resources(cluster)]
    return "\n".join([head.rstrip("\n"), *lines, "config:", f"  cluster: {_path(cluster_file)}"]) + "\n"


def cluster_yaml(cluster: ClusterConfig) -> str:
    """Write the description of a cluster, every field explained."""
    return commented_yaml(cluster, _CLUSTER_HEADER)


def _resources(cluster: ClusterConfig) -> Iterator[tuple[str, str]]:
    """Default resources; a string within the string, since Snakemake evaluates them as Python."""
    yield "runtime", "10"
    yield "mem_mb", "2000"
    for key, value in (("slurm_account", cluster.account), ("slurm_partition", cluster.partition)):
        if value:
            yield key, _string(value)
    extra = [
        f"--{option}={shlex.quote(value)}"
        for option, value in (("qos", cluster.qos), ("constraint", cluster.constraint))
        if value
    ]
    if extra:
        yield "slurm_extra", _string(" ".join(extra))


def _path(text: str) -> str:
    """A path as YAML, quoted where it would be something else."""
    return yaml.safe_dump(text, width=10_000, allow_unicode=True).removesuffix("...\n").strip()


def _string(text: str) -> str:
    """A Python string as a YAML string."""
    return json.dumps(repr(text), ensure_ascii=False)
