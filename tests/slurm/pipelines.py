"""The workflow under Slurm, in a folder of its own, with a profile of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from site_of_tests import ROOT, Stop, environment, jobs, run_name, shell, write_cluster

from jrflow.config.cluster import load_cluster
from jrflow.config.profile import snakemake_profile

#: On one file system there is nothing to wait for; and jobs of other tests have other names.
_LATENCY = "latency-wait: 60"


class Pipeline:
    """One run of the workflow.

    Attributes
    ----------
    name
        Of the run; also what the names of its jobs begin with.
    run
        Folder of its results.
    """

    def __init__(self, folder: Path, config: dict[str, Any], **cluster: Any) -> None:
        self.folder, self.name = folder, run_name(folder)
        self.run = folder / "results" / self.name
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(config | {"run": {"name": self.name}}, sort_keys=False))
        self.cluster = write_cluster(folder, **{"longest_job": 40, "shortest_job": 20} | cluster)
        self.profile = folder / "profile"
        self.profile.mkdir(exist_ok=True)
        text = snakemake_profile(load_cluster(self.cluster), "slurm", str(self.cluster))
        assert _LATENCY in text
        text = text.replace(_LATENCY, "latency-wait: 10").replace("prefix: jrflow", f"prefix: {self.name}")
        (self.profile / "config.yaml").write_text(text)

    def command(self, *targets: str) -> list[str]:
        """The command that runs it on the cluster."""
        options = {
            "snakefile": ROOT / "Snakefile", "profile": self.profile, "directory": self.folder,
            "workflow-profile": ROOT / "profiles/default", "configfile": self.config,
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in options.items()]
        return ["snakemake", *(f"results/{self.name}/{target}" for target in targets), *words]

    def here(self, *targets: str) -> str:
        """Run it on this machine."""
        words = self.command(*targets)
        local = [word for word in words if not word.startswith(("--profile", "--workflow-profile"))]
        return shell(*local, f"--workflow-profile={ROOT / 'profiles/test'}", timeout=900)

    @contextmanager
    def started(self, *targets: str, stop: Stop | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start it on the cluster; it ends with the context, and its jobs with it."""
        log = (self.folder / "said.log").open("a+")
        told = environment(**stop.environment if stop else {})
        driver = subprocess.Popen(
            self.command(*targets), env=told, cwd=self.folder, text=True,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield driver
        finally:
            driver.kill()
            driver.wait()
            log.close()
            for job in self.jobs():
                shell("scancel", job, check=False)

    def ends(self, driver: subprocess.Popen[str], code: int = 0, seconds: float = 1800) -> str:
        """What it says until it ends with that exit code."""
        driver.wait(seconds)
        assert driver.returncode == code, self.said()
        return self.said()

    def said(self) -> str:
        """What all drivers of this run have said."""
        return (self.folder / "said.log").read_text()

    def log_of_blocks(self) -> str:
        """What the blocks of its campaigns have said."""
        return "".join(path.read_text() for path in self.run.glob("logs/campaign/*-of-*.log"))

    def jobs(self) -> dict[str, str]:
        """Its jobs that are not over, whoever submitted them."""
        return jobs(self.name) | jobs(f"jrflow-{self.name}")

    def running(self) -> list[str]:
        """Those that run."""
        return [job for job, state in self.jobs().items() if state == "RUNNING"]
