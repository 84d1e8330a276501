"""Environment variables that jobs inherit from the shell that submits them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jrflow.config.cluster import ClusterConfig

#: Variables that a job inherits with ``environment: clean``. It does not inherit other variables, such as
#: tokens and passwords.
_NEEDED = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM", "VIRTUAL_ENV"}
_NEEDED_PREFIXES = (
    "LC_", "JRFLOW_", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "SLURM_", "SBATCH_", "CUDA_", "NCCL_", "GLOO_",
    "PYTHON", "CONDA_", "MODULE", "LMOD_", "LD_LIBRARY_PATH", "XDG_", "DASK_", "SNAKEMAKE_", "GIT_DIR",
)  # fmt: skip


def clean_environment(cluster: ClusterConfig) -> dict[str, str]:
    """Remove variables that jobs must not inherit from this process's environment.

    Parameters
    ----------
    cluster
        Description of the cluster: jobs inherit all variables (``environment: user``) or only those they
        need (``clean``).

    Returns
    -------
    dict
        Names and values of the removed variables.
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
    """Restrict the environment of jobs that are submitted within this context; restore it afterwards."""
    removed = clean_environment(cluster)
    try:
        yield
    finally:
        os.environ.update(removed)
