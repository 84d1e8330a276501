"""The jrflow command.

Each group of commands is added by one function; what a command needs is imported when it runs, so
that ``jrflow --help`` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import version

from jrflow.cli.archive import add_archive
from jrflow.cli.campaign import add_campaign
from jrflow.cli.config import add_config
from jrflow.cli.driver import add_driver
from jrflow.cli.extras import advice
from jrflow.cli.infer import add_infer
from jrflow.cli.parts import add_debug
from jrflow.cli.profile import add_profile

#: Exit code if the user can repair what is wrong (argparse uses the same).
_USER_ERROR = 2
#: Exit codes of a program that Ctrl-C or a closed pipe ended, as a shell reports them.
_INTERRUPTED, _BROKEN_PIPE = 128 + signal.SIGINT, 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments; by default those of the process.

    Returns
    -------
    int
        0 on success, 1 if something is not sound, 2 if the call must change, 130 after Ctrl-C, 141 if the
        reader of the output went away.
    """
    try:
        arguments = _parser().parse_args(argv)
        _end_as_by_ctrl_c()
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    return code


def _run(arguments: argparse.Namespace) -> int:
    """Run a command and turn errors that the user can repair into a message."""
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        # What a library had begun in its event loop is dropped; asyncio would report that after our line.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        print(
            "jrflow: interrupted. Finished work is kept: start the same command again to resume",
            file=sys.stderr,
        )
        return _INTERRUPTED
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ModuleNotFoundError, MemoryError) as error:
        if arguments.debug:
            raise
        print(f"jrflow: {_message(error)}", file=sys.stderr)
        return _USER_ERROR
    return code


def _message(error: Exception) -> str:
    """Say what is wrong in our own words; libraries' errors lose what is of no use to the reader."""
    if isinstance(error, ModuleNotFoundError):
        return advice(error)
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}; choose fewer or smaller simulations"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _discard_output() -> None:
    """Let Python's last flush go nowhere, so that it does not complain about the closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # stdout has been replaced by something without a file
        pass
    finally:
        os.close(nowhere)


def _end_as_by_ctrl_c() -> None:
    """Let SIGTERM, with which schedulers end programs, leave as little behind as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jrflow",
        description="Which Jansen-Rit parameters, with what certainty, could have produced this EEG?",
    )
    parser.add_argument("--version", action="version", version=f"jrflow {version('jrflow')}")
    add_debug(parser, default=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (add_config, add_campaign, add_archive, add_infer, add_profile, add_driver):
        add(commands)
    return parser
