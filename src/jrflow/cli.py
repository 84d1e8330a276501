"""The jrflow command.

Each group of commands is added by one function; what a command needs is imported when it runs, so
that ``jrflow --help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

#: Exit code where the user can mend what is wrong (argparse uses the same).
_USER_ERROR = 2

_Run = Callable[[argparse.Namespace], int]
# What add_subparsers returns; argparse has no public name for it.
_Commands = Any


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 where it succeeded, 2 where the user has something to mend."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ValueError, OSError) as error:
        if arguments.debug:
            raise
        print(f"jrflow: {error}", file=sys.stderr)
        return _USER_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jrflow",
        description="Which Jansen-Rit parameters, with what certainty, could have produced this EEG?",
    )
    parser.add_argument("--version", action="version", version=f"jrflow {version('jrflow')}")
    _add_debug(parser, default=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_config(commands)
    _add_campaign(commands)
    return parser


def _add_debug(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of an error"
    )


def _command(commands: _Commands, name: str, run: _Run, summary: str) -> argparse.ArgumentParser:
    """Add a command that calls ``run``; --debug may stand before or behind it."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    _add_debug(parser, default=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def _add_config(commands: _Commands) -> None:
    group = commands.add_parser("config", help="check a configuration, or print the default one")
    parts = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = _command(parts, "check", _config_check, "report every fault, or what would be run")
    check.add_argument("file", type=Path, metavar="FILE", help="configuration (YAML)")
    _command(parts, "default", _config_default, "print the default configuration, every field explained")
    _command(parts, "schema", _config_schema, "print the JSON schema of a configuration")


def _config_check(arguments: argparse.Namespace) -> int:
    from jrflow.config.load import check_files, load_config
    from jrflow.config.summary import summary

    config = load_config(arguments.file)
    check_files(config)
    print(f"{arguments.file}: OK\n\n{summary(config)}")
    return 0


def _config_default(_: argparse.Namespace) -> int:
    from jrflow.config.commented import commented_yaml
    from jrflow.config.default import default_config

    print(commented_yaml(default_config()), end="")
    return 0


def _config_schema(_: argparse.Namespace) -> int:
    from jrflow.config.schema import config_schema

    print(config_schema(), end="")
    return 0


def _add_campaign(commands: _Commands) -> None:
    summary = "simulate one campaign into an archive, or the rest of it if it was interrupted"
    parser = _command(commands, "campaign", _campaign, summary)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="configuration (YAML)")
    parser.add_argument("name", metavar="NAME", help="name of the campaign in the configuration")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the archive")


def _campaign(arguments: argparse.Namespace) -> int:
    from jrflow.campaign import run_campaign
    from jrflow.cluster.dask import map_over_workers
    from jrflow.config import load_config

    config = load_config(arguments.config)
    with map_over_workers(config.execution) as map_shards:
        manifest = run_campaign(config, arguments.name, arguments.out, map_shards)
    counts = ", ".join(f"{n} {meaning}" for meaning, n in manifest["counts"].items() if n)
    print(f"{arguments.out / manifest['store']}: {counts}")
    return 0
