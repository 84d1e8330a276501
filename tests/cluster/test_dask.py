"""Workers on this machine: who may connect, what happens when they die, what they leave behind."""

from __future__ import annotations

import io
import os
import signal
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dask
import numpy as np
import psutil
import pytest
import zarr
from distributed import Client
from distributed.security import Security

from jrflow.archive import ShardError
from jrflow.campaign import ShardTask, run_campaign
from jrflow.cluster.clients import WorkersLostError, local_client
from jrflow.cluster.dask import map_on, map_over_workers
from jrflow.config import Config
from jrflow.config.execution import ExecutionConfig

MakeConfig = Callable[..., Config]

TWO_WORKERS = ExecutionConfig(backend="local", n_workers=2, memory_per_worker="1GiB")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with local_client(TWO_WORKERS) as client:
        yield client


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig) -> dict[str, str]:
    """Checksums of a campaign that was simulated in this process."""
    return _simulate(tiny_config, tmp_path_factory.mktemp("in-process"), map)


def _simulate(
    tiny_config: MakeConfig, folder: Path, map_shards: Callable[..., Iterator[int]]
) -> dict[str, str]:
    config = tiny_config(execution={"shard_size": 8, "chunk_size": 4})
    manifest = run_campaign(config, "train", folder, map_shards, progress=None)
    assert manifest.counts["ok"] == 100
    return {name: entry.sha256 for name, entry in manifest.files.items() if "/c/" in name}


def test_in_process_is_the_builtin_map() -> None:
    with map_over_workers(ExecutionConfig(backend="in-process")) as map_tasks:
        assert map_tasks is map


def test_workers_make_the_same_archive(
    tiny_config: MakeConfig, tmp_path: Path, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    messages = io.StringIO()
    with map_over_workers(TWO_WORKERS, messages) as map_tasks:
        assert not messages.getvalue()
        assert _simulate(tiny_config, tmp_path, map_tasks) == expected
        assert messages.getvalue().startswith("2 workers; dashboard: ")
    assert not list((tmp_path / "cwd").iterdir())


@pytest.mark.slow
def test_killed_workers_cost_no_simulation(
    tiny_config: MakeConfig, tmp_path: Path, expected: dict[str, str]
) -> None:
    killed: list[int] = []

    # With so little patience Dask would close the place of a killed worker before it has restarted.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 ms"}),
        local_client(TWO_WORKERS) as client,
    ):

        def kill_all_after_the_first(
            function: Callable[[ShardTask], int], tasks: list[ShardTask]
        ) -> Iterator[int]:
            for n_simulations in map_on(client)(function, tasks):
                if not killed:
                    killed.extend(client.run(os.getpid).values())
                    for pid in killed:
                        os.kill(pid, signal.SIGKILL)
                yield n_simulations

        assert _simulate(tiny_config, tmp_path, kill_all_after_the_first) == expected
        assert len(killed) == 2
        assert not set(killed) & set(client.run(os.getpid).values())


def test_a_task_that_kills_every_worker_is_given_up() -> None:
    message = "raise execution.memory_per_worker"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        local_client(TWO_WORKERS) as fragile,
        pytest.raises(WorkersLostError, match=message),
    ):
        list(map_on(fragile)(os._exit, [1]))


def test_tasks_do_not_wait_for_ever_where_no_worker_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jrflow.cluster.clients.WAIT_FOR_WORKERS", 0.1)
    with local_client(TWO_WORKERS) as client:
        results = map_on(client)(abs, range(100))
        next(iter(results))
        client.cluster.scale(0)
        with pytest.raises(WorkersLostError):
            list(results)


def test_an_error_in_a_task_is_raised_here(client: Client, tiny_config: MakeConfig, tmp_path: Path) -> None:
    def spoil(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
        zarr.open_array(tmp_path / "train.zarr" / "A_e", mode="r+")[40] = np.nan
        yield from map_on(client)(function, tasks)

    message = r"campaign 'train', shard 1 \(simulations 32\.\.63\): ValueError: parameter 'A_e'.* nan"
    with pytest.raises(ShardError, match=message):
        run_campaign(tiny_config(), "train", tmp_path, spoil, progress=None)


def test_few_tasks_are_in_flight(client: Client) -> None:
    handed_out = []

    def tasks() -> Iterator[int]:
        for k in range(40):
            handed_out.append(k)
            yield -k

    for n_done, _ in enumerate(map_on(client)(abs, tasks())):
        assert len(handed_out) <= n_done + 1 + 2 * 2
    assert len(handed_out) == 40


def test_only_the_loopback_interface_is_listened_on(client: Client) -> None:
    here = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) == {"127.0.0.1"}


def test_a_client_with_another_certificate_is_refused(client: Client) -> None:
    with pytest.raises(OSError, match="certificate"):
        Client(client.scheduler.address, security=Security.temporary(), timeout=5)


def test_a_client_without_encryption_is_refused(client: Client) -> None:
    address = client.scheduler.address.replace("tls://", "tcp://")
    with pytest.raises(OSError, match=r"Timed out|closed"):
        Client(address, timeout=1)


def test_a_connection_without_a_certificate_is_refused(client: Client) -> None:
    """Not only Dask's own client: nobody gets a byte through who cannot show the certificate."""
    address = urlsplit(client.scheduler.address)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address.hostname, address.port), timeout=5) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate required|handshake failure"),
        context.wrap_socket(plain) as encrypted,
    ):
        encrypted.recv(1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Dask's lost socket
def test_the_dashboards_usual_port_may_be_taken() -> None:
    with socket.socket() as other, warnings.catch_warnings():
        warnings.simplefilter("error")
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 8787))
            other.listen()
        except OSError:  # taken by somebody else: as good
            pass
        with local_client(ExecutionConfig(n_workers=1, tls=False)) as client:
            assert list(map_on(client)(abs, [-1])) == [1]
