"""jrflow driver: run a command that submits jobs as a job itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jrflow.cli.parts import Commands, add_command, positive


def add_driver(commands: Commands) -> None:
    """Add the command to the command line."""
    summary = "submit a command that itself submits jobs, such as snakemake --profile slurm, as a job"
    parser = add_command(commands, "driver", _driver, summary)
    parser.add_argument(
        "--cluster", type=Path, metavar="FILE", required=True, help="cluster.yaml beside the profile"
    )
    parser.add_argument(
        "--minutes",
        type=positive,
        metavar="N",
        help="time limit of the job; when it is reached, the job goes back into the queue and continues",
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="file for the output; default: logs/driver-<job>.log"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")


def _driver(arguments: argparse.Namespace) -> int:
    from jrflow.cluster.driver import submit_driver
    from jrflow.cluster.record import SubmissionError
    from jrflow.config.cluster import load_cluster

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise ValueError(
            "expected a command, such as: jrflow driver --cluster FILE -- snakemake --profile slurm"
        )
    try:
        log = arguments.log or Path("logs/driver-%j.log")
        job, log = submit_driver(command, load_cluster(arguments.cluster), log, arguments.minutes)
    except SubmissionError as error:
        print(f"jrflow: {error}", file=sys.stderr)
        return 2
    print(f"job {job}: {' '.join(command)}")
    print(f"to see its output: tail -F {log}\nto end it and its jobs: scancel --batch --signal=TERM {job}")
    return 0
