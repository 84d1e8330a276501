"""The jrflow command.

One function adds each group of commands. A command imports its modules when it runs, so that
``jrflow --help`` is fast.
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
from jrflow.cli.brain import add_brain
from jrflow.cli.campaign import add_campaign
from jrflow.cli.config import add_config
from jrflow.cli.driver import add_driver
from jrflow.cli.extras import advice
from jrflow.cli.infer import add_infer
from jrflow.cli.parts import add_debug
from jrflow.cli.profile import add_profile

#: Exit code for errors that the user can correct (argparse uses the same code).
_USER_ERROR = 2
#: Exit codes after Ctrl-C and after a closed pipe, as a shell reports them.
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
        0 on success, 1 if an archive is not sound, 2 after an error that the user can correct, 130 after
        Ctrl-C, 141 if the output was closed before the end.
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
    """Run a command; show errors that the user can correct as a message without traceback."""
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        # Libraries leave unfinished tasks in their event loops; keep asyncio from reporting them.
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
    """Error message for the user, without details of libraries' errors that do not help."""
    if isinstance(error, ModuleNotFoundError):
        return advice(error)
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}; choose fewer or smaller simulations"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _discard_output() -> None:
    """Redirect the output to the null device, so that Python does not report the closed pipe at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # stdout has been replaced by something without a file
        pass
    finally:
        os.close(nowhere)


def _end_as_by_ctrl_c() -> None:
    """Treat SIGTERM, which schedulers send to end programs, as Ctrl-C, so that cleaning up still happens."""

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
    for add in (add_config, add_campaign, add_archive, add_infer, add_brain, add_profile, add_driver):
        add(commands)
    return parser
