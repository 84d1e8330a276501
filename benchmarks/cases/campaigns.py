"""Campaigns by the real command, as a process of its own: wall time, files, bytes, and memory as it runs."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from table import Table

from jrflow.config.sizes import duration, readable

NAME = "train"
_COLUMN = """
run: {{name: column}}
simulation:
  protocol: {{kind: evoked}}
priors:
  half: {{kind: relative-uniform, half_width: 0.5}}
campaigns:
  train: {{design: prior, n: {n}, prior: half}}
execution: {{n_workers: {workers}}}
"""
#: A brain at rest but for its stimulus, so that responses settle, as those of columns do.
_NETWORK = """
run: {{name: network}}
simulation:
  connectome: {{kind: synthetic, n_regions: 200, normalise: in-strength}}
  protocol: {{kind: evoked, stim_regions: [lh-12, rh-12]}}
priors:
  coupling-and-gain:
    kind: independent
    parameters:
      G: {{low: 0.0, high: 20.0}}
      A_e: {{low: 2.6, high: 4.0}}
      A_i: {{low: 17.6, high: 26.4}}
      b_i: {{low: 40.0, high: 60.0}}
campaigns:
  train: {{design: prior, n: {n}, prior: coupling-and-gain}}
execution: {{n_workers: {workers}}}
"""
_CONFIGS = {"column": _COLUMN, "network": _NETWORK}
#: So often is memory looked at, s.
_INTERVAL = 0.2
_COMMAND = "import sys; from jrflow.cli import main; sys.exit(main())"


def write_config(folder: Path, case: str, n: int, workers: int) -> Path:
    """Configuration of a campaign, in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(_CONFIGS[case].format(n=n, workers=workers))
    return path


@dataclass
class Watched:
    """A run of ``jrflow campaign``: seconds, what it said, and resident bytes of its processes.

    Attributes
    ----------
    seconds, cpu_seconds
        Wall time of the command; CPU time of all of its processes.
    said
        What it wrote to the terminal.
    driver, workers
        Bytes of the command's own process, and of each worker, whenever they were looked at; workers by
        their process ids.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    said: str = ""
    driver: list[int] = field(default_factory=list)
    workers: list[dict[int, int]] = field(default_factory=list)

    @classmethod
    def run(cls, config: Path, out: Path) -> Watched:
        """Run the command and watch it."""
        watched, log = cls(), out / "log.txt"
        begin, cpu_before = time.perf_counter(), _cpu_of_children()
        with log.open("w") as terminal:
            command = [sys.executable, "-c", _COMMAND, "campaign", str(config), NAME, "--out", str(out)]
            process = subprocess.Popen(command, stdout=terminal, stderr=subprocess.STDOUT)
            while process.poll() is None:
                watched._look(psutil.Process(process.pid))
                time.sleep(_INTERVAL)
        watched.seconds, watched.cpu_seconds = time.perf_counter() - begin, _cpu_of_children() - cpu_before
        watched.said = log.read_text()
        if process.returncode:
            raise SystemExit(watched.said)
        return watched

    def _look(self, process: psutil.Process) -> None:
        try:
            driver = process.memory_info().rss
            workers = {}
            for child in process.children():
                # Others keep track of what is shared between processes.
                if "spawn_main" in " ".join(child.cmdline()):
                    workers[child.pid] = child.memory_info().rss
        except psutil.Error:  # one has ended meanwhile
            return
        self.driver.append(driver)
        self.workers.append(workers)

    def peaks(self, third: int) -> tuple[str, str]:
        """Largest memory of the driver and of each worker in one third of the run: 0, 1 or 2."""
        n = len(self.driver)
        part = slice(third * n // 3, (third + 1) * n // 3)
        of_each: dict[int, int] = {}
        for looked in self.workers[part]:
            for pid, rss in looked.items():
                of_each[pid] = max(rss, of_each.get(pid, 0))
        workers = ", ".join(readable(rss) for _, rss in sorted(of_each.items()))
        return readable(max(self.driver[part], default=0)), workers

    @property
    def announced(self) -> str:
        """Time and bytes that the command expected."""
        found = re.search(r"estimated from a trial: (.*) on \d+ cores, (.*) after", self.said)
        return f"{found[1]}, {found[2]}" if found else "nothing: too short"


def archive(root: Path, case: str, n: int, workers: int) -> tuple[Path, Table | None]:
    """Make a campaign's archive, and tell what it took; no table if it is there already."""
    folder = root / f"{case}-{n}"
    store, config = folder / f"{NAME}.zarr", write_config(folder, case, n, workers)
    if (folder / f"{NAME}.json").exists():
        print(f"\n{store} is there: it is kept, and not timed", flush=True)
        return store, None
    resumed = store.exists()
    watched = Watched.run(config, folder)
    return store, None if resumed else _tell(case, store, watched)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def size_on_disk(folder: Path) -> tuple[int, int]:
    """Files, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def _tell(case: str, store: Path, watched: Watched) -> Table:
    manifest = json.loads(store.with_suffix(".json").read_text())
    layout = manifest.layout
    n, n_regions, n_times = layout.n_simulations, layout.n_regions, layout.n_times
    raw, simulating = 4 * n * n_regions * n_times, manifest.sealed["last_run"]["seconds"]
    n_files, n_bytes = size_on_disk(store)
    table = Table(
        f"jrflow campaign, {case}: {n:,} simulations, {n_regions} regions, {readable(raw)}", "it took"
    )
    table.add("announced", watched.announced)
    table.add("wall time of the command", duration(watched.seconds))
    table.add("CPU time of all processes", duration(watched.cpu_seconds))
    table.add("of the wall time with workers, from starting them to the last shard", duration(simulating))
    table.add("simulations/s, MB/s of float32, with workers", _rates(n, raw, simulating))
    table.add("the same of the whole", _rates(n, raw, watched.seconds))
    table.add("files, bytes on the disk", f"{n_files:,}, {readable(n_bytes)}")
    table.add("compression ratio", f"{raw / n_bytes:.2f}")
    for third, when in ((0, "first"), (2, "last")):
        driver, workers = watched.peaks(third)
        table.add(f"peak memory in the {when} third: driver; workers", f"{driver}; {workers}")
    return table


def _rates(n: int, raw: int, seconds: float) -> str:
    rates = (n / seconds, raw / seconds / 1e6)
    return ", ".join(f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}" for rate in rates)
