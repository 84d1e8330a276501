"""Partitions, GPUs and accounts of a Slurm cluster, and checks of cluster.yaml against them."""

from __future__ import annotations

import getpass
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jrflow.cluster.queue import SlurmAwayError, answered
from jrflow.config.cluster import ClusterConfig
from jrflow.config.config import Config
from jrflow.config.shards import shard_count
from jrflow.planning.cost import block_timer

#: Messages of sbatch about requests that it never accepts. Other messages may be temporary, such as a
#: drained node or a controller that has just started: the job would be queued.
_WRONG = re.compile("invalid (account|partition|qos|feature)|not permitted to use", re.IGNORECASE)


class NoSlurmError(OSError):
    """Slurm's commands are not installed, or do not answer."""


@dataclass(frozen=True)
class Partition:
    """A partition as sinfo describes it.

    Attributes
    ----------
    name
        Name for sbatch.
    is_default
        Whether Slurm uses this partition for jobs that do not name one.
    gpu_types
        Types of its GPUs; '' for GPUs whose type has no name.
    cores
        Cores of its smallest node.
    most_cores
        Cores of its largest node; infinite if sinfo does not report it.
    most_gpus
        Largest number of GPUs in a node.
    most_minutes
        Longest time limit of a job, minutes; infinite without one.
    nodes
        Number of nodes.
    """

    name: str
    is_default: bool
    gpu_types: frozenset[str]
    cores: int
    most_cores: float = math.inf
    most_gpus: int = 0
    most_minutes: float = math.inf
    nodes: int = 1

    def __or__(self, other: Partition) -> Partition:
        """Join with other nodes of the same partition."""
        return Partition(
            self.name,
            self.is_default,
            self.gpu_types | other.gpu_types,
            min(self.cores, other.cores),
            max(self.most_cores, other.most_cores),
            max(self.most_gpus, other.most_gpus),
            self.most_minutes,
            self.nodes + other.nodes,
        )


def partitions() -> list[Partition]:
    """Partitions of the cluster, in sinfo's order.

    Raises
    ------
    NoSlurmError
        If there is no Slurm.
    """
    found: dict[str, Partition] = {}
    for line in _run(["sinfo", "--noheader", "-o", "%P|%c|%G|%l|%D"]).splitlines():
        name, cores, gres, limit, nodes = line.split("|")
        gpus = dict(_gpus(gres))
        each = Partition(
            name.rstrip("*"),
            name.endswith("*"),
            frozenset(gpus),
            int(cores.rstrip("+")),
            math.inf if cores.endswith("+") else int(cores),
            max(gpus.values(), default=0),
            _minutes(limit),
            int(nodes),
        )
        found[each.name] = found[each.name] | each if each.name in found else each
    return list(found.values())


def _minutes(limit: str) -> float:
    """Minutes of a limit such as 2-00:00:00, 1:00:00 or 30:00; infinite without a limit."""
    parts = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit.strip())
    if parts is None:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return (24 * days + hours) * 60 + minutes + seconds / 60


def _gpus(gres: str) -> Iterator[tuple[str, int]]:
    """Types and numbers of GPUs in a text such as gpu:a100:4(S:0-1),shard:8; '' for a type without name."""
    for each in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *words = each.split(":")
        if name == "gpu":
            # The number is optional, and types such as 2080ti begin with a digit.
            number = words.pop() if words and re.fullmatch(r"\d+[KMGTP]?", words[-1]) else "1"
            yield ":".join(words), int(number.rstrip("KMGTP"))


def accounts() -> list[str]:
    """Accounts that the user may charge; empty without accounting."""
    user = getpass.getuser()
    try:
        lines = _run(["sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account"]).splitlines()
    except NoSlurmError:
        return []
    return list(dict.fromkeys(line for line in lines if line))


def has_accounting() -> bool:
    """Whether sacct answers."""
    try:
        _run(["sacct", "--noheader", "--starttime=now"])
    except NoSlurmError:
        return False
    return True


@dataclass(frozen=True)
class Finding:
    """One error in a cluster.yaml.

    Attributes
    ----------
    key
        Key in cluster.yaml.
    text
        Expected and received values.
    """

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


def site_faults(cluster: ClusterConfig, found: list[Partition] | None = None) -> list[Finding]:
    """Requests in a cluster.yaml that this cluster can never satisfy.

    Parameters
    ----------
    cluster
        Content of cluster.yaml.
    found
        Partitions of the cluster; by default those that sinfo reports.

    Raises
    ------
    NoSlurmError
        If there is no Slurm.
    """
    found = partitions() if found is None else found
    on_cpus = _partition_faults(cluster, found, "partition", cluster.partition)
    on_gpus: list[Finding] = []
    if cluster.training.gpus_per_node:
        key = "gpu_partition" if cluster.gpu_partition else "partition"
        on_gpus = _gpu_faults(cluster, found, key, cluster.partition_of(cluster.gres()))
    return list(dict.fromkeys([*on_cpus, *on_gpus, *_interface_faults(cluster), *_refused(cluster)]))


def doubts(cluster: ClusterConfig) -> list[str]:
    """Objections of sbatch to the largest jobs that may be temporary: sbatch would queue these jobs."""
    return [
        f"jobs may have to wait: {asked}: {said}"
        for _, asked, said in _tried(cluster)
        if not _WRONG.search(said)
    ]


def too_short(config: Config, cluster: ClusterConfig, n_regions: int) -> list[str]:
    """Messages about campaigns whose first shards probably take longer than the longest time limit."""
    found = []
    for name in config.campaigns:
        n_cores = min(cluster.cores, shard_count(config, name, n_regions))
        minutes = block_timer(config, name, n_regions, n_cores)(1) / 60
        if minutes > cluster.longest_job:
            found.append(
                f"longest_job: expected {math.ceil(minutes)} min or more, received {cluster.longest_job}. A "
                f"job of campaign {name!r} needs {math.ceil(minutes)} min to start and to finish its first "
                "shards: raise longest_job, or lower execution.shard_size"
            )
    return found


def _chosen(found: list[Partition], name: str | None) -> Partition | None:
    return next((p for p in found if (p.name == name if name else p.is_default)), None)


def _partition_faults(
    cluster: ClusterConfig, found: list[Partition], key: str, name: str | None
) -> list[Finding]:
    chosen = _chosen(found, name)
    if chosen is None:
        if name is None:
            return []  # no default partition: sbatch reports the error
        names = ", ".join(partition.name for partition in found)
        return [Finding(key, f"expected one of {names}, received {name!r}")]
    faults = []
    if cluster.cores > chosen.most_cores:
        text = f"expected at most {chosen.most_cores:g}, the largest node of {chosen.name}"
        faults.append(Finding("cores", f"{text}; received {cluster.cores}"))
    if cluster.longest_job > chosen.most_minutes:
        text = f"expected at most {chosen.most_minutes:g} min, the limit of {chosen.name}"
        faults.append(Finding("longest_job", f"{text}; received {cluster.longest_job}"))
    return faults


def _gpu_faults(cluster: ClusterConfig, found: list[Partition], key: str, name: str | None) -> list[Finding]:
    chosen, nodes = _chosen(found, name), cluster.training
    if chosen is None:
        return _partition_faults(cluster, found, key, name)
    faults = []
    if cluster.gpu_type and cluster.gpu_type not in chosen.gpu_types:
        types = ", ".join(sorted(kind for kind in chosen.gpu_types if kind)) or "no type that has a name"
        faults.append(Finding("gpu_type", f"{chosen.name} has {types}; received {cluster.gpu_type!r}"))
    for what, given, most in (
        ("training.gpus_per_node", nodes.gpus_per_node, chosen.most_gpus),
        ("training.nodes", nodes.nodes, chosen.nodes),
    ):
        if given > most:
            faults.append(
                Finding(what, f"expected at most {most}, the number in {chosen.name}; received {given}")
            )
    if cluster.longest_job > chosen.most_minutes:
        text = f"expected at most {chosen.most_minutes:g} min, the limit of {chosen.name}"
        faults.append(Finding("longest_job", f"{text}; received {cluster.longest_job}"))
    return faults


def interfaces() -> list[str]:
    """Network interfaces of this machine; empty if they are not known."""
    folder = Path("/sys/class/net")
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _interface_faults(cluster: ClusterConfig) -> list[Finding]:
    """Error if this machine, where Dask's scheduler listens, lacks the interface of cluster.yaml."""
    here = interfaces()
    if cluster.simulate != "adaptive" or not cluster.interface or not here or cluster.interface in here:
        return []
    return [Finding("interface", f"expected one of {', '.join(here)}; received {cluster.interface!r}")]


def _refused(cluster: ClusterConfig) -> list[Finding]:
    """Requests that sbatch never accepts: wrong account, partition, quality of service or feature."""
    return [
        Finding(_key_of(said), f"{said} ({kind}: {asked})")
        for kind, asked, said in _tried(cluster)
        if _WRONG.search(said)
    ]


def _key_of(said: str) -> str:
    keys = {"account": "account", "partition": "partition", "qos": "qos", "feature": "constraint"}
    return next((key for word, key in keys.items() if word in said.lower()), "partition")


def _tried(cluster: ClusterConfig) -> Iterator[tuple[str, str, str]]:
    """Test the longest request of each kind without submitting it; yield kind, options and objection."""
    options = {
        "time": str(cluster.longest_job), "account": cluster.account, "qos": cluster.qos,
        "constraint": cluster.constraint, "partition": cluster.partition_of(None),
    }  # fmt: skip
    kinds = {"a job on CPUs": options | {"cpus-per-task": str(cluster.cores)}}
    if cluster.training.gpus_per_node:
        gres = cluster.gres()
        kinds["a job on GPUs"] = options | {"partition": cluster.partition_of(gres), "gres": gres}
    for kind, asked in kinds.items():
        words = [f"--{name}={value}" for name, value in asked.items() if value]
        try:
            _run(["sbatch", "--test-only", *words, "--wrap=true"])
        except NoSlurmError as error:
            yield kind, " ".join(words), str(error)


def _run(command: list[str]) -> str:
    try:
        done = answered(command)
    except SlurmAwayError as error:
        raise NoSlurmError(str(error)) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NoSlurmError(said[-1] if said else f"{command[0]}: exit code {done.returncode}")
    return done.stdout
