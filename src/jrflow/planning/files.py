"""Files that a configuration names, and whether they are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jrflow.config.config import Config
from jrflow.config.connectome import paths_of
from jrflow.config.eeg import CovarianceNoise, ForwardHead, RecordingHead
from jrflow.config.fault import Fault, Key

_LONGEST_SHOWN = 200


def file_faults(config: Config) -> Iterator[Fault]:
    """Find files that are absent or no files, and a folder of results that is a file."""
    for key, path in named_files(config).items():
        if not is_file(path):
            shown = path if len(path) < _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}..."
            what = "expected a file, found a folder" if _exists(path) else "no such file"
            yield Fault(key, f"{what}: {shown!r} (relative to {Path.cwd()})")
    for folder in (config.folder, *config.folder.parents):
        if _exists(str(folder)) and not folder.is_dir():
            yield Fault(("run", "results"), f"expected a folder, but {str(folder)!r} is a file")


def named_files(config: Config) -> dict[Key, str]:
    """Every file that a configuration names, by its key."""
    files: dict[Key, str] = {}
    connectome = config.simulation.connectome
    if connectome is not None:
        for name, path in paths_of(connectome).items():
            files["simulation", "connectome", name] = path
    if isinstance(config.eeg.head, RecordingHead | ForwardHead):
        files["eeg", "head", "path"] = config.eeg.head.path
    for name, noise in config.eeg.noise.items():
        if isinstance(noise, CovarianceNoise):
            files["eeg", "noise", name, "path"] = noise.path
    if config.inference.apply is not None:
        files["inference", "apply", "evoked"] = config.inference.apply.evoked
    return files


def is_file(path: str) -> bool:
    """Whether there is such a file."""
    return _exists(path) and Path(path).is_file()


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # no file system takes it: too long, or with a zero byte
        return False
