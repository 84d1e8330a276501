"""Options and helpers that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jrflow.campaign import MapShards
    from jrflow.config.execution import ExecutionConfig

#: Function that runs a command and returns its exit code.
Run = Callable[[argparse.Namespace], int]
#: Largest number that an option accepts.
MOST = 100_000
# Type of the result of add_subparsers; argparse has no public name for it.
Commands = Any


def add_command(commands: Commands, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
    """Add a command that calls ``run``; --debug may stand before or after its name."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    add_debug(parser, default=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def add_group(commands: Commands, name: str, summary: str) -> Commands:
    """Add a group of commands."""
    group = commands.add_parser(name, help=summary, description=summary)
    return group.add_subparsers(title="commands", required=True, metavar="COMMAND")


def add_debug(parser: argparse.ArgumentParser, default: Any) -> None:
    """Add --debug."""
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of an error"
    )


def add_workers(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --workers."""
    parser.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help=f"number of worker processes; 0: one for each core; default: {default}",
    )


def count(text: str) -> int:
    """Read a whole number of at least 0, for argparse."""
    return _whole(text, 0)


def positive(text: str) -> int:
    """Read a whole number of at least 1, for argparse."""
    return _whole(text, 1)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not least <= number <= MOST:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from {least} to {MOST:,}, received {text[:40]!r}"
        )
    return number


@contextmanager
def workers(execution: ExecutionConfig, arguments: argparse.Namespace) -> Iterator[MapShards]:
    """Provide a ``map`` over workers; their number is --workers or, by default, that of the configuration."""
    from jrflow.cluster.dask import map_over_workers

    if arguments.workers is not None:
        execution = execution.model_validate(execution.model_dump() | {"n_workers": arguments.workers})
    with map_over_workers(execution) as map_shards:
        yield map_shards
