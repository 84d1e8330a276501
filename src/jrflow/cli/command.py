"""The jrflow command.

Each group of commands is added by one function; what a command needs is imported when it runs, so
that ``jrflow --help`` answers at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import version

from jrflow.cli.archive import add_archive
from jrflow.cli.campaign import add_campaign
from jrflow.cli.config import add_config
from jrflow.cli.driver import add_driver
from jrflow.cli.infer import add_infer
from jrflow.cli.parts import add_debug
from jrflow.cli.profile import add_profile

#: Exit code where the user can mend what is wrong (argparse uses the same).
_USER_ERROR = 2
#: Exit code after Ctrl-C, as a shell gives it.
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 where it succeeded, 1 where something is not sound, 2 where the call must change."""
    arguments = _parser().parse_args(argv)
    _end_as_by_ctrl_c()
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("jrflow: interrupted; start the same command again to go on", file=sys.stderr)
        return _INTERRUPTED
    except ModuleNotFoundError as error:
        if arguments.debug:
            raise
        print(f"jrflow: {error}; this needs an extra: pip install 'jrflow[inference]'", file=sys.stderr)
        return _USER_ERROR
    except (ValueError, OSError) as error:
        if arguments.debug:
            raise
        print(f"jrflow: {error}", file=sys.stderr)
        return _USER_ERROR


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
