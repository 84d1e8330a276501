"""The jrflow command."""

from jrflow.cli.command import main

__all__ = ["main"]
