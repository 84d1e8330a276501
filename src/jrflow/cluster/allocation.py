"""Scheduler, client and workers of Dask in one allocation of several nodes (dask-jobqueue's SLURMRunner).

Nothing of it runs on the login node. Every process of ``srun`` calls the same function; the first becomes the
scheduler, the second goes on as the client, the others are workers.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client
from distributed.core import rpc
from distributed.security import Security

from jrflow.cluster.clients import WAIT_FOR_WORKERS, has_dashboard
from jrflow.cluster.jobqueue import slurm_classes
from jrflow.cluster.scratch import is_unset
from jrflow.config.cluster import ClusterConfig
from jrflow.config.execution import ExecutionConfig

_CREDENTIALS_WITHIN = 120.0  # s
_PEM = {"ca.pem": "tls_ca_file", "cert.pem": "tls_client_cert", "key.pem": "tls_client_key"}


def in_allocation(
    work: Callable[[Client], None], execution: ExecutionConfig, cluster: ClusterConfig, folder: Path
) -> None:
    """Be the scheduler, a worker, or the client that does the work, as this process's rank says.

    Parameters
    ----------
    work
        What the client does.
    execution
        Memory of a worker, TLS.
    cluster
        Interface and scratch folder.
    folder
        Of credentials and addresses; shared by all nodes, readable by the user alone.
    """
    folder = _own_folder(folder)
    security = _credentials(folder) if execution.tls else None
    with dask.config.set({"distributed.scheduler.no-workers-timeout": WAIT_FOR_WORKERS}):
        try:
            runner = _runner_class(security)(
                scheduler_file=str(folder / "scheduler.json"),
                scheduler_options=_common(security, cluster)
                | {"dashboard_address": "127.0.0.1:8787", "dashboard": has_dashboard()},
                worker_class="distributed.Nanny",  # which starts a killed worker again
                worker_options=_common(security, cluster)
                | {
                    "nthreads": 1,
                    "memory_limit": execution.memory_per_worker,
                    "local_directory": _scratch(cluster),
                },
            )
        except (SystemExit, KeyboardInterrupt):
            return  # so the runner ends a scheduler or worker that is no longer needed
        try:
            with runner, Client(runner.scheduler_address, security=security) as client:
                client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
                work(client)
        finally:
            # Only the client comes here, when the others have been ended: no key is left lying about.
            shutil.rmtree(folder, ignore_errors=True)


def _runner_class(security: Security | None) -> Any:
    _, runner = slurm_classes()

    class Runner(runner):  # type: ignore[misc, valid-type]
        """A runner that shows its credentials when it ends the scheduler, too."""

        async def before_client_start(self) -> None:
            if security is not None:
                arguments = security.get_connection_args("client")
                self.scheduler_comm = rpc(self.scheduler_address, connection_args=arguments)

    return Runner


def _own_folder(folder: Path) -> Path:
    """Folder of this start of this job: requeued it keeps its id, and must not find old addresses."""
    start = os.environ.get("SLURM_RESTART_COUNT", "0")
    own = folder / f"dask-{os.environ['SLURM_JOB_ID']}-{start}"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    return own


def _credentials(folder: Path) -> Security:
    """Credentials made by the first process, and read by the others."""
    if os.environ["SLURM_PROCID"] == "0":
        made = Security.temporary()
        for name, attribute in _PEM.items():
            partial = folder / f"{name}.partial"
            partial.touch(mode=0o600)
            partial.write_text(getattr(made, attribute))
            partial.replace(folder / name)
        (folder / "complete").touch()
    give_up = time.monotonic() + _CREDENTIALS_WITHIN
    while not (folder / "complete").exists():
        if time.monotonic() > give_up:
            raise TimeoutError(
                f"{folder}: no credentials within {_CREDENTIALS_WITHIN:g} s; is it on a file system that all "
                "nodes share, and did the first process start?"
            )
        time.sleep(0.2)
    files = {name.removesuffix(".pem"): str(folder / name) for name in _PEM}
    roles = {
        f"tls_{role}_{kind}": files[kind]
        for role in ("client", "scheduler", "worker")
        for kind in ("cert", "key")
    }
    return Security(tls_ca_file=files["ca"], require_encryption=True, **roles)


def _common(security: Security | None, cluster: ClusterConfig) -> dict[str, Any]:
    common: dict[str, Any] = {"interface": cluster.interface}
    return common | ({"security": security, "protocol": "tls://"} if security else {})


def _scratch(cluster: ClusterConfig) -> str | None:
    folder = os.path.expandvars(cluster.scratch or "")
    return None if not folder or is_unset(Path(folder)) else folder
