"""Drivers, schedulers and workers as real processes: what they say, and what is left of them."""

from __future__ import annotations

import multiprocessing
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

import psutil
from distributed.security import Security
from evidence import NAME

#: So long may anything take that is no simulation, s; far more than it should on a busy machine.
PATIENCE = 90.0
#: So long may what is left of a killed driver take to notice, s.
_AFTERWARDS = 15.0
_POLL = 0.005  # s

_JRFLOW = "import sys; from jrflow.cli import main; sys.exit(main(sys.argv[1:]))"
_TLS = {"ca.pem": "tls_ca_file", "cert.pem": "tls_client_cert", "key.pem": "tls_client_key"}


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that tells nobody when it happens, such as a file that appears."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"{what}: not within {seconds:g} s"
        time.sleep(_POLL)


@dataclass
class Program:
    """A real process; what it says is read as it comes."""

    pid: int
    output: TextIO
    wait: Callable[[float], int | None]
    """Its exit code, or None where it is still running after so many seconds."""
    said: list[str] = field(default_factory=list)
    _lines: queue.Queue[str | None] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    @classmethod
    def start(cls, command: list[str], environment: dict[str, str] | None = None) -> Program:
        """Start a command anew."""
        everything = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=everything
        )
        assert process.stdout is not None

        def wait(seconds: float) -> int | None:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(seconds)
            return None

        return cls(process.pid, process.stdout, wait)

    def hears(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str] | None:
        """The next line that matches; None if it ended without one."""
        give_up = time.monotonic() + seconds
        while (line := self._lines.get(timeout=max(0.0, give_up - time.monotonic()))) is not None:
            if found := re.search(pattern, line):
                return found
        self._lines.put(None)  # for whoever asks again
        return None

    def ends(self, seconds: float = PATIENCE) -> tuple[int, str]:
        """Its exit code and all that it said."""
        code = self.wait(seconds)
        assert code is not None, f"still running after {seconds:g} s:\n{''.join(self.said)}"
        self.hears("(?!)")  # to the end
        return code, "".join(self.said)

    def lives_for(self, seconds: float) -> bool:
        """Whether it is still running after so long; the random moment of a kill."""
        return self.wait(seconds) is None

    def kill(self) -> bool:
        """Kill it; whether it was running. All that it started must then end by itself."""
        family = self.family()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        killed = self.wait(PATIENCE) == -signal.SIGKILL
        left = psutil.wait_procs(family, timeout=_AFTERWARDS)[1]
        assert not left, f"left behind: {left}"
        return killed

    def family(self) -> list[psutil.Process]:
        """Everything that it started; of one that has ended the number may be another's by now."""
        if self.wait(0) is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def workers(self) -> list[psutil.Process]:
        """The processes that simulate; their nannies are threads of the driver."""
        return [process for process in self.family() if _is_worker(process)]

    def _read(self) -> None:
        with self.output as lines:
            for line in lines:
                self.said.append(line)
                self._lines.put(line)
        self._lines.put(None)


def jrflow(*arguments: str | Path, **environment: str) -> Program:
    """Start the command jrflow."""
    return Program.start([sys.executable, "-c", _JRFLOW, *map(str, arguments)], environment)


def jrflow_at_once(*arguments: str | Path) -> Program:
    """Start the command jrflow in a process of its own, forked from one that has imported everything.

    To import takes several seconds of a core, and is not what is to be interrupted.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["jrflow.campaign.run", "jrflow.cluster.dask", "jrflow.config.load"])
    output, its_output = processes.Pipe(duplex=False)
    inputs = dict(os.environ), its_output, [*map(str, arguments)]
    process = processes.Process(target=_main, args=inputs, daemon=True)
    process.start()
    its_output.close()

    def wait(seconds: float) -> int | None:
        process.join(seconds)
        return process.exitcode

    assert process.pid is not None
    with output:
        return Program(process.pid, os.fdopen(os.dup(output.fileno())), wait)


# Another test may have started the server of forks, in an environment of its own: forks are told this one.


def _main(environment: dict[str, str], output: Connection, arguments: list[str]) -> None:
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    from jrflow.cli import main

    sys.exit(main(arguments))


def killed_at_step(step: int, config: str, folder: Path) -> bool:
    """Extend a campaign in a process that kills itself at the step-th change of a file; whether it did."""
    processes = multiprocessing.get_context("forkserver")
    process = processes.Process(target=_extend, args=(dict(os.environ), step, config, folder))
    process.start()
    process.join(PATIENCE)
    return process.exitcode == -signal.SIGKILL


def _extend(environment: dict[str, str], step: int, config: str, folder: Path) -> None:
    os.environ.update(environment)
    from steps import stopped_at

    from jrflow.campaign.run import design_campaign
    from jrflow.config import Config

    with stopped_at(step, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        design_campaign(Config.model_validate_json(config), NAME, folder)


@contextmanager
def running(*programs: Program) -> Iterator[None]:
    """End what is still running afterwards, with all that it started."""
    try:
        yield
    finally:
        for program in programs:
            family = program.family()
            if program.wait(0) is None:
                os.kill(program.pid, signal.SIGKILL)
                program.wait(PATIENCE)
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def scheduler_and_worker(folder: Path) -> tuple[Program, Program, str, dict[str, str]]:
    """A Dask scheduler elsewhere, one worker of it, its address, and the environment that lets others in."""
    folder.mkdir(exist_ok=True)
    pem = Security.temporary()
    for name, attribute in _TLS.items():
        (folder / name).write_text(getattr(pem, attribute))
    environment = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(folder / "ca.pem")}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        environment[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(folder / "cert.pem")
        environment[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(folder / "key.pem")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tls://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    scheduler = Program.start(
        [*dask, "scheduler", "--host", address, "--no-dashboard", "--no-show"], environment
    )
    worker = Program.start(
        [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
         "--local-directory", str(folder)], environment,
    )  # fmt: skip
    return scheduler, worker, address, environment


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "--multiprocessing-fork" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
