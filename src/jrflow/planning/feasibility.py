"""Whether a configuration can be run: every check that can be made before anything runs, as one call.

The same checks serve ``jrflow config check``, Snakemake and ``run_campaign``. They find at once what stages
would find later: an unknown montage, a file that is absent or holds something else, a shard too large for a
worker, a full disk. They are reported together with the errors of the configuration itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jrflow.config.config import Config
from jrflow.config.document import Document
from jrflow.config.examine import Examination
from jrflow.config.fault import ConfigError, Fault, Origin
from jrflow.config.load import examine_connectome
from jrflow.planning.electrodes import electrode_faults
from jrflow.planning.files import file_faults, is_file, named_files
from jrflow.planning.plausibility import steps_too_long
from jrflow.planning.room import disk_faults, memory_faults


def check(config: Config, origin: Origin | None = None) -> None:
    """Check a valid configuration against the files, the machine and the model.

    Parameters
    ----------
    config
        The run's configuration.
    origin
        File and lines to name in an error.

    Raises
    ------
    ConfigError
        If it cannot be run: one error with all faults.
    """
    faults = infeasibilities(config)
    if faults:
        raise ConfigError(faults, origin)


def load_checked(path: str | Path) -> Config:
    """Read a configuration file and check it in every respect.

    Raises
    ------
    ConfigError
        If anything is wrong: one error with all faults, those of the configuration itself included.
    """
    document = Document(Path(path))
    return parse_checked(document.data, document.origin, document.faults)


def parse_checked(
    data: Mapping[str, Any], origin: Origin | None = None, faults: Iterable[Fault] = ()
) -> Config:
    """Check a configuration given as plain mappings in every respect; arguments as of ``parse_config``.

    Raises
    ------
    ConfigError
        If anything is wrong: one error with all faults, those of the configuration itself included.
    """
    examination = Examination(data, faults)
    examination.add(infeasibilities(examination.config))
    if examination.faults:
        raise ConfigError(examination.faults, origin)
    return examination.config


def infeasibilities(config: Config) -> list[Fault]:
    """Find everything that keeps a valid configuration from being run."""
    return [*file_faults(config), *_simulations(config), *electrode_faults(config)]


def check_simulations(config: Config, name: str) -> None:
    """Check what one campaign's simulations need; ``Specification.of`` has checked its connectome.

    Raises
    ------
    ConfigError
        If it cannot be simulated: one error with all faults.
    """
    faults = [*steps_too_long(config, [name]), *memory_faults(config, [name])]
    if faults:
        raise ConfigError(faults)


def _simulations(config: Config) -> list[Fault]:
    """Find what keeps campaigns from being simulated: connectome, integration step, memory and disk."""
    faults = [*steps_too_long(config, config.campaigns), *memory_faults(config, config.campaigns)]
    if not any(fault.key[:2] == ("simulation", "connectome") for fault in faults):
        path = named_files(config).get(("simulation", "connectome", "path"))
        connectome, found = examine_connectome(config) if path is None or is_file(path) else (None, [])
        faults += found
        faults += disk_faults(config, 1 if connectome is None else connectome.n_regions)
    return faults
