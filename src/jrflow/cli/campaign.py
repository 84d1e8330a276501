"""jrflow campaign: simulate one campaign, or a part of it."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from jrflow.cli.parts import Commands, add_command, add_workers, workers


def add_campaign(commands: Commands) -> None:
    """Add the command to the command line."""
    summary = "simulate one campaign into an archive, or the rest of it if it was interrupted"
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
        help="wait while another process is at work on the same simulations, then do what it left",
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--design", action="store_true", help="only create the archive, with its parameters")
    part.add_argument(
        "--block",
        type=_block,
        metavar="K/N",
        help="only simulate the K-th of N parts; without it all is sealed",
    )


def _block(text: str) -> tuple[int, int]:
    number, _, n_blocks = text.partition("/")
    if not (number.isdecimal() and n_blocks.isdecimal() and 1 <= int(number) <= int(n_blocks)):
        raise argparse.ArgumentTypeError(f"expected K/N with 1 <= K <= N, such as 3/10, received {text!r}")
    return int(number), int(n_blocks)


def _campaign(arguments: argparse.Namespace) -> int:
    from jrflow.campaign.run import design_campaign, run_block, run_campaign
    from jrflow.config import load_config

    config = load_config(arguments.config)
    which = config, arguments.name, arguments.out
    if arguments.design:
        print(design_campaign(*which, sys.stderr, arguments.wait))
        return 0
    with workers(config.execution, arguments) as map_shards:
        if arguments.block:
            n = run_block(*which, arguments.block, map_shards, sys.stderr, arguments.wait)
            number, n_blocks = arguments.block
            print(f"{arguments.name}: block {number} of {n_blocks}: {n} simulations")
            return 0
        manifest = run_campaign(*which, map_shards, sys.stderr, arguments.wait)
    counts = ", ".join(f"{n} {meaning}" for meaning, n in manifest["counts"].items() if n)
    print(f"{arguments.out}/{manifest['store']}: {counts}")
    return 0
