"""jrflow profile: Snakemake's profile for a cluster."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jrflow.cli.parts import Commands, add_command, add_group

if TYPE_CHECKING:
    from jrflow.config.cluster import ClusterConfig

#: Options that are words of the cluster's own, and what they are.
_WORDS = {
    "account": "account that jobs are charged to",
    "partition": "partition of jobs without GPUs",
    "gpu_partition": "partition of jobs with GPUs",
    "gpu_type": "type of GPU",
    "interface": "network interface between nodes",
    "scratch": "folder on a node's own disk",
    "qos": "quality of service",
    "constraint": "features that nodes must have",
}
#: What is asked for where somebody can answer; the others have options only.
_ASKED = ("account", "partition", "gpu_partition", "gpu_type", "interface", "scratch")
_NUMBERS = {
    "cores": "cores of a job that simulates",
    "nodes": "nodes of one allocation, or worker jobs at most",
    "most_jobs": "jobs in the queue at any time",
    "shortest_job": "work is packed into jobs of at least so many minutes",
    "longest_job": "longest time limit, minutes",
}


def add_profile(commands: Commands) -> None:
    """Add the group to the command line."""
    parts = add_group(commands, "profile", "Snakemake's profile for a cluster")
    summary = "write a profile for this Slurm cluster, so that 'snakemake --profile slurm' works anywhere"
    install = add_command(parts, "install", _install, summary)
    install.add_argument("executor", choices=["slurm"])
    install.add_argument("--name", default="slurm", help="name of the profile (default: slurm)")
    install.add_argument("--force", action="store_true", help="replace a profile that is there")
    install.add_argument(
        "--no-check", action="store_true", help="do not ask Slurm whether it takes such jobs"
    )
    install.add_argument(
        "--simulate", choices=["node", "adaptive", "allocation"], help="how simulations are spread"
    )
    install.add_argument(
        "--gpus", type=int, metavar="N", help="GPUs of a node that a training takes; 0: none"
    )
    install.add_argument(
        "--setup", action="append", metavar="LINE", help="shell that makes jrflow available, such as a module"
    )
    for name, meaning in _WORDS.items():
        install.add_argument(f"--{name.replace('_', '-')}", metavar="WORD", help=meaning)
    for name, meaning in _NUMBERS.items():
        install.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=meaning)


def _install(arguments: argparse.Namespace) -> int:
    from jrflow.cluster.site import refusals
    from jrflow.config.profile import cluster_yaml, snakemake_profile

    folder = _profiles() / arguments.name
    if folder.exists() and not arguments.force:
        raise ValueError(f"{folder} is there already; --force replaces it, --name gives another name")
    cluster = _cluster(arguments)
    against = [] if arguments.no_check else refusals(cluster)
    if against:
        raise ValueError(
            "Slurm would not take such jobs, so nothing was written:\n  "
            + "\n  ".join(against)
            + "\nchange the options; --no-check writes the profile nevertheless"
        )
    folder.mkdir(parents=True, exist_ok=True)
    cluster_file = folder / "cluster.yaml"
    cluster_file.write_text(cluster_yaml(cluster), encoding="utf-8")
    profile = snakemake_profile(cluster, arguments.name, str(cluster_file))
    (folder / "config.yaml").write_text(profile, encoding="utf-8")
    print(f"wrote {folder}/config.yaml and cluster.yaml; both may be edited\n")
    print(f"    snakemake --profile {arguments.name}\n")
    print("where the login node is not for that, as a job:\n")
    print(f"    jrflow driver --cluster {cluster_file} -- snakemake --profile {arguments.name}")
    return 0


def _cluster(arguments: argparse.Namespace) -> ClusterConfig:
    """From the options, and where they are silent from the user, or from what Slurm says."""
    from jrflow.cluster.site import has_accounting
    from jrflow.config.cluster import parse_cluster
    from jrflow.config.fault import Origin

    known = _known()
    given: dict[str, Any] = {}
    for name in _WORDS:
        value = getattr(arguments, name)
        if value is None and name in _ASKED and sys.stdin.isatty():
            value = _ask(_WORDS[name], known.get(name, []))
        given[name] = value or None
    given |= {name: value for name in _NUMBERS if (value := getattr(arguments, name)) is not None}
    given["accounting"] = has_accounting()
    if arguments.simulate:
        given["simulate"] = arguments.simulate
    if arguments.setup:
        given["setup"] = arguments.setup
    n_gpus = arguments.gpus if arguments.gpus is not None else int(bool(known.get("gpu_partition")))
    given["training"] = {"gpus_per_node": n_gpus}
    if n_gpus and given["gpu_partition"] is None and known.get("gpu_partition"):
        given["gpu_partition"] = known["gpu_partition"][0]
    return parse_cluster(given, Origin("the options"))


def _known() -> dict[str, list[str]]:
    """What could be meant, as far as Slurm and this machine know."""
    from jrflow.cluster.site import accounts, partitions

    found = partitions()
    with_gpus = [partition for partition in found if partition.gpu_types]
    interfaces = Path("/sys/class/net")
    return {
        "account": accounts(),
        "partition": [p.name for p in sorted(found, key=lambda p: not p.is_default)],
        "gpu_partition": [partition.name for partition in with_gpus],
        "gpu_type": sorted({kind for p in with_gpus for kind in p.gpu_types if kind}),
        "interface": sorted(path.name for path in interfaces.iterdir()) if interfaces.is_dir() else [],
        "scratch": ["$TMPDIR"],
    }


def _ask(meaning: str, choices: list[str]) -> str:
    hint = f" (such as {', '.join(choices[:8])})" if choices else ""
    try:
        return input(f"{meaning}{hint}; Enter for none: ").strip()
    except EOFError as error:
        raise ValueError(f"no answer to: {meaning}; nothing was written. --help lists the options") from error


def _profiles() -> Path:
    """Where Snakemake looks for profiles."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "snakemake"
