"""jrflow profile: Snakemake's profile for a cluster."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jrflow.cli.parts import Commands, add_command, add_group

if TYPE_CHECKING:
    from jrflow.cluster.site import Partition
    from jrflow.config.cluster import ClusterConfig

#: Options whose values are names on the cluster, and their meanings.
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
#: Options that the command asks for if it runs in a terminal; the others are command-line options only.
_ASKED = ("account", "partition", "gpu_partition", "gpu_type", "interface", "scratch")
_NUMBERS = {
    "cores": "cores of a job that simulates",
    "nodes": "largest number of worker jobs (adaptive)",
    "most_jobs": "jobs in the queue at any time",
    "shortest_job": "shortest job, minutes: work is packed into jobs of at least this length",
    "longest_job": "longest time limit, minutes",
}


def add_profile(commands: Commands) -> None:
    """Add the group to the command line."""
    parts = add_group(commands, "profile", "Snakemake's profile for a cluster")
    summary = "write a profile for this Slurm cluster, so that 'snakemake --profile slurm' works anywhere"
    install = add_command(parts, "install", _install, summary)
    install.add_argument("executor", choices=["slurm"])
    install.add_argument("--name", default="slurm", help="name of the profile (default: slurm)")
    install.add_argument("--force", action="store_true", help="replace an existing profile")
    install.add_argument(
        "--no-check", action="store_true", help="do not check whether Slurm accepts such jobs"
    )
    install.add_argument(
        "--simulate", choices=["node", "adaptive"], help="how simulations are distributed over nodes"
    )
    install.add_argument(
        "--gpus", type=int, metavar="N", help="number of GPUs per node for a training run; 0: none"
    )
    install.add_argument(
        "--setup",
        action="append",
        metavar="LINE",
        help="shell command that makes jrflow available in a job, such as 'module load ...'",
    )
    for name, meaning in _WORDS.items():
        install.add_argument(f"--{name.replace('_', '-')}", metavar="WORD", help=meaning)
    for name, meaning in _NUMBERS.items():
        install.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=meaning)


def _install(arguments: argparse.Namespace) -> int:
    from jrflow.cluster.site import doubts
    from jrflow.config.profile import cluster_yaml, snakemake_profile

    folder = _profiles() / arguments.name
    if folder.exists() and not arguments.force:
        raise ValueError(f"{folder} already exists; use --force to replace it, or --name for another name")
    cluster = _accepted(arguments)
    for doubt in [] if arguments.no_check else doubts(cluster):
        print(f"warning: {doubt}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    cluster_file = folder / "cluster.yaml"
    cluster_file.write_text(cluster_yaml(cluster), encoding="utf-8")
    profile = snakemake_profile(cluster, arguments.name, str(cluster_file))
    (folder / "config.yaml").write_text(profile, encoding="utf-8")
    print(f"wrote {folder}/config.yaml and cluster.yaml; both may be edited\n")
    print(f"    snakemake --profile {arguments.name}\n")
    print("if long programs are forbidden on the login node, run it as a job:\n")
    print(f"    jrflow driver --cluster {cluster_file} -- snakemake --profile {arguments.name}")
    return 0


def _accepted(arguments: argparse.Namespace) -> ClusterConfig:
    """Ask for values until the cluster accepts the jobs; ask again only for wrong values.

    Raises
    ------
    ValueError
        If the cluster would refuse the jobs and the command does not run in a terminal.
    """
    from jrflow.cluster.site import partitions, site_faults

    found = partitions()
    offered = _known(found)
    given = _given(arguments, offered)
    while True:
        cluster = _checked(given, found)
        faults = [] if arguments.no_check else site_faults(cluster, found)
        if not faults:
            return cluster
        said = "\n  ".join(map(str, faults))
        if not sys.stdin.isatty():
            raise ValueError(
                f"Slurm would refuse such jobs, so nothing was written:\n  {said}\nChange the options, or "
                "use --no-check to write the profile without this check"
            )
        print(f"Slurm would refuse such jobs:\n  {said}", file=sys.stderr)
        for key in dict.fromkeys(fault.key for fault in faults):
            _ask_again(given, key, offered)


def _given(arguments: argparse.Namespace, offered: dict[str, list[str]]) -> dict[str, Any]:
    """Values from the options; if an option is absent, from the user or from Slurm."""
    from jrflow.cluster.site import has_accounting

    given: dict[str, Any] = {}
    for name in _WORDS:
        value = getattr(arguments, name)
        if value is None and name in _ASKED and sys.stdin.isatty():
            value = _ask(name, offered, given)
        given[name] = value or None
    given |= {name: value for name in _NUMBERS if (value := getattr(arguments, name)) is not None}
    given["accounting"] = has_accounting()
    if arguments.simulate:
        given["simulate"] = arguments.simulate
    if arguments.setup:
        given["setup"] = arguments.setup
    n_gpus = arguments.gpus if arguments.gpus is not None else int(bool(offered.get("gpu_partition")))
    given["training"] = {"gpus_per_node": n_gpus}
    if n_gpus and given["gpu_partition"] is None and offered.get("gpu_partition"):
        given["gpu_partition"] = offered["gpu_partition"][0]
    return given


def _checked(given: dict[str, Any], found: list[Partition]) -> ClusterConfig:
    """Check the values like those of a file; missing numbers get values that the partition allows."""
    from jrflow.config.cluster import ClusterConfig, parse_cluster
    from jrflow.config.fault import Origin

    chosen = next(
        (p for p in found if (p.name == given["partition"] if given["partition"] else p.is_default)),
        None,
    )
    fitting: dict[str, Any] = {}
    if chosen is not None:
        default = ClusterConfig()
        fitting["cores"] = int(min(default.cores, chosen.most_cores))
        fitting["longest_job"] = max(1, int(min(default.longest_job, chosen.most_minutes)))
        fitting["shortest_job"] = min(default.shortest_job, given.get("longest_job", fitting["longest_job"]))
    return parse_cluster(fitting | given, Origin("the options"))


def _ask_again(given: dict[str, Any], key: str, offered: dict[str, list[str]]) -> None:
    """Ask again for one value."""
    if key in _NUMBERS or key.startswith("training."):
        section, name = (given["training"], key.partition(".")[2]) if "." in key else (given, key)
        section[name] = _number(key)
    else:
        given[key] = _ask(key, offered, given) or None


def _number(key: str) -> int:
    while True:
        text = _input(f"{_NUMBERS.get(key, key)} ({key}): ", {})
        if text.isdecimal():
            return int(text)
        print(f"expected a whole number, received {text!r}", file=sys.stderr)


def _known(found: list[Partition]) -> dict[str, list[str]]:
    """Possible values of each option, from Slurm and this machine."""
    from jrflow.cluster.site import accounts, interfaces

    with_gpus = [partition for partition in found if partition.gpu_types]
    return {
        "account": accounts(),
        "partition": [p.name for p in sorted(found, key=lambda p: not p.is_default)],
        "gpu_partition": [partition.name for partition in with_gpus],
        "gpu_type": sorted({kind for p in with_gpus for kind in p.gpu_types if kind}),
        "interface": interfaces(),
        "scratch": ["$TMPDIR"],
    }


def _ask(name: str, offered: dict[str, list[str]], given: dict[str, Any]) -> str:
    """Ask for one value until it is valid. An interface that this machine lacks must be entered twice."""
    from jrflow.config.cluster import parse_cluster
    from jrflow.config.fault import ConfigError, Origin

    choices, doubted = offered.get(name, []), ""
    hint = f" (such as {', '.join(choices[:8])})" if choices else ""
    while True:
        answer = _input(f"{_WORDS[name]}{hint}; Enter for none: ", given)
        try:
            parse_cluster({name: answer or None}, Origin("the answer"))
        except ConfigError as error:
            print(error, file=sys.stderr)
            continue
        if name != "interface" or not answer or not choices or answer in choices or answer == doubted:
            return answer
        doubted = answer
        print(
            f"this machine has no interface {answer!r}; enter it again if the nodes have it",
            file=sys.stderr,
        )


def _input(question: str, given: dict[str, Any]) -> str:
    try:
        return input(question).strip()
    except EOFError as error:
        options = " ".join(
            f"--{name.replace('_', '-')} {value}" for name, value in given.items() if isinstance(value, str)
        )
        raise ValueError(
            f"no answer to: {question.strip()} Nothing was written. --help lists the options. Answers: "
            f"{options or 'none'}"
        ) from error


def _profiles() -> Path:
    """Folder where Snakemake looks for profiles."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "snakemake"
