"""The command of every stage: settings and files in, files out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from jrflow.stages import STAGES
from jrflow.stages.stage import AnyStage
from jrflow.stages.submitted import SubmittedStage


def main(name: str, argv: Sequence[str] | None = None) -> int:
    """Run the stage of this name as its arguments say, and return the exit code."""
    stage = STAGES[name]
    arguments = _parser(stage).parse_args(argv)
    settings = stage.read_settings(arguments.settings)
    inputs, outputs = _files(arguments.inputs), _files(arguments.outputs)
    if not isinstance(stage, SubmittedStage):
        stage.run(settings, inputs, outputs, arguments.threads)
        return 0
    from jrflow.cluster.command import Job
    from jrflow.config.cluster import load_cluster
    from jrflow.stages.jobs import carry_out

    cluster = load_cluster(arguments.cluster or None)
    job = Job(cluster, arguments.jobs, arguments.attempt, arguments.threads)
    expected = arguments.expected_seconds, arguments.expected_bytes
    return carry_out(stage, job, settings, inputs, outputs, *expected)


def _files(given: Iterable[str]) -> dict[str, Path]:
    """Read ``name=path`` arguments; a name without a path is an input that is not asked for."""
    pairs = (one.split("=", maxsplit=1) for one in given)
    return {name: Path(path) for name, path in pairs if path}


def _parser(stage: AnyStage) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=sys.modules[type(stage).__module__].__doc__)
    parser.add_argument("--settings", required=True, metavar="JSON", help="all settings that the stage reads")
    parser.add_argument("--inputs", nargs="*", default=[], metavar="NAME=FILE", help=_names(stage.inputs))
    parser.add_argument(
        "--outputs", nargs="+", required=True, metavar="NAME=FILE", help=_names(stage.outputs)
    )
    parser.add_argument("--threads", type=int, default=1)
    if isinstance(stage, SubmittedStage):
        parser.add_argument(
            "--cluster", default="", metavar="FILE", help="description of a cluster; empty: in this process"
        )
        parser.add_argument(
            "--attempt", type=int, default=1, help="later attempts ask for more time and memory"
        )
        parser.add_argument("--jobs", type=Path, required=True, help="folder of the jobs' files")
        parser.add_argument("--expected-seconds", type=float, required=True)
        parser.add_argument("--expected-bytes", type=float, required=True)
    return parser


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
