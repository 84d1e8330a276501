"""jrflow config: check a configuration, or print the default one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jrflow.cli.parts import Commands, add_command, add_group


def add_config(commands: Commands) -> None:
    """Add the group to the command line."""
    parts = add_group(commands, "config", "check a configuration, or print the default one")
    check = add_command(
        parts, "check", _check, "report every error, or a summary of the run if there is none"
    )
    check.add_argument("file", type=Path, metavar="FILE", help="configuration (YAML)")
    add_command(parts, "default", _default, "print the default configuration, every field explained")
    add_command(parts, "schema", _schema, "print the JSON schema of a configuration")


def _check(arguments: argparse.Namespace) -> int:
    from jrflow.config.document import Document
    from jrflow.planning.feasibility import parse_checked
    from jrflow.planning.plausibility import implausible
    from jrflow.planning.summary import summary

    document = Document(arguments.file)
    config = parse_checked(document.data, document.origin, document.faults)
    for fault in implausible(config):
        print(f"jrflow: warning: {document.origin.place(fault.key)}: {fault}", file=sys.stderr)
    print(f"{arguments.file}: OK\n\n{summary(config)}")
    return 0


def _default(_: argparse.Namespace) -> int:
    from jrflow.config.commented import commented_yaml
    from jrflow.config.default import default_config

    print(commented_yaml(default_config()), end="")
    return 0


def _schema(_: argparse.Namespace) -> int:
    from jrflow.config.schema import config_schema

    print(config_schema(), end="")
    return 0
