"""Import dask-jobqueue without its side effects."""

from __future__ import annotations

import signal
from typing import Any


def slurm_cluster_class() -> Any:
    """Import ``SLURMCluster``.

    The import replaces the process's handler of Ctrl-C by one that exits silently. This function restores
    the previous handler.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue.slurm import SLURMCluster
    finally:
        signal.signal(signal.SIGINT, before)
    return SLURMCluster
