"""Reading a configuration: every fault at once, with file, line, key, expected and received.

Paths in a configuration are relative to the directory in which jrflow or Snakemake is run, not to
the configuration file: so the copy that a run keeps beside its results means the same as the
original, and the paths agree with those that Snakemake prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jrflow.config.booleans import boolean_faults
from jrflow.config.config import Config
from jrflow.config.connectome import TvbConnectome, build_connectome
from jrflow.config.contradictions import connectome_faults
from jrflow.config.document import Document
from jrflow.config.eeg import CovarianceNoise, ForwardHead, RecordingHead
from jrflow.config.fault import ConfigError, Fault, Key, Origin
from jrflow.config.references import reference_faults
from jrflow.config.schema_tree import SchemaTree
from jrflow.config.translate import translate
from jrflow.model.connectome import Connectome

__all__ = ["ConfigError", "check_files", "load_config", "load_connectome", "parse_config"]

_CONNECTOME_PATH: Key = ("simulation", "connectome", "path")


def load_config(path: str | Path) -> Config:
    """Read and check a configuration file.

    Raises
    ------
    ConfigError
        If the file cannot be read or anything in it is wrong: one error with all faults.
    """
    document = Document(Path(path))
    return parse_config(document.data, document.origin, document.faults)


def parse_config(
    data: Mapping[str, Any], origin: Origin | None = None, faults: Iterable[Fault] = ()
) -> Config:
    """Check a configuration given as plain mappings, such as Snakemake's ``config``.

    Parameters
    ----------
    data
        Section names to their content.
    origin
        File and lines to name in an error.
    faults
        Found earlier, to be reported together with those found here.

    Raises
    ------
    ConfigError
        If anything is wrong: one error with all faults.
    """
    found = [*faults, *boolean_faults(data, _tree())]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        found += [*translate(error, _tree()), *reference_faults(data)]
    if found:
        raise ConfigError(found, origin) from None
    return config


def check_files(config: Config) -> None:
    """Check that the files which a configuration names are there, and that the connectome's fits.

    Raises
    ------
    ConfigError
        If not: one error with all faults.
    """
    faults = [
        Fault(key, f"no such file: {path!r} (relative to {Path.cwd()})")
        for key, path in _files(config).items()
        if not Path(path).is_file()
    ]
    faults += _connectome_faults(config)
    if faults:
        raise ConfigError(faults)


def load_connectome(config: Config) -> Connectome | None:
    """Make or read the connectome of a configuration, and check that it fits; None for one column alone.

    Raises
    ------
    ConfigError
        If it cannot be read, or other settings do not go with it: one error with all faults.
    """
    section = config.simulation.connectome
    if section is None:
        return None
    try:
        connectome = build_connectome(section)
    except (OSError, ValueError) as error:
        raise ConfigError([Fault(_CONNECTOME_PATH, str(error))]) from error
    faults = list(connectome_faults(config, connectome))
    if faults:
        raise ConfigError(faults)
    return connectome


def _connectome_faults(config: Config) -> list[Fault]:
    """What is wrong with a connectome that is in a file; of a file that is not there, nothing."""
    section = config.simulation.connectome
    if isinstance(section, TvbConnectome) and Path(section.path).is_file():
        try:
            load_connectome(config)
        except ConfigError as error:
            return error.faults
    return []


def _files(config: Config) -> dict[Key, str]:
    files: dict[Key, str] = {}
    if isinstance(config.simulation.connectome, TvbConnectome):
        files[_CONNECTOME_PATH] = config.simulation.connectome.path
    if isinstance(config.eeg.head, RecordingHead | ForwardHead):
        files["eeg", "head", "path"] = config.eeg.head.path
    for name, noise in config.eeg.noise.items():
        if isinstance(noise, CovarianceNoise):
            files["eeg", "noise", name, "path"] = noise.path
    if config.inference.apply is not None:
        files["inference", "apply", "evoked"] = config.inference.apply.evoked
    return files


@cache
def _tree() -> SchemaTree:
    return SchemaTree(Config.model_json_schema())
