"""Where results come from: versions, commit, seeds and hashes of settings."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

#: So long may git take, s: on a machine that is busy, or a file system that is slow.
_GIT_S = 60.0
#: Packages whose version can change a number.
_PACKAGES = ("jrflow", "numpy", "scipy", "numba", "xarray", "zarr", "mne", "SALib")


def campaign_seed(run_seed: int, name: str) -> int:
    """Derive a campaign's seed from the run's, so that no two campaigns share their draws.

    Without this, a training and a test campaign drawn from one prior would begin with the same
    simulations.
    """
    digest = hashlib.sha256(f"{run_seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # fits a signed 64-bit integer


def content_hash(content: Any) -> str:
    """SHA-256 of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose version can change a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def version_changes(then: Mapping[str, str]) -> list[str]:
    """Packages that have another version now than then: 'numba 0.61 -> 0.62'."""
    return [
        f"{name} {then.get(name, 'absent')} -> {version}"
        for name, version in versions().items()
        if then.get(name) != version
    ]


def git_commit() -> str:
    """Commit of the checkout this package runs from, '-dirty' appended; 'unknown' outside one."""
    here = Path(__file__).parent
    # Git only looks: many processes ask at once, and none is to write into the checkout.
    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        # Installed below somebody else's checkout, the commit found would be theirs.
        subprocess.run(
            ["git", "ls-files", "--error-unmatch", __file__],
            cwd=here, capture_output=True, check=True, timeout=_GIT_S, env=quiet,
        )  # fmt: skip
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here, capture_output=True, text=True, check=True, timeout=_GIT_S, env=quiet,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
