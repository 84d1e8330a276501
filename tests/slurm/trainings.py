"""One training as a job: its files, its driver, and the processes of its ranks."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml
from site_of_tests import (
    ROOT,
    TINY,
    Stop,
    environment,
    jobs,
    processes_in,
    run_name,
    shell,
    write_cluster,
)

from jrflow.config import load_config
from jrflow.config.cluster import load_cluster
from jrflow.planning.requests import Requests
from jrflow.stages import STAGES

#: Sixteen epochs of fifteen steps. Where a test disturbs a training, its first rank stops before it saves an
#: epoch (``Stop``).
TRAINING = {"max_presentations": 23_040, "batch_size": 96}


class Training:
    """One training in a folder of its own, driven by a process as a rule of the workflow drives it."""

    def __init__(self, folder: Path, simulated: Path, **cluster: Any) -> None:
        self.folder, self.name = folder, run_name(folder)
        inference = TINY["inference"] | {"training": TRAINING}
        config = TINY | {"run": {"name": self.name}, "inference": inference}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        self.jobs = f"jrflow-{self.name}-train-bilstm"
        self.model = folder / "results" / self.name / "models/bilstm"
        self.cluster = write_cluster(folder, **cluster)
        self._simulated = simulated

    def start(self, stop: Stop | None = None) -> subprocess.Popen[str]:
        """Start the driver."""
        config, cluster = load_config(self.folder / "config.yaml"), load_cluster(self.cluster)
        seconds, n_bytes = Requests(config, cluster, 1, 1).expected(STAGES["train"], "bilstm")
        command = [
            sys.executable, str(ROOT / "scripts/train.py"),
            f"--settings={STAGES['train'].settings(config, 'bilstm').text}", f"--cluster={self.cluster}",
            f"--jobs={self.model.parents[1] / 'logs/jobs/train-bilstm'}",
            f"--expected-seconds={seconds}", f"--expected-bytes={n_bytes}",
            "--inputs", f"noise={self._simulated / 'eeg/bilstm-noise.nc'}",
            f"train={self._simulated / 'archives/train.json'}",
            "--outputs", f"model={self.model / 'model.json'}",
        ]  # fmt: skip
        self.driver = subprocess.Popen(
            command, cwd=self.folder, env=environment(**stop.environment if stop else {}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self.driver

    def stop(self, epoch: int, *, for_good: bool = False) -> Stop:
        """A stop when that many epochs are saved, and before the next one is."""
        return Stop(self.folder, "checkpoint/latest.json", epoch + 1, for_good=for_good)

    def epoch(self) -> int:
        """Epochs of the last checkpoint."""
        try:
            return int(json.loads((self.model / "checkpoint/latest.json").read_text())["epoch"])
        except FileNotFoundError:
            return 0

    def weights(self) -> str:
        """Digest of the weights."""
        return hashlib.sha256((self.model / "weights.safetensors").read_bytes()).hexdigest()


@contextmanager
def driven(training: Training, stop: Stop | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start the driver; it ends with the context, and its jobs with it."""
    driver = training.start(stop)
    try:
        yield driver
    finally:
        driver.kill()
        driver.communicate()
        for job in jobs(training.jobs):
            shell("scancel", job, check=False)


def ends(driver: subprocess.Popen[str], code: int = 0, seconds: float = 600) -> str:
    """What the driver says until it ends with that exit code."""
    said, _ = driver.communicate(timeout=seconds)
    assert driver.returncode == code, said
    return said


def hears(driver: subprocess.Popen[str], words: str) -> str:
    """What the driver says until it says this."""
    assert driver.stdout is not None
    said = ""
    for line in driver.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without {words!r}: {said}")


def processes_of(job: str, rank: int) -> list[psutil.Process]:
    """Processes of one rank of a job that run its work."""
    return [
        process
        for process in processes_in(job, SLURM_PROCID=str(rank))
        if "submitit.core._submit" in process.cmdline()
    ]
