"""What a Slurm cluster says of itself: partitions, GPUs, the user's accounts, and whether it takes a job."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass

from jrflow.cluster.queue import SlurmAwayError, answered
from jrflow.config.cluster import ClusterConfig


class NoSlurmError(OSError):
    """Slurm's commands are not here, or do not answer."""


@dataclass(frozen=True)
class Partition:
    """A partition as sinfo describes it.

    Attributes
    ----------
    name
        As sbatch takes it.
    is_default
        Whether jobs go there that name none.
    gpu_types
        Types of its GPUs; '' for GPUs whose type has no name.
    cores
        Cores of its smallest node.
    """

    name: str
    is_default: bool
    gpu_types: frozenset[str]
    cores: int


def partitions() -> list[Partition]:
    """Partitions of the cluster, in sinfo's order.

    Raises
    ------
    NoSlurmError
        If there is no Slurm.
    """
    found: dict[str, Partition] = {}
    for line in _run(["sinfo", "--noheader", "-o", "%P|%c|%G"]).splitlines():
        name, cores, gres = line.split("|")
        types = _gpu_types(gres)
        known = found.get(name)
        smallest = int(cores.rstrip("+"))
        found[name] = Partition(
            name.rstrip("*"),
            name.endswith("*"),
            frozenset(types | (known.gpu_types if known else set())),
            min(smallest, known.cores) if known else smallest,
        )
    return list(found.values())


def _gpu_types(gres: str) -> set[str]:
    """Types of the GPUs in gpu:a100:4(S:0-1),shard:8 or the like; '' where there is none but their number."""
    found = set()
    for each in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *words = each.split(":")
        if name == "gpu":
            # The number may be left out, and types such as 2080ti begin with a digit.
            kinds = words[:-1] if words and re.fullmatch(r"\d+[KMGTP]?", words[-1]) else words
            found.add(":".join(kinds))
    return found


def accounts() -> list[str]:
    """Accounts that the user may charge; none where there is no accounting."""
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


def refusals(cluster: ClusterConfig) -> list[str]:
    """Try the longest request of each kind without submitting it; what Slurm says against them."""
    options = {
        "time": str(cluster.longest_job), "account": cluster.account, "qos": cluster.qos,
        "constraint": cluster.constraint, "partition": cluster.partition_of(None),
    }  # fmt: skip
    kinds = {"a job on CPUs": options | {"cpus-per-task": str(cluster.cores)}}
    if cluster.training.gpus_per_node:
        gres = cluster.gres()
        kinds["a job on GPUs"] = options | {"partition": cluster.partition_of(gres), "gres": gres}
    found = []
    for kind, asked in kinds.items():
        words = [f"--{name}={value}" for name, value in asked.items() if value]
        try:
            _run(["sbatch", "--test-only", *words, "--wrap=true"])
        except NoSlurmError as error:
            found.append(f"{kind} ({' '.join(words)}): {error}")
    return found


def _run(command: list[str]) -> str:
    try:
        done = answered(command)
    except SlurmAwayError as error:
        raise NoSlurmError(str(error)) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NoSlurmError(said[-1] if said else f"{command[0]}: exit code {done.returncode}")
    return done.stdout
