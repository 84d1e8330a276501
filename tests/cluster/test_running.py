"""A scheduler that is running already, with certificates of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dask
import pytest
from distributed import Client
from distributed.security import Security

from jrflow.campaign import run_campaign
from jrflow.cluster import clients
from jrflow.cluster.clients import SchedulerError, WorkersLostError
from jrflow.cluster.dask import map_over_workers
from jrflow.config import Config
from jrflow.config.execution import ExecutionConfig

MakeConfig = Callable[..., Config]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Dask's options for certificates, which ``dask scheduler`` and ``dask worker`` share."""
    folder, made = tmp_path_factory.mktemp("certificates"), Security.temporary()
    files = {"ca-file": made.tls_ca_file, "cert": made.tls_scheduler_cert, "key": made.tls_scheduler_key}
    for name, content in files.items():
        (folder / name).write_text(content)
    return {name: str(folder / name) for name in files}


@pytest.fixture(scope="module")
def scheduler(certificates: dict[str, str]) -> Iterator[str]:
    with ExitStack() as stack:
        options = [f"--tls-{name}={path}" for name, path in certificates.items()]
        listen = ["--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *options]
        started = stack.enter_context(_process("scheduler", *listen))
        assert started.stderr is not None
        address = next(line.split()[-1] for line in started.stderr if "Scheduler at" in line)
        stack.enter_context(_process("worker", address, "--nthreads", "1", "--no-dashboard", *options))
        yield address


class _process:  # noqa: N801 - used as a function
    """A process of ``dask`` that ends with the context."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "dask", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def known(certificates: dict[str, str]) -> Iterator[None]:
    """The certificates in Dask's own configuration, where users have theirs."""
    client = {"cert": certificates["cert"], "key": certificates["key"]}
    with dask.config.set(
        {"distributed.comm.tls.ca-file": certificates["ca-file"], "distributed.comm.tls.client": client}
    ):
        yield


def _execution(address: str) -> ExecutionConfig:
    return ExecutionConfig(backend="scheduler", scheduler=address)


@pytest.mark.usefixtures("known")
def test_its_workers_simulate(scheduler: str, tiny_config: MakeConfig, tmp_path: Path) -> None:
    with map_over_workers(_execution(scheduler), None) as map_shards:
        manifest = run_campaign(tiny_config(), "train", tmp_path, map_shards, progress=None)
    expected = run_campaign(tiny_config(), "train", tmp_path / "here", progress=None)
    assert manifest.files == expected.files


def test_without_certificates_it_is_said_where_they_belong(scheduler: str) -> None:
    with (
        map_over_workers(_execution(scheduler), None) as map_tasks,
        pytest.raises(SchedulerError, match=r"set distributed\.comm\.tls\.ca-file"),
    ):
        list(map_tasks(abs, [1]))


def test_whoever_has_other_certificates_is_refused(scheduler: str) -> None:
    with pytest.raises(OSError, match="certificate"):
        Client(scheduler, security=Security.temporary(), timeout=5)


@pytest.mark.usefixtures("known")
def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "WAIT_FOR_SCHEDULER", "1 s")
    with (
        map_over_workers(_execution("tls://127.0.0.1:1"), None) as map_tasks,
        pytest.raises(SchedulerError, match=r"connect to a Dask scheduler at tls://127.0.0.1:1 within 1 s"),
    ):
        list(map_tasks(abs, [1]))


@pytest.mark.usefixtures("known")
def test_no_worker_comes(certificates: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "WAIT_FOR_WORKERS", 0.5)
    options = [f"--tls-{name}={path}" for name, path in certificates.items()]
    with _process(
        "scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *options
    ) as started:
        assert started.stderr is not None
        address = next(line.split()[-1] for line in started.stderr if "Scheduler at" in line)
        with (
            map_over_workers(_execution(address), None) as map_tasks,
            pytest.raises(WorkersLostError, match="no worker"),
        ):
            list(map_tasks(abs, [1]))
