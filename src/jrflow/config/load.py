"""Reading a configuration: every error at once, with file, line, key, expected and received value.

Paths in a configuration are relative to the directory in which jrflow or Snakemake is run, not to
the configuration file. So the copy that a run keeps with its results means the same as the
original, and the paths agree with those that Snakemake prints.

The checks here need nothing but the configuration. :mod:`jrflow.planning.feasibility` also checks files,
montage, connectome, memory and disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jrflow.config.config import Config
from jrflow.config.connectome import build_connectome
from jrflow.config.document import Document
from jrflow.config.examine import Examination
from jrflow.config.fault import ConfigError, Fault, Origin
from jrflow.config.network import wiring_faults
from jrflow.config.shards import shard_faults
from jrflow.model.connectome import Connectome

__all__ = ["ConfigError", "load_config", "load_connectome", "parse_config"]


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
    examination = Examination(data, faults)
    if examination.faults:
        raise ConfigError(examination.faults, origin)
    return examination.config


def load_connectome(config: Config) -> Connectome | None:
    """Make or read the connectome of a configuration, and check that it fits; None for one column alone.

    Raises
    ------
    ConfigError
        If it cannot be read, or other settings do not agree with it: one error with all faults.
    """
    connectome, faults = examine_connectome(config)
    if faults:
        raise ConfigError(faults)
    return connectome


def examine_connectome(config: Config) -> tuple[Connectome | None, list[Fault]]:
    """Make or read the connectome of a configuration, with all that is wrong with it.

    Returns
    -------
    connectome
        None for one column alone, or if there is none that could be made or read.
    faults
        About the connectome, and about settings that do not agree with it.
    """
    section = config.simulation.connectome
    if section is None:
        return None, list(shard_faults(config, 1))
    key = ("simulation", "connectome", "n_regions" if section.kind == "synthetic" else "path")
    try:
        connectome = build_connectome(section)
    except (OSError, ValueError, MemoryError) as error:
        return None, [Fault(key, str(error) or type(error).__name__)]
    return connectome, [*wiring_faults(config, connectome), *shard_faults(config, connectome.n_regions)]
