"""A hundred million brains on a thousand nodes, on paper: the tables of docs/reference/scale.md.

    python benchmarks/scale.py            # prints them
    python benchmarks/scale.py --write    # puts them into the page

What a campaign is divided into and what it takes is jrflow's own arithmetic (jrflow.config); what
that does not know was measured by benchmarks/workflow.py, and stands below. Nothing is simulated.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jrflow.config import Config
from jrflow.config.cluster import ClusterConfig
from jrflow.config.shards import shard_count, shard_sizes, simulation_bytes
from jrflow.config.sizes import duration, readable
from jrflow.planning.cost import sealing_seconds, simulation_seconds
from jrflow.planning.requests import Requests

PAGE = Path(__file__).parents[1] / "docs/reference/scale.md"
N, N_REGIONS, NODES = 100_000_000, 200, 1000
#: Assumed: price of a core hour, and power of a node with its share of everything, W, by its cores.
EURO, WATTS = 0.02, {64: 500.0, 128: 900.0}
#: Assumed: what a large parallel file system takes in and gives out, bytes/s, and its metadata servers, 1/s.
BANDWIDTH, METADATA = 500e9, 100_000.0

# Measured; benchmarks/README.md, what workflow.py prints.
#: Files a shard that nothing has failed in: source, n_trials, status.
FILES = 3
#: Bytes of float32 over bytes stored, of columns' evoked responses; networks' compress better.
COMPRESSION = {1000.0: 3.6, 100.0: 2.6}
#: File operations of writing a shard (open, mkdir, rename, remove), and of looking whether it is done.
WRITE_OPERATIONS, LOOK_OPERATIONS = 22.0, 1.0
#: CPU time of sealing (600 shards), looking, opening and verifying, s a shard, and of the manifest, bytes a
#: file.
SEAL_S, LOOK_S, OPEN_S, VERIFY_S, MANIFEST = 3.6e-3, 1.2e-3, 2.6e-3, 0.93e-3, 125.0
#: A design: creating it, s a simulation, memory and stored bytes of a simulation, reading all of it, s.
DESIGN_S, DESIGN_MEMORY, DESIGN_BYTES, READ_S = 2e-6, 310.0, 68.0, 0.4e-6
#: Snakemake's dry run, s a job and bytes a job.
PLAN_S, PLAN_BYTES = 4e-3, 17.5e3

#: Title, settings of the simulation, and of its connectome.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "settles": ({}, {}),
    "60 trials": ({"steady_state_tolerance": None}, {}),
    "60 trials, delays": ({"steady_state_tolerance": None}, {"speed": 7.0}),
    "settles, 100 Hz": ({"sfreq": 100.0}, {}),
}


@dataclass(frozen=True)
class Scale:
    """One campaign on nodes of so many cores."""

    config: Config
    cores: int

    @classmethod
    def of(cls, case: str, cores: int) -> Scale:
        """Build one of the cases."""
        simulation, connectome = CASES[case]
        network = {"kind": "synthetic", "n_regions": N_REGIONS, "normalise": "in-strength", "G": 10.0}
        return cls(
            Config.model_validate(
                {
                    "simulation": {"protocol": {"kind": "evoked"}, "connectome": network | connectome}
                    | simulation,
                    "priors": {"half": {"kind": "relative-uniform"}},
                    "campaigns": {"train": {"design": "prior", "n": N, "prior": "half"}},
                }
            ),
            cores,
        )

    @cached_property
    def requests(self) -> Requests:
        """A thousand jobs of one node each, as long as the cost model makes them."""
        cluster = ClusterConfig(cores=self.cores, most_jobs=NODES, shortest_job=1)
        return Requests(self.config, cluster, N_REGIONS, 1)

    @property
    def simulation_s(self) -> float:
        """One simulation on one core, s."""
        return simulation_seconds(self.config, "train", N_REGIONS)

    @property
    def core_hours(self) -> float:
        """Of simulating alone."""
        return N * self.simulation_s / 3600

    @property
    def simulating_s(self) -> float:
        """All cores of all nodes at work without a pause, s."""
        return N * self.simulation_s / (NODES * self.cores)

    @property
    def raw(self) -> float:
        """Bytes of float32."""
        return float(N * simulation_bytes(self.config, N_REGIONS))

    @property
    def stored(self) -> float:
        """Bytes after compression."""
        return self.raw / COMPRESSION[self.config.simulation.sfreq]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return shard_count(self.config, "train", N_REGIONS)

    @property
    def jobs(self) -> int:
        """Jobs that simulate."""
        return self.requests.n_blocks("train")

    @property
    def minutes(self) -> int:
        """Time limit of each job."""
        return self.requests.block("train", 1)[0]


def campaign_table(cores: int) -> str:
    """What is simulated, stored and asked of file system and scheduler."""
    cases = [Scale.of(name, cores) for name in CASES]
    rows = {
        "one simulation on one core, ms": [f"{1e3 * case.simulation_s:.0f}" for case in cases],
        "core hours": [_thousands(case.core_hours) for case in cases],
        f"at {EURO:g} EUR a core hour, EUR": [_thousands(EURO * case.core_hours) for case in cases],
        "energy, kWh": [_thousands(case.core_hours / cores * WATTS[cores] / 1e3) for case in cases],
        f"simulating, {NODES:,} nodes at work": [duration(case.simulating_s) for case in cases],
        "source, float32": [readable(case.raw) for case in cases],
        "stored": [readable(case.stored) for case in cases],
        "shards (simulations in each)": [
            f"{case.shards:,} ({shard_sizes(case.config, 'train', N_REGIONS)[0]:,})" for case in cases
        ],
        "files": [f"{FILES * case.shards:,}" for case in cases],
        "written meanwhile, GB/s": [f"{case.stored / case.simulating_s / 1e9:,.0f}" for case in cases],
        f"at {BANDWIDTH / 1e9:.0f} GB/s writing takes": [duration(case.stored / BANDWIDTH) for case in cases],
        "file operations of writing, 1/s": [
            _thousands(WRITE_OPERATIONS * case.shards / case.simulating_s) for case in cases
        ],
        "jobs (shards in each)": [
            f"{case.jobs:,} ({case.requests.shards_per_block('train'):,})" for case in cases
        ],
        "a job's time limit, min": [str(case.minutes) for case in cases],
    }
    return _markdown(f"{cores} cores a node", list(CASES), rows)


def afterwards_table() -> str:
    """What one process does before, between and after the jobs."""
    cases = [Scale.of(name, 64) for name in ("settles", "settles, 100 Hz")]
    shards = [case.shards for case in cases]
    files = [FILES * n for n in shards]

    def seconds(of_each: float) -> list[str]:
        return [duration(of_each * n) for n in shards]

    # A job looks at its own shards only.
    looking = [LOOK_OPERATIONS * case.shards for case in cases]
    of_a_job = [duration(LOOK_S * case.requests.shards_per_block("train")) for case in cases]
    rows = {
        "planning the workflow": [duration(5 + PLAN_S * case.jobs) for case in cases],
        "design: drawn and written": [duration(DESIGN_S * N)] * 2,
        "design: memory of the process that draws it": [readable(DESIGN_MEMORY * N)] * 2,
        "design: bytes stored": [readable(DESIGN_BYTES * N)] * 2,
        "each job looks at what is done": of_a_job,
        "all jobs together, file operations": [f"{n:,.0f}" for n in looking],
        f"the same at {METADATA:,.0f} a second": [duration(n / METADATA) for n in looking],
        "sealing: every byte is read and decoded": [
            duration(sealing_seconds(case.config, "train", N_REGIONS)) for case in cases
        ],
        "sealing: every shard's files are opened": seconds(SEAL_S),
        "manifest": [readable(MANIFEST * n) for n in files],
        "`jrflow.open_archive`: files": seconds(OPEN_S),
        "`jrflow.open_archive`: parameters": [duration(READ_S * N)] * 2,
        "`jrflow.open_archive`: memory": [readable(DESIGN_MEMORY * N)] * 2,
        "`jrflow archive verify`: every shard's files": seconds(VERIFY_S),
    }
    return _markdown("one process, one core", ["settles", "settles, 100 Hz"], rows)


def planning_table() -> str:
    """What Snakemake can plan."""
    counts = (1_000, 10_000, 100_000, Scale.of("settles", 64).shards)
    rows = {
        "dry run": [duration(5 + PLAN_S * n) for n in counts],
        "memory": [readable(190e6 + PLAN_BYTES * n) for n in counts],
        "submitted as arrays of 1,000": [f"{-(-n // 1000):,}" for n in counts],
    }
    return _markdown("jobs", [f"{n:,}" for n in counts], rows)


TABLES = {
    "campaign-64": lambda: campaign_table(64),
    "campaign-128": lambda: campaign_table(128),
    "afterwards": afterwards_table,
    "planning": planning_table,
}


def filled(page: str) -> str:
    """The page with its tables as they are now."""
    for name, make in TABLES.items():
        mark = f"<!-- {name} -->"
        pattern = re.compile(re.escape(mark) + ".*?" + re.escape("<!-- end -->"), re.DOTALL)
        page = pattern.sub(f"{mark}\n\n{make()}\n\n<!-- end -->", page)
    return page


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    if parser.parse_args(argv).write:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(make() for make in TABLES.values()))
    return 0


def _markdown(corner: str, columns: list[str], rows: dict[str, list[str]]) -> str:
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _thousands(value: float) -> str:
    """Two or three digits, whole."""
    return f"{float(f'{value:.2g}'):,.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
