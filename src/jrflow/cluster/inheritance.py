"""What jobs inherit of the environment of the shell that submits them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jrflow.config.cluster import ClusterConfig

#: Variables that a job needs where its environment must stay clean. Everything else, such as tokens and
#: passwords, stays behind.
_NEEDED = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM", "VIRTUAL_ENV"}
_NEEDED_PREFIXES = (
    "LC_", "JRFLOW_", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "SLURM_", "SBATCH_", "CUDA_", "NCCL_", "GLOO_",
    "PYTHON", "CONDA_", "MODULE", "LMOD_", "LD_LIBRARY_PATH", "XDG_", "DASK_", "SNAKEMAKE_", "GIT_DIR",
)  # fmt: skip


def clean_environment(cluster: ClusterConfig) -> dict[str, str]:
    """Remove from this process's environment what jobs must not inherit; what was removed.

    Parameters
    ----------
    cluster
        Says whether jobs inherit everything (environment: user) or what they need (clean).
    """
    if cluster.environment == "user":
        return {}
    removed = {
        name: value
        for name, value in os.environ.items()
        if name not in _NEEDED and not name.startswith(_NEEDED_PREFIXES)
    }
    for name in removed:
        del os.environ[name]
    return removed


@contextmanager
def inherited(cluster: ClusterConfig) -> Iterator[None]:
    """Let what is submitted meanwhile inherit only what it may."""
    removed = clean_environment(cluster)
    try:
        yield
    finally:
        os.environ.update(removed)
