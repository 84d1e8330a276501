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
#: Exit code after Ctrl-C, as a shell gives it.
_INTERRUPTED = 130

_Run = Callable[[argparse.Namespace], int]
# What add_subparsers returns; argparse has no public name for it.
_Commands = Any


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 where it succeeded, 2 where the user has something to mend."""
    arguments = _parser().parse_args(argv)
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
    _add_infer(commands)
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
    parser.add_argument(
        "--workers", type=int, metavar="N", help="worker processes; by default execution.n_workers"
    )


def _campaign(arguments: argparse.Namespace) -> int:
    from jrflow.campaign import run_campaign
    from jrflow.cluster.dask import map_over_workers
    from jrflow.config import load_config

    config = load_config(arguments.config)
    execution = config.execution
    if arguments.workers is not None:
        execution = execution.model_validate(execution.model_dump() | {"n_workers": arguments.workers})
    with map_over_workers(execution) as map_shards:
        manifest = run_campaign(config, arguments.name, arguments.out, map_shards)
    counts = ", ".join(f"{n} {meaning}" for meaning, n in manifest["counts"].items() if n)
    print(f"{arguments.out / manifest['store']}: {counts}")
    return 0


def _add_infer(commands: _Commands) -> None:
    summary = "infer parameters from measured evoked responses, and say whether the model explains them"
    parser = _command(commands, "infer", _infer, summary)
    parser.add_argument(
        "evoked", type=Path, metavar="EVOKED", help="MNE evoked file with digitised electrodes"
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder of a trained model")
    parser.add_argument(
        "--cov", type=Path, required=True, metavar="FILE", help="MNE covariance of raw samples"
    )
    parser.add_argument(
        "--position",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="source, mm, MNI; by default where the model was trained",
    )


def _infer(arguments: argparse.Namespace) -> int:
    from jrflow.config.eeg import CovarianceNoise, RecordingHead
    from jrflow.eeg.head import lead_field
    from jrflow.eeg.noise import noise_level
    from jrflow.inference.model import load_model
    from jrflow.inference.recordings import as_text, infer_recordings

    model = load_model(arguments.model)
    position = arguments.position
    source = model.description.source
    if position is not None:
        source = source.model_copy(update={"position": tuple(position)})
    gain = lead_field(RecordingHead(kind="recording", path=str(arguments.evoked)), source)
    covariance = CovarianceNoise(kind="covariance", path=str(arguments.cov))
    noise = noise_level(covariance, gain, model.description.simulation.timing)
    estimates, _ = infer_recordings(model, arguments.evoked, gain, noise)
    print(as_text(estimates, model))
    return 0
