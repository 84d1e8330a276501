"""dask-jobqueue, without what its import does to the process."""

from __future__ import annotations

import signal
from typing import Any


def slurm_classes() -> tuple[Any, Any]:
    """Import ``SLURMCluster`` and ``SLURMRunner``.

    The import replaces the process's answer to Ctrl-C by one that exits without a word; here the answer
    that was there is put back.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue.slurm import SLURMCluster, SLURMRunner
    finally:
        signal.signal(signal.SIGINT, before)
    return SLURMCluster, SLURMRunner
