"""jrflow campaign: simulate one campaign, or a part of it."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jrflow.cli.parts import Commands, add_command, add_workers, positive, workers

if TYPE_CHECKING:
    from jrflow.archive.manifest import Manifest


def add_campaign(commands: Commands) -> None:
    """Add the command to the command line."""
    summary = "simulate one campaign into an archive, or resume it if it was interrupted"
    parser = add_command(commands, "campaign", _campaign, summary)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="configuration (YAML)")
    parser.add_argument("name", metavar="NAME", help="name of the campaign in the configuration")
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder of the archive, or a URL: s3://bucket/run",
    )
    add_workers(parser, "execution.n_workers")
    parser.add_argument(
        "--wait",
        action="store_const",
        const=math.inf,
        default=0.0,
        help="if another process works on the same simulations, wait for it, then simulate what is missing",
    )
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="do not check electrodes, files and disk (for jobs of the workflow, which has checked them)",
    )
    _add_cluster(parser)
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--design", action="store_true", help="only create the archive and write its parameters"
    )
    part.add_argument(
        "--block",
        type=_block,
        metavar="K/N",
        help="only simulate the K-th of N blocks; afterwards, a call without this option seals the archive",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add options for clusters. An empty value counts as none, so that a workflow can always pass them."""
    parser.add_argument(
        "--cluster", default="", metavar="FILE", help="cluster.yaml of the cluster whose nodes simulate"
    )
    parser.add_argument(
        "--jobs",
        type=Path,
        metavar="DIR",
        help="folder for the files of cluster jobs; default: <campaign>.jobs beside the archive",
    )
    parser.add_argument(
        "--attempt",
        type=positive,
        default=1,
        metavar="N",
        help="number of this attempt; later attempts request more time and memory",
    )
    parser.add_argument(
        "--scratch", default="", metavar="DIR", help="folder for temporary files, such as $TMPDIR"
    )


def _block(text: str) -> tuple[int, int]:
    number, _, n_blocks = text.partition("/")
    if not (number.isdecimal() and n_blocks.isdecimal() and 1 <= int(number) <= int(n_blocks)):
        raise argparse.ArgumentTypeError(f"expected K/N with 1 <= K <= N, such as 3/10, received {text!r}")
    return int(number), int(n_blocks)


def _campaign(arguments: argparse.Namespace) -> int:
    from jrflow.campaign.run import design_campaign, run_block, run_campaign
    from jrflow.cluster.scratch import local_folder
    from jrflow.config import load_config
    from jrflow.planning.feasibility import load_checked

    _require_folder(arguments.out)
    config = load_config(arguments.config) if arguments.no_check else load_checked(arguments.config)
    which = config, arguments.name, arguments.out
    if arguments.design:
        print(design_campaign(*which, sys.stderr, arguments.wait))
        return 0
    if arguments.cluster:
        return _on_cluster(arguments)
    with local_folder(arguments.scratch), workers(config.execution, arguments) as map_shards:
        if arguments.block:
            n = run_block(*which, arguments.block, map_shards, sys.stderr, arguments.wait)
            number, n_blocks = arguments.block
            print(f"{arguments.name}: block {number} of {n_blocks}: {n} simulations")
            return 0
        manifest = run_campaign(*which, map_shards, sys.stderr, arguments.wait)
    return _report(arguments, manifest)


def _on_cluster(arguments: argparse.Namespace) -> int:
    from jrflow.cluster.campaign import run_on_cluster

    if arguments.block:
        raise ValueError(
            "give either --block or --cluster, not both: --cluster divides the campaign into blocks itself"
        )
    local = "://" not in arguments.out
    jobs = arguments.jobs or Path(arguments.out if local else ".") / f"{arguments.name}.jobs"
    cluster = Path(arguments.cluster)
    manifest = run_on_cluster(
        arguments.config, arguments.name, arguments.out, cluster, jobs, arguments.attempt, sys.stderr
    )
    return _report(arguments, manifest)


def _require_folder(out: str) -> None:
    """Refuse an ``--out`` that is a file, or a path below a file."""
    if "://" not in out:
        for folder in (Path(out), *Path(out).parents):
            if folder.exists() and not folder.is_dir():
                raise ValueError(f"--out: expected a folder, but {str(folder)!r} is a file; give another one")


def _report(arguments: argparse.Namespace, manifest: Manifest) -> int:
    counts = ", ".join(f"{n} {meaning}" for meaning, n in manifest.counts.items() if n)
    print(f"{arguments.out}/{manifest.store}: {counts}")
    return 0
